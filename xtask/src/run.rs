//! Running other programs, mostly cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository. Cargo says at run time where it is: two clones that share a target folder share our binary too.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| ".".into(), Path::to_owned)
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs to the end; anything but success is an error that says what was run.
pub fn check(command: &mut Command) -> Result<(), String> {
    let text = line(command);
    let status = command.status().map_err(|e| format!("cannot run `{text}`: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{text}` failed ({status})")) }
}

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Builds and runs a program of a package, optimised. Its own message and exit status stand for ours.
pub fn program(package: &str, name: &str, arguments: &[String]) -> Result<(), String> {
    let package = ["--release", "--package", package, "--bin", name];
    // Built by a command of its own, which shows how far it is: the first time takes minutes.
    check(cargo().arg("build").args(package))?;
    let mut command = cargo();
    command.args(["run", "--quiet"]).args(package).arg("--").args(arguments);
    let status = command.status().map_err(|e| format!("cannot run `{}`: {e}", line(&command)))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => Err(format!("`{}` was ended by a signal", line(&command))),
    }
}
