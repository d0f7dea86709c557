//! PCI: what a guest sees of its devices. Nothing here knows KVM, VFIO or sockets: devices are behind [`Device`], the
//! machine behind [`Machine`], so that tests and fuzzers can play both.

pub mod address_map;
pub mod allocate;
pub mod config;
pub mod ecam;
pub mod msix;
pub mod passthrough;
pub mod port;
pub mod registers;
mod vectors;

use std::{
    io,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

use vmm_sys_util::eventfd::EventFd;

pub use address_map::AddressMap;
pub use ecam::{Configure, Ecam};
pub use passthrough::Passthrough;

/// A device to be given to a guest: a function behind VFIO or a vfio-user server. Whatever it says is taken with care.
pub trait Device: Send + Sync {
    /// What messages call it.
    fn name(&self) -> &str;
    /// Reads configuration space.
    fn config_read(&self, offset: u16, data: &mut [u8]) -> io::Result<()>;
    /// Writes configuration space.
    fn config_write(&self, offset: u16, data: &[u8]) -> io::Result<()>;
    /// The size of a BAR; 0 if it has none there.
    fn bar_size(&self, bar: usize) -> u64;
    /// The parts of a BAR that are mapped into this process.
    fn areas(&self, bar: usize) -> &[Area];
    /// Reads a BAR by a call, where it is not mapped.
    fn bar_read(&self, bar: usize, offset: u64, data: &mut [u8]) -> io::Result<()>;
    /// Writes a BAR by a call.
    fn bar_write(&self, bar: usize, offset: u64, data: &[u8]) -> io::Result<()>;
    /// How many MSI-X vectors it can signal.
    fn vectors(&self) -> u16;
    /// Lets vectors from `first` on signal these; vectors before keep theirs.
    fn set_vectors(&self, first: u16, events: &[&EventFd]) -> io::Result<()>;
    /// Turns MSI-X off.
    fn clear_vectors(&self) -> io::Result<()>;
    /// Resets the function.
    fn reset(&self) -> io::Result<()>;
    /// Events that end the guest: the device is gone, or wanted elsewhere.
    fn alarms(&self) -> &[Alarm];
}

/// Something that a device says out of turn.
pub struct Alarm {
    /// Becomes readable when it does.
    pub event: EventFd,
    /// What it means, for people.
    pub meaning: &'static str,
    /// And more, if whoever raises it knows more.
    pub detail: Arc<OnceLock<String>>,
}

impl Alarm {
    /// One that nobody has raised yet.
    #[must_use]
    pub fn new(event: EventFd, meaning: &'static str) -> Self {
        Self { event, meaning, detail: Arc::default() }
    }

    /// All that is known, in a line.
    #[must_use]
    pub fn text(&self) -> String {
        match self.detail.get() {
            Some(detail) => format!("{} ({detail})", self.meaning),
            None => self.meaning.to_owned(),
        }
    }
}

/// Pages of a BAR in this process's address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Where in the BAR it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// Where it is mapped.
    pub host: *mut u8,
}

// SAFETY: an address and numbers. Only KVM dereferences the address, by its own rules; the mapping lives as long as the device.
unsafe impl Send for Area {}
// SAFETY: as above.
unsafe impl Sync for Area {}

/// What takes accesses to addresses that are no memory.
pub trait Mmio: Send + Sync {
    /// Reads bytes at an offset; always fills them all.
    fn read(&self, offset: u64, data: &mut [u8]);
    /// Writes bytes at an offset.
    fn write(&self, offset: u64, data: &[u8]);
}

/// A guest address at which pages are mapped; a number of [`Machine::map`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub u32);

/// A message number in KVM's routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gsi(pub u32);

/// What a device model wants of the machine around it.
pub trait Machine: Send + Sync {
    /// Where the guest's accesses are looked up.
    fn addresses(&self) -> &AddressMap;
    /// Shows pages to the guest, so that accesses to them do not exit.
    fn map(&self, guest: u64, area: &Area) -> io::Result<Slot>;
    /// Takes them away.
    fn unmap(&self, slot: Slot);
    /// A number for a message.
    fn allocate_gsi(&self) -> io::Result<Gsi>;
    /// Gives numbers their messages, as addresses and data.
    fn route(&self, routes: &[(Gsi, u64, u32)]) -> io::Result<()>;
    /// Lets an event send a message.
    fn attach(&self, event: &EventFd, gsi: Gsi) -> io::Result<()>;
    /// And no more.
    fn detach(&self, event: &EventFd, gsi: Gsi);
}

/// A machine that a device belongs to.
pub type Host = Arc<dyn Machine>;

/// A flag that something is broken for good, told once.
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    /// True the first time.
    pub fn first(&self) -> bool {
        !self.0.swap(true, std::sync::atomic::Ordering::Relaxed)
    }
}
