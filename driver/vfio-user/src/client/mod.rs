//! The VMM's end of a session.

mod pump;
mod requests;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vfio_bindings::bindings::vfio;
use zerocopy::IntoBytes;

use crate::wire::payload::{
    DeviceInfo, DmaMap, DmaUnmap, IrqInfo, MAP_READ, MAP_WRITE, RegionAccess, RegionInfo, SetIrqs, UNMAP_ALL, split,
};
use crate::wire::{Capabilities, Command, Message};
use crate::{Error, Result};
use pump::Pump;

/// Memory that the device reaches by messages, where it was lent no file; and who must know when the device is gone. Called
/// on the client's own thread.
pub trait Guest: Send + Sync {
    /// Fills `out` from memory at `address`; false if there is none.
    fn read(&self, address: u64, out: &mut [u8]) -> bool {
        let _ = (address, out);
        false
    }

    /// Writes to memory; false if there is none.
    fn write(&self, address: u64, data: &[u8]) -> bool {
        let _ = (address, data);
        false
    }

    /// The session is over though nobody ended it: the server died, or broke the protocol.
    fn gone(&self, error: &Error) {
        let _ = error;
    }
}

impl Guest for () {}

/// A part of a region that may be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparseArea {
    /// Where in the region.
    pub offset: u64,
    /// How many bytes.
    pub size: u64,
}

/// A region of the device.
#[derive(Debug, Default)]
pub struct Region {
    /// Its size; 0 if the device has none of this index.
    pub size: u64,
    /// `VFIO_REGION_INFO_FLAG_*`.
    pub flags: u32,
    /// Where its pages are in [`Self::file`].
    pub offset: u64,
    /// The file whose pages are the region's, if they can be mapped.
    pub file: Option<OwnedFd>,
    /// What of it can be mapped; all, if this is empty and there is a file.
    pub sparse: Vec<SparseArea>,
}

/// A device in another process. All calls may come from several threads at once; each waits for its answer, at most as long
/// as [`Client::connect`] was told.
pub struct Client {
    pump: Arc<Pump>,
    thread: Option<std::thread::JoinHandle<()>>,
    capabilities: Capabilities,
    flags: u32,
    regions: Vec<Region>,
    irqs: Vec<IrqInfo>,
}

/// The most regions and kinds of interrupts that are looked at; PCI has 9 and 5.
const MOST: u32 = 16;

impl Client {
    /// Connects, agrees on a version, and asks what the device has. `timeout` is for each answer: a simulated device is slow,
    /// and a dead one must not stop its machine for ever.
    pub fn connect(path: &Path, guest: Arc<dyn Guest>, timeout: Duration) -> Result<Client> {
        let (pump, thread) = Pump::connect(path, guest, timeout)?;
        // From here on, dropping it ends the thread.
        let mut client = Client {
            pump,
            thread: Some(thread),
            capabilities: Capabilities { max_fds: 1, max_transfer: 4096 },
            flags: 0,
            regions: Vec::new(),
            irqs: Vec::new(),
        };
        let agreed = client.pump.call(Command::Version, &[&crate::wire::version_text()], &[]);
        let reply = agreed.map_err(|error| match error {
            Error::Refused { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
                Error::Busy { path: path.to_owned() }
            }
            error => error,
        })?;
        client.capabilities = crate::wire::parse_version(&reply.payload).map_err(malformed)?;
        let ask = DeviceInfo { argsz: size_of::<DeviceInfo>() as u32, ..DeviceInfo::default() };
        let info: DeviceInfo = client.ask(Command::DeviceGetInfo, ask.as_bytes())?.0;
        client.flags = info.flags;
        for index in 0..info.regions.min(MOST) {
            let region = client.ask_region(index)?;
            client.regions.push(region);
        }
        for index in 0..info.irqs.min(MOST) {
            let ask = IrqInfo { argsz: size_of::<IrqInfo>() as u32, index, ..IrqInfo::default() };
            let irq = client.ask(Command::GetIrqInfo, ask.as_bytes())?.0;
            client.irqs.push(irq);
        }
        client.pump.arm()?;
        Ok(client)
    }

