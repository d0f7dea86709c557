//! Where the kernel shows what it has, and small accesses to it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// The kernel's file systems, or stand-ins for tests.
#[derive(Debug, Clone)]
pub struct Host {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// Where leases are kept.
    pub state: PathBuf,
    /// How long another command that changes leases is waited for.
    pub lock_patience: Duration,
}

/// Several steps of the kernel's, each with its own patience.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

impl Default for Host {
    fn default() -> Self {
        Host {
            sys: "/sys".into(),
            dev: "/dev".into(),
            proc: "/proc".into(),
            state: "/run/azote".into(),
            lock_patience: LOCK_PATIENCE,
        }
    }
}

/// How long the kernel may take to bind or unbind a driver.
const PATIENCE: Duration = Duration::from_secs(10);

impl Host {
    /// Everything below one folder.
    #[must_use]
    pub fn at(root: &Path) -> Host {
        let [sys, dev, proc, state] = ["sys", "dev", "proc", "run"].map(|sub| root.join(sub));
        Host { sys, dev, proc, state, lock_patience: LOCK_PATIENCE }
    }

    pub(crate) fn devices(&self) -> PathBuf {
        self.sys.join("bus/pci/devices")
    }

    /// The folder of a function, which must exist.
    pub(crate) fn function(&self, address: &str) -> Result<PathBuf> {
        let path = self.devices().join(address);
        // An address is one component: nothing that leads elsewhere.
        let plain = !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.');
        if plain && path.is_dir() { Ok(path) } else { Err(Error::NoFunction { address: address.into() }) }
    }

    /// The last part of where a link leads.
    pub(crate) fn link(&self, path: &Path) -> Option<String> {
        Some(fs::read_link(path).ok()?.file_name()?.to_str()?.to_owned())
    }

    /// The driver that has a function.
    pub(crate) fn driver(&self, address: &str) -> Option<String> {
        self.link(&self.devices().join(address).join("driver"))
    }

    pub(crate) fn number(&self, path: &Path) -> Result<u64> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let text = text.trim();
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| Error::io("understand", path)(io::ErrorKind::InvalidData.into()))
    }

    /// Writes a word, as `echo` does; sysfs files are never created.
    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<()> {
        let write = || fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
        write().map_err(Error::io("write", path))
    }

    /// Waits until something holds.
    pub(crate) fn until(&self, holds: impl FnMut() -> bool) -> bool {
        self.until_for(PATIENCE, holds)
    }

    /// The same, for as long as that.
    pub(crate) fn until_for(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + patience;
        while !holds() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}
