//! A function made of memory, for tests: configuration space is an array, the rest a [`Device`] that the test writes.
//!
//! The device sees memory as a real one does, by IOVA and only where it was mapped, and proceeds only when the driver lets
//! it ([`Function::relax`], [`Vector::wait`]), so that a test has the same result every time. Time is counted in steps.

use std::{
    collections::BTreeMap,
    fs::File,
    os::{fd::BorrowedFd, unix::fs::FileExt},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use azote_regs::pcie;

use crate::{Error, Function, Mmio, Result, Vector, Width, check_range};

/// What one step of a mock device takes.
pub const STEP: Duration = Duration::from_micros(10);

/// The behaviour behind the BARs.
pub trait Device: Send + 'static {
    /// The size of a BAR; 0 where there is none.
    fn bar_size(&self, bar: usize) -> u64;
    /// A register read of `width` bytes, aligned and inside.
    fn read(&mut self, bar: usize, offset: u64, width: u64) -> u64;
    /// A register write.
    fn write(&mut self, bar: usize, offset: u64, width: u64, value: u64);
    /// Proceeds by one step.
    fn step(&mut self, host: &mut Host);
    /// Function Level Reset.
    fn reset(&mut self);
}

/// The host as the device sees it.
#[derive(Default)]
pub struct Host {
    /// IOVA to (file, offset in it, length).
    maps: BTreeMap<u64, (File, u64, u64)>,
    vectors: Vec<Arc<AtomicU64>>,
    /// DMA requests that no mapping covers, as an IOMMU would report them.
    pub faults: Vec<(u64, usize)>,
}

impl Host {
    fn place(&self, iova: u64, len: usize) -> Option<(&File, u64)> {
        let (&base, (file, offset, size)) = self.maps.range(..=iova).next_back()?;
        let inside = iova - base;
        (inside.checked_add(len as u64)? <= *size).then_some((file, offset + inside))
    }

    /// Reads host memory; false, and a fault, where it is not mapped.
    pub fn read(&mut self, iova: u64, data: &mut [u8]) -> bool {
        let ok = self.place(iova, data.len()).is_some_and(|(file, at)| file.read_exact_at(data, at).is_ok());
        if !ok {
            self.faults.push((iova, data.len()));
        }
        ok
    }

    /// Writes host memory; false, and a fault, where it is not mapped.
    pub fn write(&mut self, iova: u64, data: &[u8]) -> bool {
        let ok = self.place(iova, data.len()).is_some_and(|(file, at)| file.write_all_at(data, at).is_ok());
        if !ok {
            self.faults.push((iova, data.len()));
        }
        ok
    }

