//! The gates that need no simulation: formatting, clippy, and the kernels' own rules.

use crate::run::{cargo, check, line};

/// Runs them all, and says at the end which failed.
pub fn run() -> Result<(), String> {
    let steps: [&[&str]; 2] =
        [&["fmt", "--all", "--check"], &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]];
    let mut failed = Vec::new();
    for step in steps {
        let mut command = cargo();
        command.args(step);
        eprintln!("lint: {}", line(&command));
        if check(&mut command).is_err() {
            failed.push(line(&command));
        }
    }
    if failed.is_empty() {
        eprintln!("lint: clean");
        Ok(())
    } else {
        Err(format!("lint: failed: {}", failed.join("; ")))
    }
}
