//! Verilator and the C++ compiler: where they are, and how they are run.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::Error;

/// What is known of the installed tools; part of every cache key.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// First line of `verilator --version`.
    pub verilator: String,
    /// First line of `g++ --version`.
    pub compiler: String,
    /// Folder of the runtime's sources and headers.
    pub include: std::path::PathBuf,
    /// What `-march=native` stands for on this machine: a cached model must not be loaded on a lesser processor.
    pub processor: String,
}

impl Tools {
    /// The installed tools, looked up once.
    pub fn find() -> Result<&'static Tools, Error> {
        static FOUND: OnceLock<Tools> = OnceLock::new();
        if let Some(tools) = FOUND.get() {
            return Ok(tools);
        }
        let tools = Self::look()?;
        Ok(FOUND.get_or_init(|| tools))
    }

    fn look() -> Result<Tools, Error> {
        let verilator = first_line(run("verilator", "ask its version", Command::new("verilator").arg("--version"))?);
        let compiler = first_line(run("g++", "ask its version", Command::new("g++").arg("--version"))?);
        let root = first_line(run(
            "verilator",
            "ask for its root",
            Command::new("verilator").args(["--getenv", "VERILATOR_ROOT"]),
        )?);
        let include = std::path::Path::new(&root).join("include");
        Ok(Tools { verilator, compiler, include, processor: processor() })
    }
}

/// What `-march=native` stands for on this machine.
pub(crate) fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = |key: &str| cpuinfo.lines().find(|l| l.starts_with(key)).unwrap_or_default().to_owned();
    line("model name") + &line("flags") + &line("Features")
}

fn first_line(output: Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned()
}

/// Runs `command`; anything but success is an error with the end of what it said.
pub(crate) fn run(tool: &'static str, what: &str, command: &mut Command) -> Result<Output, Error> {
    let output = start(tool, command)?;
    if output.status.success() { Ok(output) } else { Err(failed(tool, what, &output)) }
}

/// Runs `command` whatever its exit status.
pub(crate) fn start(tool: &'static str, command: &mut Command) -> Result<Output, Error> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Error::ToolMissing { tool },
        _ => Error::Io { what: "run", path: tool.into(), source },
    };
    // A group of its own: a compiler has children, and all of them are to end with us ([`abandon`]).
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(failed)?;
    let group = child.id();
    running().push(group);
    let output = child.wait_with_output();
    running().retain(|g| *g != group);
    output.map_err(failed)
}

/// The tools that run, by their process groups.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every tool that runs: for a process that is about to end without waiting for them.
pub fn abandon() {
    for group in running().drain(..) {
        if let Ok(group) = i32::try_from(group) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// The error for a tool that ended badly.
pub(crate) fn failed(tool: &'static str, what: &str, output: &Output) -> Error {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    // A compiler's first complaint is the one that matters; the end of the output is mostly its echo.
    let shown = lines.iter().take(40).copied().collect::<Vec<_>>().join("\n");
    Error::ToolFailed { tool, what: what.to_owned(), status: output.status.to_string(), output: shown }
}
