//! A function over vfio-ioctls: iommufd where the machine has it, a legacy container else.

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
use vfio_bindings::bindings::vfio;
use vfio_ioctls::{VfioDevice, VfioError, VfioOps, VfioRegionInfoCap};

use crate::{
    bar::{Bar, Slow},
    map::Map,
    vector::EventVector,
};

/// `VFIO_DEVICE_RESET`: `_IO(';', 100 + 11)`. vfio-ioctls has the call but not its result.
const VFIO_DEVICE_RESET: libc::c_ulong = 0x3b6f;

/// A function of this machine.
pub struct VfioFunction {
    device: Arc<Device>,
    state: Mutex<State>,
    start: Instant,
}

struct Device {
    name: String,
    vfio: VfioDevice,
    ops: Arc<dyn VfioOps>,
}

#[derive(Default)]
struct State {
    /// What the device can reach, by its address; the maps keep the memory where the kernel was told that it is.
    maps: BTreeMap<u64, Map>,
    msix: bool,
}

impl VfioFunction {
    /// Takes a function by its sysfs folder, into an IOMMU context that may be shared with others.
    pub fn new(name: &str, sysfs: &Path, ops: Arc<dyn VfioOps>) -> Result<Self> {
        let vfio = VfioDevice::new(sysfs, ops.clone(), true)
            .map_err(|e| Error::Adapter { function: name.into(), reason: refusal(&e) })?;
        let device = Arc::new(Device { name: name.into(), vfio, ops });
        Ok(Self { device, state: Mutex::default(), start: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dma_error(&self, iova: u64, len: u64, reason: String) -> Error {
        Error::Dma { function: self.device.name.clone(), iova, len, reason }
    }
}

/// Why a function cannot be taken. A group has one user.
fn refusal(error: &VfioError) -> String {
    match error {
        VfioError::OpenGroup(source, _) if source.raw_os_error() == Some(libc::EBUSY) => {
            "busy: another process has it; `azote vf list` says which".into()
        }
        error => format!("VFIO: {error}"),
    }
}

impl Device {
    /// The place of a region in the device's file, if `len` bytes at `offset` are inside of it.
    fn place(&self, region: u32, offset: u64, len: usize) -> io::Result<i64> {
        let inside = offset.checked_add(len as u64).is_some_and(|end| end <= self.vfio.get_region_size(region));
        let place = self.vfio.get_region_offset(region).checked_add(offset);
        match place.and_then(|p| i64::try_from(p).ok()) {
            Some(place) if inside => Ok(place),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn read(&self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        let place = self.place(region, offset, data.len())?;
        // SAFETY: `data` is valid for its length, the descriptor is open while `self` is.
        let n = unsafe { libc::pread(self.vfio.as_raw_fd(), data.as_mut_ptr().cast(), data.len(), place) };
        whole(n, data.len())
    }

    fn write(&self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        let place = self.place(region, offset, data.len())?;
        // SAFETY: as in `read`.
        let n = unsafe { libc::pwrite(self.vfio.as_raw_fd(), data.as_ptr().cast(), data.len(), place) };
        whole(n, data.len())
    }
}

/// The result of a transfer that must be whole.
fn whole(n: isize, wanted: usize) -> io::Result<()> {
    match usize::try_from(n) {
        Err(_) => Err(io::Error::last_os_error()),
        Ok(n) if n == wanted => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A region by system calls.
struct Region(Arc<Device>, u32);

impl Slow for Region {
    fn read(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.0.read(self.1, offset, data)
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(self.1, offset, data)
    }
}

impl Function for VfioFunction {
    fn name(&self) -> &str {
        &self.device.name
    }

    fn config_read(&self, offset: u64, width: Width) -> Result<u32> {
        check_range("configuration space", offset, width as u64, CONFIG_SIZE)?;
        let mut bytes = [0; 4];
        self.device
            .read(vfio::VFIO_PCI_CONFIG_REGION_INDEX, offset, &mut bytes[..width as usize])
            .map_err(|e| Error::io(format!("{}: reading configuration {offset:#x}", self.device.name), e))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn config_write(&self, offset: u64, width: Width, value: u32) -> Result<()> {
        check_range("configuration space", offset, width as u64, CONFIG_SIZE)?;
        self.device
            .write(vfio::VFIO_PCI_CONFIG_REGION_INDEX, offset, &value.to_le_bytes()[..width as usize])
            .map_err(|e| Error::io(format!("{}: writing configuration {offset:#x}", self.device.name), e))
    }

    fn bar(&self, index: usize) -> Result<Arc<dyn Mmio>> {
        let none = || Error::NoBar { function: self.device.name.clone(), bar: index };
        let region = u32::try_from(index).ok().filter(|&i| i <= vfio::VFIO_PCI_BAR5_REGION_INDEX).ok_or_else(none)?;
        let device = &self.device.vfio;
        let size = device.get_region_size(region);
        if size == 0 {
            return Err(none());
        }
        let mut wanted = Vec::new();
        if device.get_region_flags(region) & vfio::VFIO_REGION_INFO_FLAG_MMAP != 0 {
            // Sparse areas where the kernel keeps a part for itself, else all of it.
            let sparse = device.get_region_caps(region).into_iter().find_map(|cap| match cap {
                VfioRegionInfoCap::SparseMmap(s) => Some(s.areas.iter().map(|a| (a.offset, a.size)).collect()),
                _ => None,
            });
            wanted = sparse.unwrap_or_else(|| vec![(0, size)]);
        }
        // SAFETY: the descriptor belongs to `device`, which outlives this borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) };
        let base = device.get_region_offset(region);
        let areas = wanted
            .into_iter()
            .filter(|&(at, len)| len != 0 && at.checked_add(len).is_some_and(|end| end <= size))
            // What can not be mapped is reached by system calls.
            .filter_map(|(at, len)| Some((at, Map::new(fd, base.checked_add(at)?, len).ok()?)))
            .collect();
        Ok(Arc::new(Bar { size, areas, slow: Arc::new(Region(self.device.clone(), region)) }))
    }

    fn dma_map(&self, memory: BorrowedFd<'_>, offset: u64, iova: u64, len: u64) -> Result<()> {
        let map = Map::new(memory, offset, len).map_err(|e| self.dma_error(iova, len, e.to_string()))?;
        let (address, size) = map.raw();
        let mut state = self.lock();
        // SAFETY: `map` keeps the range mapped, and it is put into `maps`, where it stays until the unmapping succeeded.
        unsafe { self.device.ops.vfio_dma_map(iova, size, address) }
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
            .ops
            .vfio_dma_unmap(iova, len as usize)
            .map_err(|e| self.dma_error(iova, len, format!("unmapping: {e}")))?;
        state.maps.remove(&iova);
        Ok(())
    }

    fn enable_msix(&self, count: u16) -> Result<Vec<Arc<dyn Vector>>> {
        // Always from nothing: kernels before 6.2 can not add vectors to what is enabled.
        self.disable_msix()?;
        let vectors = (0..count).map(|_| EventVector::new()).collect::<Result<Vec<_>>>()?;
        let refuse = |reason| Error::Interrupts { function: self.device.name.clone(), wanted: count, reason };
        let mut state = self.lock();
        self.device
            .vfio
            .enable_msix(vectors.iter().map(|v| v.fd()).collect())
            .map_err(|e| refuse(format!("VFIO: {e}")))?;
        state.msix = true;
        Ok(vectors.into_iter().map(|v| v as Arc<dyn Vector>).collect())
    }

    fn disable_msix(&self) -> Result<()> {
        let mut state = self.lock();
        // Disabling what is not enabled is an error of the kernel's.
        if std::mem::take(&mut state.msix) {
            self.device
                .vfio
                .disable_msix()
                .map_err(|e| Error::Adapter { function: self.device.name.clone(), reason: format!("VFIO: {e}") })?;
        }
        Ok(())
    }

    fn removal(&self) -> Result<Option<Arc<dyn Vector>>> {
        let vector = EventVector::new()?;
        // A kernel without this interrupt (before 4.0) refuses, and then nobody can ask.
        let set = self.device.vfio.enable_irq(vfio::VFIO_PCI_REQ_IRQ_INDEX, vec![vector.fd()]);
        Ok(set.is_ok().then_some(vector as Arc<dyn Vector>))
    }

    fn reset(&self) -> Result<()> {
        self.disable_msix()?;
        // SAFETY: the call takes no argument; the descriptor is open while `self` is.
        if unsafe { libc::ioctl(self.device.vfio.as_raw_fd(), VFIO_DEVICE_RESET) } < 0 {
            let e = io::Error::last_os_error();
            return Err(Error::io(format!("{}: function level reset", self.device.name), e));
        }
        Ok(())
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

impl Drop for VfioFunction {
    fn drop(&mut self) {
        // The IOMMU context may outlive this function: nothing of ours must stay in it.
        for (iova, map) in std::mem::take(&mut self.lock().maps) {
            let (_, len) = map.raw();
            if self.device.ops.vfio_dma_unmap(iova, len).is_err() {
                // The device may still reach the memory; its pages stay pinned, and must not be reused by us.
                std::mem::forget(map);
            }
        }
    }
}
