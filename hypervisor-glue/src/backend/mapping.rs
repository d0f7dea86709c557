//! Pages of a BAR in our address space. Nothing here reads or writes them: the address is for KVM.

use std::{fs::File, io, os::fd::AsRawFd, ptr};

/// A mapping that lasts as long as this value.
#[derive(Debug)]
pub struct Mapping {
    base: *mut libc::c_void,
    len: usize,
}

// SAFETY: only the address is handed out, and nothing is dereferenced here; unmapping is the owner's.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps so many bytes of a device's file.
    pub fn new(file: &File, offset: u64, len: u64) -> io::Result<Self> {
        let bad = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let (len, offset) = (usize::try_from(len).map_err(bad)?, i64::try_from(offset).map_err(bad)?);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the descriptor is open.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED, file.as_raw_fd(), offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base, len })
    }

    /// Where it is.
    pub fn address(&self) -> *mut u8 {
        self.base.cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `new` has mapped, whole; guests' slots on it are gone before their device is.
        unsafe { libc::munmap(self.base, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_mapped_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        assert!(!Mapping::new(&file, 4096, 4096).unwrap().address().is_null());
        for (offset, len) in [(1, 4096), (0, 0), (u64::MAX, 4096), (0, u64::MAX)] {
            assert!(Mapping::new(&file, offset, len).is_err());
        }
    }
}