    fn ask<T: zerocopy::FromBytes>(&self, command: Command, payload: &[u8]) -> Result<(T, Message)> {
        let reply = self.pump.call(command, &[payload], &[])?;
        let value = split(command, &reply.payload).map_err(malformed)?.0;
        Ok((value, reply))
    }

    fn ask_region(&self, index: u32) -> Result<Region> {
        // Room for as many areas as anybody has.
        let argsz = (size_of::<RegionInfo>() + 4096) as u32;
        let ask = RegionInfo { argsz, index, ..RegionInfo::default() };
        let (info, reply): (RegionInfo, _) = self.ask(Command::GetRegionInfo, ask.as_bytes())?;
        if info.index != index || info.size > i64::MAX as u64 {
            return Err(Error::Protocol(format!("DEVICE_GET_REGION_INFO: region {index} is not as it can be")));
        }
        let sparse = if info.flags & vfio::VFIO_REGION_INFO_FLAG_CAPS != 0 {
            requests::sparse_areas(&reply.payload, info.cap_offset, info.size)?
        } else {
            Vec::new()
        };
        let mappable = info.flags & vfio::VFIO_REGION_INFO_FLAG_MMAP != 0;
        let file = reply.fds.into_iter().next().filter(|_| mappable);
        Ok(Region { size: info.size, flags: info.flags, offset: info.offset, file, sparse })
    }

    /// Can the device be reset?
    #[must_use]
    pub fn is_resettable(&self) -> bool {
        self.flags & vfio::VFIO_DEVICE_FLAGS_RESET != 0
    }

    /// The device's regions, by their indices (`VFIO_PCI_*_REGION_INDEX`).
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// How many interrupts of a kind it has (`VFIO_PCI_*_IRQ_INDEX`).
    #[must_use]
    pub fn irq_count(&self, index: u32) -> u32 {
        self.irqs.get(index as usize).map_or(0, |irq| irq.count)
    }

    fn check(&self, region: u32, offset: u64, len: u64) -> Result<()> {
        let size = self.regions.get(region as usize).map_or(0, |r| r.size);
        let most = self.capabilities.max_transfer as u64;
        let inside = offset.checked_add(len).is_some_and(|end| end <= size);
        if inside && len > 0 && len <= most { Ok(()) } else { Err(Error::Range { region, offset, len, size }) }
    }

    /// Reads a region.
    pub fn read(&self, region: u32, offset: u64, out: &mut [u8]) -> Result<()> {
        self.check(region, offset, out.len() as u64)?;
        let ask = RegionAccess { offset, region, count: out.len() as u32 };
        let reply = self.pump.call(Command::RegionRead, &[ask.as_bytes()], &[])?;
        let (access, data): (RegionAccess, _) = split(Command::RegionRead, &reply.payload).map_err(malformed)?;
        match data.get(..out.len()) {
            Some(data) if access.count == ask.count => {
                out.copy_from_slice(data);
                Ok(())
            }
            _ => Err(Error::Protocol(format!("REGION_READ: {} bytes for {}", data.len(), out.len()))),
        }
    }

    /// Writes a region; returns when the device has the bytes.
    pub fn write(&self, region: u32, offset: u64, data: &[u8]) -> Result<()> {
        self.check(region, offset, data.len() as u64)?;
        let ask = RegionAccess { offset, region, count: data.len() as u32 };
        self.pump.call(Command::RegionWrite, &[ask.as_bytes(), data], &[]).map(drop)
    }

