//! The drivers' seam over a socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azote_regs::pcie::CONFIG_SIZE;
use azote_seam::{Error, Function, Mmio, Result, Vector, Width, check_range};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use vfio_bindings::bindings::vfio;

use crate::{Client, Guest};

/// A function in another process.
pub struct UserFunction {
    client: Arc<Client>,
    name: String,
    start: Instant,
}

impl UserFunction {
    /// Connects to a server's socket. `guest` is asked for memory that is mapped without a file; `()` has none.
    pub fn connect(path: &Path, guest: Arc<dyn Guest>, timeout: Duration) -> Result<UserFunction> {
        let name = path.display().to_string();
        let client = Client::connect(path, guest, timeout)
            .map_err(|e| Error::Adapter { function: name.clone(), reason: e.to_string() })?;
        Ok(UserFunction { client: Arc::new(client), name, start: Instant::now() })
    }

    /// The session below.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn error(&self, error: crate::Error) -> Error {
        Error::Adapter { function: self.name.clone(), reason: error.to_string() }
    }
}

impl Function for UserFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn config_read(&self, offset: u64, width: Width) -> Result<u32> {
        check_range("configuration space", offset, width as u64, CONFIG_SIZE)?;
        let mut bytes = [0; 4];
        let read = self.client.read(vfio::VFIO_PCI_CONFIG_REGION_INDEX, offset, &mut bytes[..width as usize]);
        read.map_err(|e| self.error(e))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn config_write(&self, offset: u64, width: Width, value: u32) -> Result<()> {
        check_range("configuration space", offset, width as u64, CONFIG_SIZE)?;
        let bytes = &value.to_le_bytes()[..width as usize];
        self.client.write(vfio::VFIO_PCI_CONFIG_REGION_INDEX, offset, bytes).map_err(|e| self.error(e))
    }

    fn bar(&self, index: usize) -> Result<Arc<dyn Mmio>> {
        let region = u32::try_from(index).ok().filter(|i| *i <= vfio::VFIO_PCI_BAR5_REGION_INDEX);
        let found =
            region.and_then(|r| Some((r, self.client.regions().get(index)?.size))).filter(|(_, size)| *size > 0);
        match found {
            Some((region, size)) => {
                Ok(Arc::new(Bar { client: self.client.clone(), name: self.name.clone(), region, size }))
            }
            None => Err(Error::NoBar { function: self.name.clone(), bar: index }),
        }
    }

    fn dma_map(&self, memory: BorrowedFd<'_>, offset: u64, iova: u64, len: u64) -> Result<()> {
        let failed = |e: crate::Error| Error::Dma { function: self.name.clone(), iova, len, reason: e.to_string() };
        self.client.dma_map(Some((memory, offset)), iova, len).map_err(failed)
    }

    fn dma_unmap(&self, iova: u64, len: u64) -> Result<()> {
        let failed = |e: crate::Error| Error::Dma { function: self.name.clone(), iova, len, reason: e.to_string() };
        self.client.dma_unmap(iova, len).map_err(failed)
    }

    fn enable_msix(&self, count: u16) -> Result<Vec<Arc<dyn Vector>>> {
        let refused = |reason: String| Error::Interrupts { function: self.name.clone(), wanted: count, reason };
        let most = self.client.irq_count(vfio::VFIO_PCI_MSIX_IRQ_INDEX);
        if count == 0 || u32::from(count) > most {
            return Err(refused(format!("the function has {most}; ask for 1 to {most}")));
        }
        let vectors = (0..count).map(|_| Eventfd::new().map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let fds: Vec<BorrowedFd<'_>> = vectors.iter().map(|v| v.0.as_fd()).collect();
        let index = vfio::VFIO_PCI_MSIX_IRQ_INDEX;
        self.client.disable_irqs(index).map_err(|e| refused(e.to_string()))?;
        self.client.set_eventfds(index, 0, &fds).map_err(|e| refused(e.to_string()))?;
        Ok(vectors.into_iter().map(|v| v as Arc<dyn Vector>).collect())
    }

    fn disable_msix(&self) -> Result<()> {
        self.client.disable_irqs(vfio::VFIO_PCI_MSIX_IRQ_INDEX).map_err(|e| self.error(e))
    }

    fn reset(&self) -> Result<()> {
        self.disable_msix()?;
        self.client.reset().map_err(|e| self.error(e))
    }

    fn relax(&self) {
        // The device is another process: give it the processor.
        std::thread::yield_now();
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn settle(&self, delay: Duration) {
        std::thread::sleep(delay);
    }
}

struct Bar {
    client: Arc<Client>,
    name: String,
    region: u32,
    size: u64,
}

impl Bar {
    fn read<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        check_range("BAR", offset, N as u64, self.size)?;
        let mut bytes = [0; N];
        let read = self.client.read(self.region, offset, &mut bytes);
        read.map_err(|e| Error::Adapter { function: self.name.clone(), reason: e.to_string() })?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        check_range("BAR", offset, bytes.len() as u64, self.size)?;
        let written = self.client.write(self.region, offset, bytes);
        written.map_err(|e| Error::Adapter { function: self.name.clone(), reason: e.to_string() })
    }
}

impl Mmio for Bar {
    fn size(&self) -> u64 {
        self.size
    }
    fn read8(&self, offset: u64) -> Result<u8> {
        self.read(offset).map(u8::from_le_bytes)
    }
    fn write8(&self, offset: u64, value: u8) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }
    fn read16(&self, offset: u64) -> Result<u16> {
        self.read(offset).map(u16::from_le_bytes)
    }
    fn write16(&self, offset: u64, value: u16) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }
    fn read32(&self, offset: u64) -> Result<u32> {
        self.read(offset).map(u32::from_le_bytes)
    }
    fn write32(&self, offset: u64, value: u32) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }
    fn read64(&self, offset: u64) -> Result<u64> {
        self.read(offset).map(u64::from_le_bytes)
    }
    fn write64(&self, offset: u64, value: u64) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }
}

/// A vector as an eventfd.
struct Eventfd(OwnedFd);

impl Eventfd {
    fn new() -> Result<Eventfd> {
        let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        made.map(Eventfd).map_err(|e| Error::io("eventfd", e.into()))
    }
}

impl Vector for Eventfd {
    fn take(&self) -> Result<u64> {
        let mut count = [0; 8];
        match rustix::io::read(&self.0, &mut count) {
            Ok(_) => Ok(u64::from_ne_bytes(count)),
            Err(rustix::io::Errno::AGAIN) => Ok(0),
            Err(e) => Err(Error::io("reading an interrupt's eventfd", e.into())),
        }
    }

    fn wait(&self, timeout: Duration) -> Result<u64> {
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        match poll(&mut fds, timeout.try_into().ok().as_ref()) {
            // A signal: the caller's loop looks at its time and comes back.
            Ok(_) | Err(rustix::io::Errno::INTR) => self.take(),
            Err(e) => Err(Error::io("poll", e.into())),
        }
    }
}
