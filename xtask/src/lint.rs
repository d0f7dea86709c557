//! The gates that need no simulation: formatting, clippy, and the rules of the hardware's source (`rtl/lint`).

use crate::run::{cargo, check, line};

/// Runs them all, and says at the end which failed.
pub fn run() -> Result<(), String> {
    let steps: [&[&str]; 3] = [
        &["fmt", "--all", "--check"],
        &["run", "--quiet", "--package", "azote-lint", "--", "rtl"],
        &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    ];
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
