//! Other programs, run for their effect.

use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Runs to the end and gives what it printed; a failure says what was run and what it said last.
pub fn output(command: &mut Command) -> Result<String> {
    let text = line(command);
    let failed = |reason: String| Error::Command { command: text.clone(), reason };
    let done = command.stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let last: Vec<&str> = said.lines().rev().take(4).collect();
    Err(failed(format!("{}; {}", done.status, last.into_iter().rev().collect::<Vec<_>>().join(" | "))))
}

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
