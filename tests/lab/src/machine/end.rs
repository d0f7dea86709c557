//! How a machine ended that was not told to.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use crate::command::Running;

/// What QEMU's log has of a processor that met a fault in the handling of one in the handling of one, and was reset for it.
const TRIPLE: &str = "Triple fault";
/// How long QEMU may take to end when its console has.
const SOON: Duration = Duration::from_secs(10);

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    status: Option<ExitStatus>,
    triple_fault: bool,
}

impl End {
    /// Of a machine whose console has ended; `resets` is QEMU's log of its processors' resets.
    pub fn of(child: &mut Running, resets: &Path) -> End {
        let status = child.wait_for(SOON).ok().flatten();
        let triple_fault = std::fs::read(resets).is_ok_and(|log| String::from_utf8_lossy(&log).contains(TRIPLE));
        End { status, triple_fault }
    }

    /// Whether it was the emulator: a crash of its own, somebody's signal, or a processor of L1 that came to nothing without an oops. A
    /// kernel that panics says so and reboots, and that is no triple fault.
    pub fn is_the_emulators(self) -> bool {
        self.triple_fault || self.status.is_some_and(|status| status.signal().is_some())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "QEMU: {status}")?,
            None => write!(f, "QEMU goes on without a console")?,
        }
        if self.triple_fault { write!(f, ", a triple fault of L1's processor") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests fail by panicking

    use std::process::Command;

    use super::*;
    use crate::command;

    fn end(script: &str, log: &str) -> End {
        let folder = tempfile::tempdir().unwrap();
        let resets = folder.path().join("resets");
        std::fs::write(&resets, log).unwrap();
        End::of(&mut command::start(Command::new("sh").args(["-c", script])).unwrap(), &resets)
    }

    #[test]
    fn only_what_the_emulator_did_is_the_emulators() {
        let reset = "CPU Reset (CPU 0)\nEAX=00000000\n";
        assert!(!end("exit 0", reset).is_the_emulators());
        assert!(!end("exit 1", reset).is_the_emulators());
        assert!(end("kill -SEGV $$", reset).is_the_emulators());
        let fault = end("exit 0", &format!("{reset}Triple fault\n{reset}"));
        assert!(fault.is_the_emulators());
        assert_eq!(fault.to_string(), "QEMU: exit status: 0, a triple fault of L1's processor");
    }
}
