//! A piece of a file in our address space, and how it is touched while somebody else touches it, too.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::Error;

/// A piece of a file in our address space.
///
/// The driver that owns the memory has a mapping of its own and touches it at any time, so all access here is atomic, a
/// DW or a byte at a time: whoever races gets old or new bytes, as on a bus, and never undefined behaviour.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is shared memory that lives until `drop`; every access through `&Mapping` is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `file` from `offset`, both multiples of 4096.
    pub fn of(file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<Mapping, Error> {
        Self::with(file, offset, len, true)
    }

    /// The same; without `writable` for reading only, as a descriptor without the right to write asks for. Writing to it is
    /// then the caller's fault.
    pub(crate) fn with(file: BorrowedFd<'_>, offset: u64, len: u64, writable: bool) -> Result<Mapping, Error> {
        let failed = |source| Error::Memory { what: "map", len, source };
        let size = usize::try_from(len).map_err(|_| failed(std::io::ErrorKind::InvalidInput.into()))?;
        let offset = i64::try_from(offset).map_err(|_| failed(std::io::ErrorKind::InvalidInput.into()))?;
        // An access beyond the file's end would be a SIGBUS, so the file must be long enough now. Memory of drivers is
        // sealed against shrinking; a file that is shrunk later is its owner's doing.
        // SAFETY: `fstat` writes one `stat` structure, which is plain data and may start as zeros.
        let stat = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(file.as_raw_fd(), &mut stat) != 0 {
                return Err(failed(std::io::Error::last_os_error()));
            }
            stat
        };
        if offset.checked_add_unsigned(len).is_none_or(|end| end > stat.st_size) {
            return Err(failed(std::io::Error::other("the file ends before that")));
        }
        // SAFETY: a new shared mapping at an address of the kernel's choice overlaps nothing of ours; the result is
        // checked before use.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ },
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(failed(std::io::Error::last_os_error()));
        }
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Mapping { start, len: size }),
            None => Err(failed(std::io::ErrorKind::AddrNotAvailable.into())),
        }
    }

    /// New memory, all zero, that no file system knows; `len` is rounded up to pages.
    pub fn new(len: u64) -> Result<Mapping, Error> {
        let len = len.next_multiple_of(4096);
        let failed = |source| Error::Memory { what: "allocate", len, source };
        // SAFETY: the name is a C string; the call touches no other memory.
        let fd = unsafe { libc::memfd_create(c"azote-sim".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(failed(std::io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is new, open, and owned by nobody else.
        let file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        file.set_len(len).map_err(failed)?;
        Mapping::of(std::os::fd::AsFd::as_fd(&file), 0, len)
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len as u64
    }

    /// True of a mapping of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len, "an access outside its mapping");
        // SAFETY: `offset` is inside the mapping and aligned (mappings start at a page); the memory lives as long as
        // `self`, and everything on this side accesses it atomically.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        assert!(offset < self.len, "an access outside its mapping");
        // SAFETY: as in `word`.
        unsafe { AtomicU8::from_ptr(self.start.as_ptr().add(offset)) }
    }

    /// Copies bytes out. Panics if they are not all inside.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        let start = offset as usize;
        if start.is_multiple_of(4) && out.len().is_multiple_of(4) {
            for (i, chunk) in out.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&self.word(start + 4 * i).load(Ordering::Acquire).to_ne_bytes());
            }
        } else {
            for (i, byte) in out.iter_mut().enumerate() {
                *byte = self.byte(start + i).load(Ordering::Acquire);
            }
        }
    }

    /// Copies bytes in, in ascending order, each DW at once where it is a whole one: what a device writes last (a
    /// phase bit) is seen last. Panics if they are not all inside.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        let start = offset as usize;
        if start.is_multiple_of(4) {
            let words = bytes.chunks_exact(4);
            let rest = words.remainder();
            let done = bytes.len() - rest.len();
            for (i, chunk) in words.enumerate() {
                let word = u32::from_ne_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
                self.word(start + 4 * i).store(word, Ordering::Release);
            }
            for (i, byte) in rest.iter().enumerate() {
                self.byte(start + done + i).store(*byte, Ordering::Release);
            }
        } else {
            for (i, byte) in bytes.iter().enumerate() {
                self.byte(start + i).store(*byte, Ordering::Release);
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `of` made; nothing borrowed from it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
