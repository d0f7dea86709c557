//! What a guest is made of. `azote run` makes one of its command line; `azote-vmm` takes it as JSON.

use std::{
    iter,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A bzImage, or a vmlinux with a PVH entry.
    pub kernel: PathBuf,
    /// The initramfs.
    #[serde(default)]
    pub initramfs: Option<PathBuf>,
    /// The kernel's command line, after what [`crate::kernel::cmdline`] puts before it.
    #[serde(default)]
    pub cmdline: String,
    /// Leave out what the hypervisor puts before the command line.
    #[serde(default)]
    pub bare_cmdline: bool,
    /// Virtual processors.
    pub cpus: u8,
    /// Memory.
    pub memory: Memory,
    /// Functions bound to vfio-pci, by their sysfs folders.
    #[serde(default)]
    pub devices: Vec<PathBuf>,
    /// Sockets of vfio-user servers, a function each.
    #[serde(default)]
    pub user_devices: Vec<UserDevice>,
    /// A simulated card in this process.
    #[serde(default)]
    pub card: Option<Card>,
    /// The serial port.
    #[serde(default)]
    pub serial: Serial,
    /// Where commands are taken while the guest runs.
    #[serde(default)]
    pub api_socket: Option<PathBuf>,
    /// Print what was counted at the end: not at all, for people, or as JSON.
    #[serde(default)]
    pub counters: Counters,
    /// The process that gives the guest's devices back: the guest ends with it.
    #[serde(default)]
    pub supervisor: Option<u32>,
    /// Leave the jail open: for debuggers, and for tests of what it keeps out.
    #[serde(default)]
    pub no_jail: bool,
}

impl Config {
    /// Every path in it, by the option of `azote run` that names it.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let card = self.card.iter();
        let volumes = card.clone().flat_map(|card| &card.volumes).map(|volume| ("--card volume=", &*volume.path));
        let models = card.filter_map(|card| card.library.as_deref()).map(|path| ("--card model=", path));
        let serial = if let Serial::File(path) = &self.serial { Some(&**path) } else { None };
        iter::once(("--kernel", &*self.kernel))
            .chain(self.initramfs.as_deref().map(|path| ("--initramfs", path)))
            .chain(self.devices.iter().map(|path| ("--device path=", &**path)))
            .chain(self.user_devices.iter().map(|device| ("--user-device socket=", &*device.socket)))
            .chain(volumes)
            .chain(models)
            .chain(serial.map(|path| ("--serial file=", path)))
            .chain(self.api_socket.as_deref().map(|path| ("--api-socket", path)))
    }
}

/// The guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// In bytes.
    pub size: u64,
    /// Take reserved 2 MiB pages.
    #[serde(default)]
    pub hugepages: bool,
    /// A sealed file even without a device that needs one.
    #[serde(default)]
    pub shared: bool,
}

/// A guest's memory, unless it says how much.
pub const DEFAULT_MEMORY: u64 = 512 << 20;

impl Default for Memory {
    fn default() -> Self {
        Self { size: DEFAULT_MEMORY, hugepages: false, shared: false }
    }
}

/// A function behind a vfio-user server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserDevice {
    /// The server's socket.
    pub socket: PathBuf,
    /// How many seconds an answer may take.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
}

/// A simulated card answers in milliseconds; a server that takes this long is dead.
pub const DEFAULT_TIMEOUT: u64 = 10;

fn default_timeout() -> u64 {
    DEFAULT_TIMEOUT
}

/// The simulated card on the guest's bus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The images behind VF 0, VF 1, … of storage.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// How fast its storage functions may go.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// VFs of each kind that it was built with.
    pub vfs: u8,
    /// The Verilated card; a model in software without one.
    #[serde(default)]
    pub library: Option<PathBuf>,
}

/// An image behind a VF.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// The file.
    pub path: PathBuf,
    /// Refuse writes.
    #[serde(default)]
    pub read_only: bool,
}

/// How fast a storage function may go and how long its volume may take, in the card's own units (`azote_manage::Limits`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Which VF; the PF without one.
    #[serde(default)]
    pub vf: Option<u8>,
    /// Commands in so many clocks; 0 is no limit.
    #[serde(default)]
    pub commands: u32,
    /// Blocks in as many.
    #[serde(default)]
    pub blocks: u32,
    /// Its share of turns.
    #[serde(default)]
    pub weight: u8,
    /// Milliseconds after which the card gives a request to its volume up; 0 is never.
    #[serde(default)]
    pub timeout_ms: u32,
}

/// Where the serial port goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serial {
    /// This process's terminal, or whatever stdin and stdout are.
    #[default]
    Tty,
    /// There is none.
    Null,
    /// A file; nothing comes in.
    File(PathBuf),
}

/// In which form counters are printed at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counters {
    /// Not.
    #[default]
    None,
    /// A table on stderr.
    Text,
    /// One line of JSON on stderr.
    Json,
}