    /// Raises an interrupt; nothing if the vector is not enabled.
    pub fn interrupt(&mut self, vector: u16) {
        if let Some(v) = self.vectors.get(usize::from(vector)) {
            v.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The number of mappings.
    #[must_use]
    pub fn mappings(&self) -> usize {
        self.maps.len()
    }
}

struct State<D> {
    config: Vec<u8>,
    device: D,
    host: Host,
}

/// A mock function with `D` behind its BARs.
pub struct Mock<D> {
    name: String,
    state: Mutex<State<D>>,
    steps: AtomicU64,
    this: Weak<Self>,
}

impl<D: Device> Mock<D> {
    /// A function with empty configuration space.
    pub fn new(name: &str, device: D) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            name: name.into(),
            state: Mutex::new(State { config: vec![0; pcie::CONFIG_SIZE as usize], device, host: Host::default() }),
            steps: AtomicU64::new(0),
            this: this.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a DW into configuration space.
    pub fn set_config32(&self, offset: u64, value: u32) {
        let at = offset as usize;
        self.lock().config[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Looks at the device or changes it.
    pub fn with<T>(&self, f: impl FnOnce(&mut D, &mut Host) -> T) -> T {
        let state = &mut *self.lock();
        f(&mut state.device, &mut state.host)
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::SeqCst);
        let state = &mut *self.lock();
        state.device.step(&mut state.host);
    }
}

impl<D: Device> Function for Mock<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn config_read(&self, offset: u64, width: Width) -> Result<u32> {
        check_range("configuration space", offset, width as u64, pcie::CONFIG_SIZE)?;
        let at = offset as usize;
        let mut bytes = [0; 4];
        bytes[..width as usize].copy_from_slice(&self.lock().config[at..at + width as usize]);
        Ok(u32::from_le_bytes(bytes))
    }

    fn config_write(&self, offset: u64, width: Width, value: u32) -> Result<()> {
        check_range("configuration space", offset, width as u64, pcie::CONFIG_SIZE)?;
        let at = offset as usize;
        self.lock().config[at..at + width as usize].copy_from_slice(&value.to_le_bytes()[..width as usize]);
        Ok(())
    }

    fn bar(&self, index: usize) -> Result<Arc<dyn Mmio>> {
        let size = self.lock().device.bar_size(index);
        match self.this.upgrade() {
            Some(mock) if size != 0 => Ok(Arc::new(Bar { mock, index, size })),
            _ => Err(Error::NoBar { function: self.name.clone(), bar: index }),
        }
    }

    fn dma_map(&self, memory: BorrowedFd<'_>, offset: u64, iova: u64, len: u64) -> Result<()> {
        let refuse = |reason: &str| Error::Dma { function: self.name.clone(), iova, len, reason: reason.into() };
        if (offset | iova | len) & 0xfff != 0 || len == 0 {
            return Err(refuse("not whole pages"));
        }
        let file = memory.try_clone_to_owned().map_err(|e| Error::io("dup of the DMA memory", e))?;
        let state = &mut *self.lock();
        if state.host.maps.iter().any(|(base, (_, _, size))| iova < base + size && *base < iova + len) {
            return Err(refuse("overlaps a mapping"));
        }
        state.host.maps.insert(iova, (file.into(), offset, len));
        Ok(())
    }

    fn dma_unmap(&self, iova: u64, len: u64) -> Result<()> {
        let maps = &mut self.lock().host.maps;
        if maps.get(&iova).is_some_and(|m| m.2 == len) {
            maps.remove(&iova);
            return Ok(());
        }
        Err(Error::Dma { function: self.name.clone(), iova, len, reason: "is not a mapping".into() })
    }

    fn enable_msix(&self, count: u16) -> Result<Vec<Arc<dyn Vector>>> {
        let Some(mock) = self.this.upgrade() else {
            return Ok(Vec::new());
        };
        let pending: Vec<_> = (0..count).map(|_| Arc::new(AtomicU64::new(0))).collect();
        self.lock().host.vectors = pending.clone();
        Ok(pending
            .into_iter()
            .map(|pending| Arc::new(MockVector { mock: mock.clone(), pending }) as Arc<dyn Vector>)
            .collect())
    }

    fn disable_msix(&self) -> Result<()> {
        self.lock().host.vectors.clear();
        Ok(())
    }

    fn reset(&self) -> Result<()> {
        let state = &mut *self.lock();
        state.device.reset();
        state.host.vectors.clear();
        Ok(())
    }

    fn relax(&self) {
        self.step();
    }

    fn now(&self) -> Duration {
        STEP * u32::try_from(self.steps.load(Ordering::SeqCst)).unwrap_or(u32::MAX)
    }
}

struct Bar<D> {
    mock: Arc<Mock<D>>,
    index: usize,
    size: u64,
}

impl<D: Device> Bar<D> {
    fn read(&self, offset: u64, width: u64) -> Result<u64> {
        check_range("BAR", offset, width, self.size)?;
        Ok(self.mock.lock().device.read(self.index, offset, width))
    }

    fn write(&self, offset: u64, width: u64, value: u64) -> Result<()> {
        check_range("BAR", offset, width, self.size)?;
        self.mock.lock().device.write(self.index, offset, width, value);
        Ok(())
    }
}

impl<D: Device> Mmio for Bar<D> {
    fn size(&self) -> u64 {
        self.size
    }
    fn read8(&self, offset: u64) -> Result<u8> {
        Ok(self.read(offset, 1)? as u8)
    }
    fn write8(&self, offset: u64, value: u8) -> Result<()> {
        self.write(offset, 1, value.into())
    }
    fn read16(&self, offset: u64) -> Result<u16> {
        Ok(self.read(offset, 2)? as u16)
    }
    fn write16(&self, offset: u64, value: u16) -> Result<()> {
        self.write(offset, 2, value.into())
    }
    fn read32(&self, offset: u64) -> Result<u32> {
        Ok(self.read(offset, 4)? as u32)
    }
    fn write32(&self, offset: u64, value: u32) -> Result<()> {
        self.write(offset, 4, value.into())
    }
    fn read64(&self, offset: u64) -> Result<u64> {
        self.read(offset, 8)
    }
    fn write64(&self, offset: u64, value: u64) -> Result<()> {
        self.write(offset, 8, value)
    }
}

struct MockVector<D> {
    mock: Arc<Mock<D>>,
    pending: Arc<AtomicU64>,
}

impl<D: Device> Vector for MockVector<D> {
    fn take(&self) -> Result<u64> {
        Ok(self.pending.swap(0, Ordering::SeqCst))
    }

    fn wait(&self, timeout: Duration) -> Result<u64> {
        let deadline = self.mock.now() + timeout;
        loop {
            let n = self.pending.swap(0, Ordering::SeqCst);
            if n != 0 || self.mock.now() >= deadline {
                return Ok(n);
            }
            self.mock.step();
        }
    }
}

/// A device that is only memory: two BARs of 64 KiB that keep what is written.
#[derive(Default)]
pub struct Plain {
    /// What was written, by BAR and offset of the DW.
    pub words: BTreeMap<(usize, u64), u32>,
}

impl Device for Plain {
    fn bar_size(&self, bar: usize) -> u64 {
        if bar == 0 || bar == 2 { 0x1_0000 } else { 0 }
    }
    fn read(&mut self, bar: usize, offset: u64, width: u64) -> u64 {
        let mut dw = |at| u64::from(*self.words.entry((bar, at)).or_default());
        if width == 8 { dw(offset) | dw(offset + 4) << 32 } else { dw(offset) }
    }
    fn write(&mut self, bar: usize, offset: u64, width: u64, value: u64) {
        self.words.insert((bar, offset), value as u32);
        if width == 8 {
            self.words.insert((bar, offset + 4), (value >> 32) as u32);
        }
    }
    fn step(&mut self, _: &mut Host) {}
    fn reset(&mut self) {
        self.words.clear();
    }
}
