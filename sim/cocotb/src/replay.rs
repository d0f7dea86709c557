//! The card built as cocotb builds it, and a recording replayed on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use azote_verilate::cache;
use serde::Deserialize;

use crate::python::{environment, interpreter, run};
use crate::{Error, Recording};

const BUILD: &str = include_str!("../python/build.py");
const RUN: &str = include_str!("../python/run.py");
const REPLAY: &str = include_str!("../python/replay.py");
const CHECKS: &str = include_str!("../python/checks.cpp");
/// What make is told: cocotb leaves the compiler at `-Os`, for the model as for VPI, and ours is compiled like this.
const MAKE: &str = r"OPT_FAST=-O3\ -march=native OPT_GLOBAL=-O3\ -march=native";

/// How fast a replay was.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Speed {
    /// Clocks of the fastest part.
    pub clocks: u64,
    /// What they took, of the processor's time.
    pub seconds: f64,
}

impl Speed {
    /// Clocks a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.clocks as f64 / self.seconds
    }
}

/// A model of `text` with cocotb around it; kept, so that the second call costs nothing.
///
/// # Errors
/// If cocotb cannot be installed, or does not build.
pub fn build(text: &str) -> Result<PathBuf, Error> {
    // As on a board, the engines have the card's clock: cocotb would have to drive each of its own.
    let tied = |text: String, clock: &&str| text.replace(&format!(".clock({clock})"), ".clock(clock)");
    let text = &azote_sim::ENGINE_CLOCKS.iter().fold(text.to_owned(), tied);
    let environment = environment()?;
    let folder = cache::folder()?;
    let parts = [BUILD, CHECKS, MAKE, &environment.to_string_lossy(), text];
    let name = format!("cocotb-model-{}", parts.iter().fold(cache::tools()?, |key, part| key.mix(part)).name());
    let made = cache::once(&folder, &name, |work| {
        write(work, "card.sv", text)?;
        write(work, "build.py", BUILD)?;
        write(work, "checks.cpp", CHECKS)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command::new(interpreter(&environment));
        command.current_dir(work).args(["build.py", "card.sv", azote_sim::TOP]).arg(work.join("checks.cpp"));
        run("building the card with cocotb", command.env("MAKEFLAGS", format!("-j{cores} -- {MAKE}")))
    })?;
    Ok(made)
}

/// Ends a recording, replays it on what [`build`] made, and measures from clock `begin` on, in so many parts: the fastest
/// counts, since a busy machine only ever takes away.
///
/// # Errors
/// If the card does not answer as it was recorded: the clock and the port are in the message.
pub fn replay(built: &Path, recording: &Recording, begin: u64, parts: u64) -> Result<Speed, Error> {
    let environment = environment()?;
    recording.end()?;
    let work = tempfile::tempdir().map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
    write(work.path(), "run.py", RUN)?;
    write(work.path(), "replay.py", REPLAY)?;
    let mut command = Command::new(interpreter(&environment));
    command.current_dir(work.path()).arg("run.py").arg(built.join("build")).arg(azote_sim::TOP).arg(recording.path());
    run("replaying with cocotb", command.args([begin, parts].map(|n| n.to_string())))?;
    let path = work.path().join("speed.json");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    serde_json::from_str(&text).map_err(|e| Error::Format { path, what: e.to_string() })
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    std::fs::write(&path, text).map_err(Error::io("write", &path))
}
