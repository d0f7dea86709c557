//! A function behind vfio-pci, as [`Device`].

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::fs::FileExt,
    },
};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX, VFIO_REGION_INFO_FLAG_MMAP,
};
use vfio_ioctls::{VfioDevice, VfioRegionInfoCap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::backend::mapping::Mapping;
use crate::pci::{Alarm, Area, Device, config::BARS};

/// `VFIO_DEVICE_SET_IRQS`: `_IO(';', 100 + 10)`. vfio-ioctls has the call, but not for a part of the vectors.
const VFIO_DEVICE_SET_IRQS: libc::c_ulong = 0x3b6e;
/// `VFIO_DEVICE_RESET`: `_IO(';', 100 + 11)`. vfio-ioctls has the call, but not its result.
const VFIO_DEVICE_RESET: libc::c_ulong = 0x3b6f;
/// Pages.
const PAGE: u64 = 4096;

/// The function.
pub struct VfioFunction {
    name: String,
    vfio: VfioDevice,
    /// The same file as `vfio`'s, for reading and writing regions with results.
    file: File,
    areas: [Vec<Area>; BARS],
    alarms: Vec<Alarm>,
    // What the areas point to.
    _mappings: Vec<Mapping>,
}

impl VfioFunction {
    /// Maps what can be mapped of its BARs.
    pub fn new(name: String, vfio: VfioDevice) -> io::Result<Self> {
        // SAFETY: the descriptor is open while `vfio` lives, which is longer than this borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(vfio.as_raw_fd()) };
        let file = File::from(fd.try_clone_to_owned()?);
        let mut this = Self { name, vfio, file, areas: Default::default(), alarms: Vec::new(), _mappings: Vec::new() };
        for bar in 0..BARS {
            this.map(bar)?;
        }
        this.watch(VFIO_PCI_REQ_IRQ_INDEX, "its host wants it back")?;
        this.watch(VFIO_PCI_ERR_IRQ_INDEX, "it has failed: an uncorrectable PCI Express error")?;
        Ok(this)
    }

    fn map(&mut self, bar: usize) -> io::Result<()> {
        let index = bar as u32;
        let size = self.vfio.get_region_size(index);
        if self.vfio.get_region_flags(index) & VFIO_REGION_INFO_FLAG_MMAP == 0 || size == 0 {
            return Ok(());
        }
        let sparse = self.vfio.get_region_caps(index).into_iter().find_map(|cap| match cap {
            VfioRegionInfoCap::SparseMmap(sparse) => Some(sparse.areas),
            _ => None,
        });
        let areas: Vec<_> =
            sparse.map_or_else(|| vec![(0, size)], |areas| areas.iter().map(|a| (a.offset, a.size)).collect());
        for (offset, len) in areas {
            let inside = offset.checked_add(len).is_some_and(|end| end <= size);
            if !inside || len == 0 || offset % PAGE != 0 || len % PAGE != 0 {
                continue;
            }
            let mapping = Mapping::new(&self.file, self.vfio.get_region_offset(index).saturating_add(offset), len)?;
            self.areas[bar].push(Area { offset, len, host: mapping.address() });
            self._mappings.push(mapping);
        }
        Ok(())
    }

    /// Watches one of the device's own interrupts, if it has it.
    fn watch(&mut self, index: u32, meaning: &'static str) -> io::Result<()> {
        if self.vfio.get_irq_info(index).is_none_or(|i| i.count == 0) {
            return Ok(());
        }
        let event = EventFd::new(EFD_NONBLOCK)?;
        if self.set_irqs(index, 0, &[&event]).is_ok() {
            self.alarms.push(Alarm::new(event, meaning));
        }
        Ok(())
    }

    /// The place of a region's bytes in the file.
    fn place(&self, region: u32, offset: u64, len: usize) -> io::Result<u64> {
        let inside = offset.checked_add(len as u64).is_some_and(|end| end <= self.vfio.get_region_size(region));
        match self.vfio.get_region_offset(region).checked_add(offset) {
            Some(place) if inside => Ok(place),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn read(&self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        let place = self.place(region, offset, data.len())?;
        self.file.read_exact_at(data, place)
    }

    fn write(&self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        let place = self.place(region, offset, data.len())?;
        self.file.write_all_at(data, place)
    }

    /// `VFIO_DEVICE_SET_IRQS`: with events, they are signalled; without any, the interrupt is disabled.
    fn set_irqs(&self, index: u32, start: u32, events: &[&EventFd]) -> io::Result<()> {
        let data = if events.is_empty() { VFIO_IRQ_SET_DATA_NONE } else { VFIO_IRQ_SET_DATA_EVENTFD };
        let size = 20 + 4 * events.len();
        // struct vfio_irq_set: argsz, flags, index, start, count, then the descriptors.
        let mut words = vec![size as u32, data | VFIO_IRQ_SET_ACTION_TRIGGER, index, start, events.len() as u32];
        words.extend(events.iter().map(|e| e.as_raw_fd() as u32));
        // SAFETY: the structure is as long as its first word says, and the kernel only reads it.
        let done = unsafe { libc::ioctl(self.file.as_raw_fd(), VFIO_DEVICE_SET_IRQS as _, words.as_ptr()) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Device for VfioFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn config_read(&self, offset: u16, data: &mut [u8]) -> io::Result<()> {
        self.read(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn config_write(&self, offset: u16, data: &[u8]) -> io::Result<()> {
        self.write(VFIO_PCI_CONFIG_REGION_INDEX, offset.into(), data)
    }

    fn bar_size(&self, bar: usize) -> u64 {
        self.vfio.get_region_size(bar as u32)
    }

    fn areas(&self, bar: usize) -> &[Area] {
        self.areas.get(bar).map_or(&[], Vec::as_slice)
    }

    fn bar_read(&self, bar: usize, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.read(bar as u32, offset, data)
    }

    fn bar_write(&self, bar: usize, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write(bar as u32, offset, data)
    }

    fn vectors(&self) -> u16 {
        let count = self.vfio.get_irq_info(VFIO_PCI_MSIX_IRQ_INDEX).map_or(0, |i| i.count);
        count.min(u16::MAX.into()) as u16
    }

    fn set_vectors(&self, first: u16, events: &[&EventFd]) -> io::Result<()> {
        self.set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, first.into(), events)
    }

    fn clear_vectors(&self) -> io::Result<()> {
        self.set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, &[])
    }

    fn reset(&self) -> io::Result<()> {
        // SAFETY: a call without an argument, on a device's file.
        let done = unsafe { libc::ioctl(self.file.as_raw_fd(), VFIO_DEVICE_RESET as _) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }
}
