//! Other programs: run for their effect, or running beside us and never for longer than we do.

use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::patience::Patience;
use crate::{Error, Result, programs};

/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A program, for [`start`], that is sent a signal (`KILL`, `INT`) when this process is no more, however it has ended: an emulated machine
/// would go on for ever. The kernel does it (PR_SET_PDEATHSIG), from the moment on that `setpriv` has asked it to.
pub fn tied(program: impl AsRef<OsStr>, signal: &str) -> Result<Command> {
    let mut command = Command::new(programs::host("setpriv")?);
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    Ok(command)
}

/// A program that runs; killed when this is dropped.
pub struct Running(Child);

/// Starts it.
pub fn start(command: &mut Command) -> Result<Running> {
    let started = command.spawn();
    started.map(Running).map_err(|e| Error::Command { command: line(command), reason: e.to_string() })
}

impl Running {
    /// Waits for its end; `None` if patience comes first.
    pub fn wait_for(&mut self, most: Duration) -> std::io::Result<Option<ExitStatus>> {
        let mut patience = Patience::new(most);
        loop {
            match self.0.try_wait()? {
                None if patience.left().is_some() => std::thread::sleep(LOOK),
                status => return Ok(status),
            }
        }
    }
}

impl Deref for Running {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already can not be killed, and need not be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    const MOST: Duration = Duration::from_secs(60);
    const PLAYED: &str = "AZOTE_LAB_PLAYED";

    /// In a process of its own, which is killed: starts a program and says its number.
    #[test]
    fn killed() {
        if std::env::var_os(PLAYED).is_some() {
            let running = start(tied("sleep", "KILL").unwrap().arg("1000")).unwrap();
            eprintln!("number {}", running.id());
            std::thread::sleep(Duration::from_secs(1000));
        }
    }

    #[test]
    fn a_program_ends_with_us_even_if_we_are_killed() {
        let mut us = Command::new(std::env::current_exe().unwrap());
        us.args(["--exact", "command::tests::killed", "--nocapture"]).env(PLAYED, "1");
        let mut us = start(us.stdout(Stdio::null()).stderr(Stdio::piped())).unwrap();
        let mut said = BufReader::new(us.stderr.take().unwrap()).lines().map_while(|line| line.ok());
        let number = said.find_map(|line| line.strip_prefix("number ").map(str::to_owned)).unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let mut patience = Patience::new(MOST);
        let mut wait_for = |what: &str, holds: &dyn Fn() -> bool| {
            while !holds() {
                assert!(patience.left().is_some(), "{what}: {}", stat());
                std::thread::sleep(LOOK);
            }
        };
        // Tied, and become what it is.
        wait_for("it never began", &|| stat().contains("(sleep)"));
        us.kill().unwrap();
        wait_for("it still runs", &|| stat().is_empty() || stat().contains(") Z "));
    }
}