    /// Lets the device reach memory at `address`: `size` bytes of a file from `offset`, or by messages ([`Guest`]).
    pub fn dma_map(&self, file: Option<(BorrowedFd<'_>, u64)>, address: u64, size: u64) -> Result<()> {
        let argsz = size_of::<DmaMap>() as u32;
        let offset = file.map_or(0, |(_, offset)| offset);
        let map = DmaMap { argsz, flags: MAP_READ | MAP_WRITE, offset, address, size };
        let fds: Vec<BorrowedFd<'_>> = file.iter().map(|(fd, _)| *fd).collect();
        self.pump.call(Command::DmaMap, &[map.as_bytes()], &fds).map(drop)
    }

    /// Ends the mappings in a range. The device cannot reach the memory when this returns.
    pub fn dma_unmap(&self, address: u64, size: u64) -> Result<()> {
        let unmap = DmaUnmap { argsz: size_of::<DmaUnmap>() as u32, flags: 0, address, size };
        self.pump.call(Command::DmaUnmap, &[unmap.as_bytes()], &[]).map(drop)
    }

    /// Ends all mappings.
    pub fn dma_unmap_all(&self) -> Result<()> {
        let argsz = size_of::<DmaUnmap>() as u32;
        let unmap = DmaUnmap { argsz, flags: UNMAP_ALL, ..DmaUnmap::default() };
        self.pump.call(Command::DmaUnmap, &[unmap.as_bytes()], &[]).map(drop)
    }

    /// Interrupts `start` and on of a kind go to these eventfds.
    pub fn set_eventfds(&self, index: u32, start: u32, fds: &[BorrowedFd<'_>]) -> Result<()> {
        let flags = vfio::VFIO_IRQ_SET_DATA_EVENTFD | vfio::VFIO_IRQ_SET_ACTION_TRIGGER;
        for (i, some) in (0..).zip(fds.chunks(self.capabilities.max_fds)) {
            let start = start + i * self.capabilities.max_fds as u32;
            self.set_irqs(SetIrqs { argsz: 0, flags, index, start, count: some.len() as u32 }, &[], some)?;
        }
        Ok(())
    }

    /// Masks or unmasks interrupts; what came meanwhile is told then.
    pub fn mask_irqs(&self, index: u32, start: u32, count: u32, masked: bool) -> Result<()> {
        let action = if masked { vfio::VFIO_IRQ_SET_ACTION_MASK } else { vfio::VFIO_IRQ_SET_ACTION_UNMASK };
        let flags = vfio::VFIO_IRQ_SET_DATA_NONE | action;
        self.set_irqs(SetIrqs { argsz: 0, flags, index, start, count }, &[], &[])
    }

    /// Lets those interrupts fire, from `start` on, for which `fire` is true: to try whether they arrive.
    pub fn trigger_irqs(&self, index: u32, start: u32, fire: &[bool]) -> Result<()> {
        let flags = vfio::VFIO_IRQ_SET_DATA_BOOL | vfio::VFIO_IRQ_SET_ACTION_TRIGGER;
        let which: Vec<u8> = fire.iter().map(|fire| u8::from(*fire)).collect();
        self.set_irqs(SetIrqs { argsz: 0, flags, index, start, count: fire.len() as u32 }, &which, &[])
    }

    /// Disables all interrupts of a kind.
    pub fn disable_irqs(&self, index: u32) -> Result<()> {
        let flags = vfio::VFIO_IRQ_SET_DATA_NONE | vfio::VFIO_IRQ_SET_ACTION_TRIGGER;
        self.set_irqs(SetIrqs { argsz: 0, flags, index, start: 0, count: 0 }, &[], &[])
    }

    fn set_irqs(&self, set: SetIrqs, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        // The size counts descriptors as the kernel's call has them, as numbers; here they go beside the message.
        let set = SetIrqs { argsz: (size_of::<SetIrqs>() + data.len() + 4 * fds.len()) as u32, ..set };
        self.pump.call(Command::SetIrqs, &[set.as_bytes(), data], fds).map(drop)
    }

    /// Ends the session now, as a process that dies does; every call fails from here on. Dropping it does so, too.
    pub fn close(&self) {
        self.pump.end();
    }

    /// Resets the device.
    pub fn reset(&self) -> Result<()> {
        self.pump.call(Command::DeviceReset, &[], &[]).map(drop)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.pump.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn malformed(error: crate::wire::Malformed) -> Error {
    Error::Protocol(error.to_string())
}
