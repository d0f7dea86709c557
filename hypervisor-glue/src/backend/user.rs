//! A function behind a vfio-user server's socket, as [`Device`].

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use azote_vfio_user::{Client, Guest, Region};
use vfio_bindings::bindings::vfio::{VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::mapping::Mapping;
use crate::{
    Error, Result,
    memory::Memory,
    pci::{Alarm, Area, Device, config::BARS},
};

/// Pages.
const PAGE: u64 = 4096;

/// The function.
pub struct UserDevice {
    name: String,
    client: Client,
    areas: [Vec<Area>; BARS],
    alarms: [Alarm; 1],
    // What the areas point to.
    _mappings: Vec<Mapping>,
}

/// Learns of the server's end.
struct Watcher {
    gone: EventFd,
    why: Arc<OnceLock<String>>,
}

impl Guest for Watcher {
    fn gone(&self, error: &azote_vfio_user::Error) {
        let _ = self.why.set(error.to_string());
        let _ = self.gone.write(1);
    }
}

impl UserDevice {
    /// Connects to a server and lends it the guest's memory. A server that takes longer than `timeout` for an answer counts as dead.
    pub fn connect(socket: &Path, timeout: Duration, memory: &Memory) -> Result<Self> {
        let name = socket.display().to_string();
        let fail = |reason: &dyn std::fmt::Display| Error::device(name.clone(), reason);
        let event = EventFd::new(EFD_NONBLOCK).map_err(|e| fail(&e))?;
        let gone = event.try_clone().map_err(|e| fail(&e))?;
        let alarm = Alarm::new(event, "the vfio-user server is gone");
        let watcher = Watcher { gone, why: alarm.detail.clone() };
        let client = match Client::connect(socket, Arc::new(watcher), timeout) {
            Ok(client) => client,
            // This one names the socket itself.
            Err(azote_vfio_user::Error::Connect { source, .. }) => {
                return Err(fail(&format!("{source}; is the server (`azote serve`) running?")));
            }
            Err(e) => return Err(fail(&e)),
        };
        let Some(file) = memory.file() else {
            return Err(fail(&"the guest's memory is not shared"));
        };
        for piece in memory.pieces() {
            let lent = Some((file.as_fd(), piece.offset));
            client.dma_map(lent, piece.guest, piece.len).map_err(|e| fail(&e))?;
        }
        let (mut areas, mut mappings) = (<[Vec<Area>; BARS]>::default(), Vec::new());
        for (areas, region) in areas.iter_mut().zip(client.regions()) {
            map(region, areas, &mut mappings).map_err(|e| fail(&format!("mapping its BAR: {e}")))?;
        }
        Ok(Self { name, client, areas, alarms: [alarm], _mappings: mappings })
    }
}

/// Maps what a region lets be mapped. The file is the server's: an area beyond its end, where an access would be a fault, is not
/// mapped.
fn map(region: &Region, areas: &mut Vec<Area>, mappings: &mut Vec<Mapping>) -> io::Result<()> {
    let Some(fd) = &region.file else { return Ok(()) };
    let file = File::from(fd.try_clone()?);
    let end_of_file = file.metadata()?.len();
    let sparse: Vec<_> = if region.sparse.is_empty() {
        vec![(0, region.size)]
    } else {
        region.sparse.iter().map(|a| (a.offset, a.size)).collect()
    };
    for (offset, len) in sparse {
        let inside = offset.checked_add(len).is_some_and(|end| end <= region.size);
        let place = region.offset.checked_add(offset);
        let backed = place.and_then(|p| p.checked_add(len)).is_some_and(|end| end <= end_of_file);
        if !inside || !backed || len == 0 || offset % PAGE != 0 || len % PAGE != 0 {
            continue;
        }
        let mapping = Mapping::new(&file, place.unwrap_or(0), len)?;
        areas.push(Area { offset, len, host: mapping.address() });
        mappings.push(mapping);
    }
    Ok(())
}

fn failed(error: azote_vfio_user::Error) -> io::Error {
    io::Error::other(error)
}

impl Device for UserDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn config_read(&self, offset: u16, data: &mut [u8]) -> io::Result<()> {
        self.client.read(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data).map_err(failed)
    }

    fn config_write(&self, offset: u16, data: &[u8]) -> io::Result<()> {
        self.client.write(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data).map_err(failed)
    }

    fn bar_size(&self, bar: usize) -> u64 {
        self.client.regions().get(bar).map_or(0, |r| r.size)
    }

    fn areas(&self, bar: usize) -> &[Area] {
        self.areas.get(bar).map_or(&[], Vec::as_slice)
    }

    fn bar_read(&self, bar: usize, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.client.read(bar as u32, offset, data).map_err(failed)
    }

    fn bar_write(&self, bar: usize, offset: u64, data: &[u8]) -> io::Result<()> {
        self.client.write(bar as u32, offset, data).map_err(failed)
    }

    fn vectors(&self) -> u16 {
        self.client.irq_count(VFIO_PCI_MSIX_IRQ_INDEX).min(u16::MAX.into()) as u16
    }

    fn set_vectors(&self, first: u16, events: &[&EventFd]) -> io::Result<()> {
        // SAFETY: each descriptor is that of an event which the caller holds for longer than this call.
        let fds: Vec<_> = events.iter().map(|e| unsafe { BorrowedFd::borrow_raw(e.as_raw_fd()) }).collect();
        self.client.set_eventfds(VFIO_PCI_MSIX_IRQ_INDEX, first.into(), &fds).map_err(failed)
    }

    fn clear_vectors(&self) -> io::Result<()> {
        self.client.disable_irqs(VFIO_PCI_MSIX_IRQ_INDEX).map_err(failed)
    }

    fn reset(&self) -> io::Result<()> {
        if !self.client.is_resettable() {
            return Err(io::Error::other("it has no reset"));
        }
        self.client.reset().map_err(failed)
    }

    fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }
}
