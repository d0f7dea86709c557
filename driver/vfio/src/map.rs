//! A piece of a file in our address space: a BAR of a VFIO device, or memory for DMA.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

/// A shared mapping, never a reference: what it shows changes without us.
#[derive(Debug)]
pub(crate) struct Map {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone and is accessed by volatile words only, from any thread.
unsafe impl Send for Map {}
// SAFETY: as above; concurrent accesses are what a device register is made for.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `len` bytes of a file from `offset`; both are whole pages.
    pub fn new(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<Self> {
        let bad = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let (len, offset) = (usize::try_from(len).map_err(bad)?, i64::try_from(offset).map_err(bad)?);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing; the descriptor is open.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, file.as_raw_fd(), offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(base.cast()).map(|base| Self { base, len }).ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// The address and length, for the kernel.
    pub fn raw(&self) -> (*mut u8, usize) {
        (self.base.as_ptr(), self.len)
    }

    /// The place of a `T`; `None` outside of the mapping or off its alignment.
    fn place<T>(&self, offset: u64) -> Option<*mut T> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(size_of::<T>())?;
        if end > self.len || !offset.is_multiple_of(size_of::<T>()) {
            return None;
        }
        // SAFETY: inside of the mapping, as was just checked.
        Some(unsafe { self.base.as_ptr().add(offset) }.cast())
    }

    /// Reads a byte.
    pub fn read8(&self, offset: u64) -> Option<u8> {
        // SAFETY: as in `read32`.
        self.place::<u8>(offset).map(|p| unsafe { p.read_volatile() })
    }

    /// Writes a byte.
    pub fn write8(&self, offset: u64, value: u8) -> Option<()> {
        // SAFETY: as in `read32`.
        self.place::<u8>(offset).map(|p| unsafe { p.write_volatile(value) })
    }

    /// Reads two bytes, little-endian.
    pub fn read16(&self, offset: u64) -> Option<u16> {
        // SAFETY: as in `read32`.
        self.place::<u16>(offset).map(|p| u16::from_le(unsafe { p.read_volatile() }))
    }

    /// Writes two bytes, little-endian.
    pub fn write16(&self, offset: u64, value: u16) -> Option<()> {
        // SAFETY: as in `read32`.
        self.place::<u16>(offset).map(|p| unsafe { p.write_volatile(value.to_le()) })
    }

    /// Reads four bytes, little-endian.
    pub fn read32(&self, offset: u64) -> Option<u32> {
        // SAFETY: `place` is inside and aligned, and the mapping lives as long as `self`.
        self.place::<u32>(offset).map(|p| u32::from_le(unsafe { p.read_volatile() }))
    }

    /// Reads eight bytes, little-endian.
    pub fn read64(&self, offset: u64) -> Option<u64> {
        // SAFETY: as in `read32`.
        self.place::<u64>(offset).map(|p| u64::from_le(unsafe { p.read_volatile() }))
    }

    /// Writes four bytes, little-endian.
    pub fn write32(&self, offset: u64, value: u32) -> Option<()> {
        // SAFETY: as in `read32`.
        self.place::<u32>(offset).map(|p| unsafe { p.write_volatile(value.to_le()) })
    }

    /// Writes eight bytes, little-endian.
    pub fn write64(&self, offset: u64, value: u64) -> Option<()> {
        // SAFETY: as in `read32`.
        self.place::<u64>(offset).map(|p| unsafe { p.write_volatile(value.to_le()) })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, whole; no pointer to it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::{fd::AsFd, unix::fs::FileExt};

    #[test]
    fn accesses_are_words_inside_of_the_mapping() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let m = Map::new(file.as_fd(), 4096, 4096).unwrap();
        m.write64(8, 0x0102_0304_0506_0708).unwrap();
        let mut b = [0; 8];
        file.read_exact_at(&mut b, 4096 + 8).unwrap();
        assert_eq!(b, [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!((m.read32(12), m.read64(8)), (Some(0x0102_0304), Some(0x0102_0304_0506_0708)));
        for offset in [4096, 4094, 2, u64::MAX, u64::MAX - 3] {
            assert_eq!((m.read32(offset), m.write32(offset, 1)), (None, None), "{offset:#x}");
        }
        assert_eq!((m.read64(4), m.read64(4092)), (None, None));
    }

    #[test]
    fn what_can_not_be_mapped_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        assert!(Map::new(file.as_fd(), 1, 4096).is_err());
        assert!(Map::new(file.as_fd(), 0, 0).is_err());
        assert!(Map::new(file.as_fd(), u64::MAX, 4096).is_err());
    }
}
