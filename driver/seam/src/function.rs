//! The traits themselves.

use std::{os::fd::BorrowedFd, sync::Arc, time::Duration};

use crate::{Error, Result};

/// The width of a configuration access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One byte.
    Byte = 1,
    /// Two bytes.
    Word = 2,
    /// Four bytes.
    Dword = 4,
}

/// A function of a PCI device, as a driver needs it.
pub trait Function: Send + Sync {
    /// The name for messages: its address where it has one (`0000:01:00.4`).
    fn name(&self) -> &str;

    /// Reads configuration space. `offset` is naturally aligned and below 4096, else [`Error::Range`].
    fn config_read(&self, offset: u64, width: Width) -> Result<u32>;

    /// Writes configuration space, as [`Self::config_read`] reads it. Bits of `value` beyond `width` are ignored.
    fn config_write(&self, offset: u64, width: Width, value: u32) -> Result<()>;

    /// A BAR. The access to it lives as long as the `Arc`, whatever becomes of the `Function`.
    fn bar(&self, index: usize) -> Result<Arc<dyn Mmio>>;

    /// Lets the device reach `len` bytes of `memory` from `offset` at address `iova`. All three are multiples of 4096.
    ///
    /// It is the file that is mapped, not a piece of our address space: a device in another process or in a simulation
    /// needs a descriptor, and an adapter that needs an address maps the file for itself.
    fn dma_map(&self, memory: BorrowedFd<'_>, offset: u64, iova: u64, len: u64) -> Result<()>;

    /// Ends a mapping, whole. The device cannot reach the memory when this returns.
    fn dma_unmap(&self, iova: u64, len: u64) -> Result<()>;

    /// Enables MSI-X with `count` vectors, in place of what was enabled before. A driver does so before it enables its
    /// controller: some devices only look at the MSI-X state then.
    fn enable_msix(&self, count: u16) -> Result<Vec<Arc<dyn Vector>>>;

    /// Disables MSI-X; nothing happens if it is not enabled.
    fn disable_msix(&self) -> Result<()>;

    /// Fires when the machine wants the function back: it is about to be unplugged, or given to another driver. Its user
    /// then ends its work and drops it; until then the machine waits. `None` where nobody can ask.
    fn removal(&self) -> Result<Option<Arc<dyn Vector>>> {
        Ok(None)
    }

    /// Function Level Reset (PCIe 6.6.2). DMA mappings stay; MSI-X is off afterwards, and bus mastering may be: a driver enables
    /// both anew.
    fn reset(&self) -> Result<()>;

    /// Lets the device proceed while the driver has nothing to do, and moves [`Self::now`] forward.
    fn relax(&self);

    /// The device's time since some fixed moment: wall time, or simulated clocks.
    fn now(&self) -> Duration;

    /// Waits out a delay that a specification prescribes before a function may be touched again (after a reset, after VF
    /// Enable). The simulated card, which is ready when it is idle, need not spend clocks on it.
    fn settle(&self, delay: Duration) {
        let until = self.now() + delay;
        while self.now() < until {
            self.relax();
        }
    }

    /// Reads a byte of configuration space.
    fn config_read8(&self, offset: u64) -> Result<u8> {
        Ok(self.config_read(offset, Width::Byte)? as u8)
    }

    /// Reads two bytes of configuration space.
    fn config_read16(&self, offset: u64) -> Result<u16> {
        Ok(self.config_read(offset, Width::Word)? as u16)
    }

    /// Reads four bytes of configuration space.
    fn config_read32(&self, offset: u64) -> Result<u32> {
        self.config_read(offset, Width::Dword)
    }

    /// Writes a byte of configuration space.
    fn config_write8(&self, offset: u64, value: u8) -> Result<()> {
        self.config_write(offset, Width::Byte, value.into())
    }

    /// Writes two bytes of configuration space.
    fn config_write16(&self, offset: u64, value: u16) -> Result<()> {
        self.config_write(offset, Width::Word, value.into())
    }

    /// Writes four bytes of configuration space.
    fn config_write32(&self, offset: u64, value: u32) -> Result<()> {
        self.config_write(offset, Width::Dword, value)
    }
}

/// A memory-mapped region of a function. Every access is one bus access of its width, naturally aligned and checked
/// against the region's end; accesses are not reordered with each other.
pub trait Mmio: Send + Sync {
    /// The size in bytes.
    fn size(&self) -> u64;
    /// Reads a byte. Virtio's registers have widths of their own; an adapter that has no such access says so.
    fn read8(&self, offset: u64) -> Result<u8> {
        Err(Error::Width { offset, width: 1 })
    }
    /// Writes a byte.
    fn write8(&self, offset: u64, _value: u8) -> Result<()> {
        Err(Error::Width { offset, width: 1 })
    }
    /// Reads two bytes.
    fn read16(&self, offset: u64) -> Result<u16> {
        Err(Error::Width { offset, width: 2 })
    }
    /// Writes two bytes.
    fn write16(&self, offset: u64, _value: u16) -> Result<()> {
        Err(Error::Width { offset, width: 2 })
    }
    /// Reads four bytes.
    fn read32(&self, offset: u64) -> Result<u32>;
    /// Writes four bytes.
    fn write32(&self, offset: u64, value: u32) -> Result<()>;
    /// Reads eight bytes.
    fn read64(&self, offset: u64) -> Result<u64>;
    /// Writes eight bytes.
    fn write64(&self, offset: u64, value: u64) -> Result<()>;
}

/// One MSI-X vector. Interrupts that come while nobody looks are counted, not lost.
pub trait Vector: Send + Sync {
    /// Takes what is pending: the number of interrupts since it was last taken (several may have merged into one).
    fn take(&self) -> Result<u64>;

    /// Waits until something is pending and takes it; `0` when `timeout` of the device's time passed instead.
    ///
    /// Over a simulated card this is what clocks it.
    fn wait(&self, timeout: Duration) -> Result<u64>;
}

/// The check that every adapter makes before it touches a region.
pub fn check_range(region: &'static str, offset: u64, width: u64, size: u64) -> Result<()> {
    let inside = offset.checked_add(width).is_some_and(|end| end <= size);
    if inside && width != 0 && offset.is_multiple_of(width) {
        Ok(())
    } else {
        Err(Error::Range { region, offset, width, size })
    }
}

/// Polls `done` until it yields something, letting the device proceed meanwhile.
///
/// `what` completes "… did not happen within".
pub fn poll_until<T, E: From<Error>>(
    function: &dyn Function,
    what: &'static str,
    timeout: Duration,
    mut done: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T, E> {
    let deadline = function.now() + timeout;
    loop {
        // The time first: what happens between it and the last look then still counts.
        let late = function.now() >= deadline;
        if let Some(value) = done()? {
            return Ok(value);
        }
        if late {
            return Err(Error::Timeout { function: function.name().into(), what, after: timeout }.into());
        }
        function.relax();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_must_lie_inside_and_be_aligned() {
        assert!(check_range("BAR", 0xffc, 4, 0x1000).is_ok());
        for (offset, width) in [(0x1000, 4), (0xffe, 4), (2, 4), (0xffc, 8), (u64::MAX - 3, 4), (4, 8), (0, 0)] {
            let e = check_range("BAR", offset, width, 0x1000).unwrap_err();
            assert!(matches!(e, Error::Range { .. }), "{offset:#x} {width}");
        }
    }
}
