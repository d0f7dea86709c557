//! cocotb in a Python environment of its own, from PyPI: the version and the hashes of its files are pinned.

use std::path::{Path, PathBuf};
use std::process::Command;

use azote_verilate::{Work, cache};

use crate::Error;

/// What pip is to install.
const REQUIREMENTS: &str = include_str!("../python/requirements.txt");
/// Lines of a program's output that an error shows.
const TAIL: usize = 20;

/// The environment's folder, below the cache of models.
pub(crate) fn environment() -> Result<PathBuf, Error> {
    let folder = cache::folder()?;
    let name = format!("cocotb-{}", cache::Key::new().mix(REQUIREMENTS).name());
    cache::once(&folder, &name, |work| {
        run("making a Python environment", Command::new("python3").args(["-m", "venv"]).arg(work.join("venv")))?;
        let list = work.join("requirements.txt");
        std::fs::write(&list, REQUIREMENTS).map_err(Error::io("write", &list))?;
        // Called as a module: the folder moves when it is complete, and pip's own programs know only where they were made.
        let mut pip = Command::new(interpreter(work));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--require-hashes", "--only-binary", ":all:", "--requirement"]).arg(&list);
        run("installing cocotb", &mut pip)
    })
}

/// The environment's Python.
pub(crate) fn interpreter(environment: &Path) -> PathBuf {
    environment.join("venv/bin/python3")
}

/// Runs a program to its end; anything but success is an error with the end of what it said.
pub(crate) fn run(what: &'static str, command: &mut Command) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let _shown = Work::begin(&format!("cocotb: {what}"));
    let output = command.output().map_err(|source| Error::Start { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    Err(Error::Failed { what, status: output.status.to_string(), tail })
}
