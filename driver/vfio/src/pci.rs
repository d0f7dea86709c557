//! A function over pci-driver, for machines with legacy VFIO containers.
//!
//! pci-driver's own regions are used for what only it can reach (configuration space, unmapped BARs), always within bounds
//! that were checked here: some of its safe functions go beyond theirs.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsRawFd, BorrowedFd},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use azote_dma::memlock_hint;
use azote_regs::pcie::CONFIG_SIZE;
use azote_seam::{Error, Function, Mmio, Result, Vector, Width, check_range};
use pci_driver::{
    backends::vfio::VfioPciDevice,
    device::PciDevice,
    regions::{MappedOwningPciRegion, OwningPciRegion, PciRegion, Permissions},
};

use crate::{map::Map, vector::EventVector};

/// A function of this machine.
pub struct PciDriverFunction {
    name: String,
    device: VfioPciDevice,
    state: Mutex<State>,
    start: Instant,
}

#[derive(Default)]
struct State {
    maps: BTreeMap<u64, Map>,
    msix: bool,
}

impl PciDriverFunction {
    /// Takes a function by its sysfs folder.
    pub fn new(name: &str, sysfs: &Path) -> Result<Self> {
        let device = VfioPciDevice::open(sysfs).map_err(|e| Error::io(format!("{name}: VFIO"), e))?;
        Ok(Self { name: name.into(), device, state: Mutex::default(), start: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn io(&self, what: &str, e: io::Error) -> Error {
        Error::io(format!("{}: {what}", self.name), e)
    }

    fn dma_error(&self, iova: u64, len: u64, reason: String) -> Error {
        Error::Dma { function: self.name.clone(), iova, len, reason }
    }
}

/// A BAR: mapped whole if it can be, by system calls else.
enum PciBar {
    Mapped(MappedOwningPciRegion),
    Unmapped(OwningPciRegion),
}

impl PciBar {
    fn region(&self) -> &dyn PciRegion {
        match self {
            Self::Mapped(r) => r,
            Self::Unmapped(r) => r,
        }
    }

    /// The place of a 64-bit register: pci-driver has no access of that width.
    fn place64(&self, offset: u64) -> Option<*mut u64> {
        match self {
            // SAFETY: the caller has checked that eight bytes at `offset` are inside of the mapping.
            Self::Mapped(r) => Some(unsafe { r.as_mut_ptr().add(offset as usize) }.cast()),
            Self::Unmapped(_) => None,
        }
    }
}

fn failed(what: &'static str, offset: u64) -> impl Fn(io::Error) -> Error {
    move |e| Error::io(format!("{what} BAR offset {offset:#x}"), e)
}

impl Mmio for PciBar {
    fn size(&self) -> u64 {
        self.region().len()
    }

    fn read8(&self, offset: u64) -> Result<u8> {
        check_range("BAR", offset, 1, self.size())?;
        self.region().read_u8(offset).map_err(failed("reading", offset))
    }

    fn write8(&self, offset: u64, value: u8) -> Result<()> {
        check_range("BAR", offset, 1, self.size())?;
        self.region().write_u8(offset, value).map_err(failed("writing", offset))
    }

    fn read16(&self, offset: u64) -> Result<u16> {
        check_range("BAR", offset, 2, self.size())?;
        self.region().read_le_u16(offset).map_err(failed("reading", offset))
    }

    fn write16(&self, offset: u64, value: u16) -> Result<()> {
        check_range("BAR", offset, 2, self.size())?;
        self.region().write_le_u16(offset, value).map_err(failed("writing", offset))
    }

    fn read32(&self, offset: u64) -> Result<u32> {
        check_range("BAR", offset, 4, self.size())?;
        self.region().read_le_u32(offset).map_err(failed("reading", offset))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<()> {
        check_range("BAR", offset, 4, self.size())?;
        self.region().write_le_u32(offset, value).map_err(failed("writing", offset))
    }

    fn read64(&self, offset: u64) -> Result<u64> {
        check_range("BAR", offset, 8, self.size())?;
        match self.place64(offset) {
            // SAFETY: checked to be inside and aligned; `self` keeps the mapping.
            Some(place) => Ok(u64::from_le(unsafe { place.read_volatile() })),
            None => {
                let mut bytes = [0; 8];
                self.region().read_bytes(offset, &mut bytes).map_err(failed("reading", offset))?;
                Ok(u64::from_le_bytes(bytes))
            }
        }
    }

    fn write64(&self, offset: u64, value: u64) -> Result<()> {
        check_range("BAR", offset, 8, self.size())?;
        match self.place64(offset) {
            // SAFETY: as in `read64`.
            Some(place) => unsafe { place.write_volatile(value.to_le()) },
            // Low half first, as NVMe 3.1 allows for its 64-bit registers.
            None => {
                self.write32(offset, value as u32)?;
                self.write32(offset + 4, (value >> 32) as u32)?;
            }
        }
        Ok(())
    }
}

impl Function for PciDriverFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn config_read(&self, offset: u64, width: Width) -> Result<u32> {
        check_range("configuration space", offset, width as u64, CONFIG_SIZE)?;
        let config = self.device.config();
        let value = match width {
            Width::Byte => config.read_u8(offset).map(u32::from),
            Width::Word => config.read_le_u16(offset).map(u32::from),
            Width::Dword => config.read_le_u32(offset),
        };
        value.map_err(|e| self.io("reading configuration space", e))
    }

    fn config_write(&self, offset: u64, width: Width, value: u32) -> Result<()> {
        check_range("configuration space", offset, width as u64, CONFIG_SIZE)?;
        let config = self.device.config();
        let result = match width {
            Width::Byte => config.write_u8(offset, value as u8),
            Width::Word => config.write_le_u16(offset, value as u16),
            Width::Dword => config.write_le_u32(offset, value),
        };
        result.map_err(|e| self.io("writing configuration space", e))
    }

    fn bar(&self, index: usize) -> Result<Arc<dyn Mmio>> {
        let none = || Error::NoBar { function: self.name.clone(), bar: index };
        let region = self.device.bar(index).ok_or_else(none)?;
        let mapped = region.is_mappable().then(|| region.map(.., Permissions::ReadWrite).ok()).flatten();
        Ok(Arc::new(mapped.map_or(PciBar::Unmapped(region), PciBar::Mapped)))
    }

    fn dma_map(&self, memory: BorrowedFd<'_>, offset: u64, iova: u64, len: u64) -> Result<()> {
        let map = Map::new(memory, offset, len).map_err(|e| self.dma_error(iova, len, e.to_string()))?;
        let (address, size) = map.raw();
        let mut state = self.lock();
        // SAFETY: `map` keeps the range mapped, and it is put into `maps`, where it stays until the unmapping succeeded.
        unsafe { self.device.iommu().map(iova, size, address, Permissions::ReadWrite) }
            .map_err(|e| self.dma_error(iova, len, format!("{e}; {}", memlock_hint())))?;
        state.maps.insert(iova, map);
        Ok(())
    }

    fn dma_unmap(&self, iova: u64, len: u64) -> Result<()> {
        let mut state = self.lock();
        match state.maps.get(&iova).map(|m| m.raw().1) {
            Some(size) if size as u64 == len => {}
            _ => return Err(self.dma_error(iova, len, "is not a mapping".into())),
        }
        self.device
            .iommu()
            .unmap(iova, len as usize)
            .map_err(|e| self.dma_error(iova, len, format!("unmapping: {e}")))?;
        state.maps.remove(&iova);
        Ok(())
    }

    fn enable_msix(&self, count: u16) -> Result<Vec<Arc<dyn Vector>>> {
        self.disable_msix()?;
        let vectors = (0..count).map(|_| EventVector::new()).collect::<Result<Vec<_>>>()?;
        let fds: Vec<_> = vectors.iter().map(|v| v.fd().as_raw_fd()).collect();
        let mut state = self.lock();
        self.device.interrupts().msi_x().enable(&fds).map_err(|e| Error::Interrupts {
            function: self.name.clone(),
            wanted: count,
            reason: format!("VFIO: {e}"),
        })?;
        state.msix = true;
        Ok(vectors.into_iter().map(|v| v as Arc<dyn Vector>).collect())
    }

    fn disable_msix(&self) -> Result<()> {
        if std::mem::take(&mut self.lock().msix) {
            self.device.interrupts().msi_x().disable().map_err(|e| self.io("disabling MSI-X", e))?;
        }
        Ok(())
    }

    fn reset(&self) -> Result<()> {
        self.disable_msix()?;
        self.device.reset().map_err(|e| self.io("function level reset", e))
    }

    fn relax(&self) {
        std::hint::spin_loop();
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn settle(&self, delay: Duration) {
        std::thread::sleep(delay);
    }
}

impl Drop for PciDriverFunction {
    fn drop(&mut self) {
        for (iova, map) in std::mem::take(&mut self.lock().maps) {
            let (_, len) = map.raw();
            if self.device.iommu().unmap(iova, len).is_err() {
                // As in `VfioFunction`: the device may still reach it.
                std::mem::forget(map);
            }
        }
    }
}
