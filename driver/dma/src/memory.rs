//! The memory itself: a sealed memfd, mapped shared.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd},
    ptr::NonNull,
};

use crate::{Error, Result};

const HUGE: u64 = 2 << 20;
const SMALL: u64 = 4096;

/// The size of the pages behind an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// 2 MiB: one IOMMU entry and one TLB entry for what else takes 512.
    Huge,
    /// 4 KiB.
    Small,
}

/// A mapped memfd. Only raw addresses leave this type, never references.
#[derive(Debug)]
pub(crate) struct Memory {
    file: File,
    base: NonNull<u8>,
    len: u64,
    pages: Pages,
}

// SAFETY: `base` is the address of a shared mapping that belongs to this value alone and lives until it is dropped; it may be
// used and unmapped from any thread.
unsafe impl Send for Memory {}
// SAFETY: access through a shared `Memory` is only by volatile words (see `Buffer`), which the hardware on the other side
// does as well; nothing relies on their exclusion.
unsafe impl Sync for Memory {}

impl Memory {
    /// At least `len` bytes, zeroed, on huge pages where there are any.
    pub fn new(len: u64) -> Result<Self> {
        Self::with(len, Pages::Huge).or_else(|_| Self::with(len, Pages::Small))
    }

    pub fn with(len: u64, pages: Pages) -> Result<Self> {
        let (granule, huge_flags) = match pages {
            Pages::Huge => (HUGE, libc::MFD_HUGETLB | libc::MFD_HUGE_2MB),
            Pages::Small => (SMALL, 0),
        };
        let len = len.checked_next_multiple_of(granule).ok_or(Error::Bad("size overflows"))?;
        let size = usize::try_from(len).map_err(|_| Error::Bad("size does not fit the address space"))?;
        if size == 0 {
            return Err(Error::Bad("size is zero"));
        }
        let failed = |what| move |source| Error::Os { what, len, source };
        let last = |what| failed(what)(io::Error::last_os_error());

        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | huge_flags;
        // SAFETY: the name is a NUL-terminated string; the call touches nothing else of ours.
        let fd = unsafe { libc::memfd_create(c"azote-dma".as_ptr(), flags) };
        if fd < 0 {
            return Err(last("memfd_create"));
        }
        // SAFETY: `fd` was just opened and nobody else has it.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(len).map_err(failed("ftruncate"))?;
        // A file that another process could shrink would turn our accesses into SIGBUS.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: `file` is open; F_ADD_SEALS takes an integer.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(last("sealing"));
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), size, prot, libc::MAP_SHARED | libc::MAP_POPULATE, file.as_raw_fd(), 0)
        };
        if base == libc::MAP_FAILED {
            return Err(last("mmap"));
        }
        let base = NonNull::new(base.cast()).ok_or(Error::Bad("mapped at address zero"))?;
        let memory = Self { file, base, len, pages };
        // A fork would share the pages with a child that knows nothing of the device; it loses nothing by not having them.
        // SAFETY: exactly the mapping just made.
        if unsafe { libc::madvise(base.as_ptr().cast(), size, libc::MADV_DONTFORK) } < 0 {
            return Err(last("madvise"));
        }
        Ok(memory)
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn pages(&self) -> Pages {
        self.pages
    }

    /// The address of the byte at `offset`, which must be below [`Self::len`].
    #[inline]
    pub fn at(&self, offset: u64) -> NonNull<u8> {
        debug_assert!(offset < self.len);
        // SAFETY: `offset` is inside of the mapping, by this crate's callers: `Buffer` checks against its own bounds, which
        // the arena took from this length.
        unsafe { self.base.add(offset as usize) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `with`, whole; every `Buffer` holds this value alive through its arena.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len as usize) };
    }
}

/// What to tell a person whose kernel refuses to pin memory: the limit that is the usual cause.
#[must_use]
pub fn memlock_hint() -> String {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } == 0;
    if known && limit.rlim_cur != libc::RLIM_INFINITY {
        format!(
            "memory for DMA counts against RLIMIT_MEMLOCK, now {} KiB: raise it (`ulimit -l unlimited`, or `LimitMEMLOCK=` \
             in the service), or use a smaller arena",
            limit.rlim_cur / 1024
        )
    } else {
        "RLIMIT_MEMLOCK is not the cause; is the machine out of memory?".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_mapping_are_the_same_memory() {
        use std::os::unix::fs::FileExt;
        let m = Memory::with(5000, Pages::Small).unwrap();
        assert_eq!(m.len(), 8192, "rounded to pages");
        m.file().write_all_at(&[7], 5000).unwrap();
        // SAFETY: inside of the mapping.
        assert_eq!(unsafe { m.at(5000).read_volatile() }, 7);
    }

    #[test]
    fn the_file_can_not_be_shrunk() {
        let m = Memory::with(8192, Pages::Small).unwrap();
        assert!(m.file().set_len(4096).is_err());
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert!(Memory::with(0, Pages::Small).is_err());
        assert!(Memory::with(u64::MAX, Pages::Small).is_err());
        assert!(Memory::new(1 << 60).is_err());
    }

    #[test]
    fn the_hint_names_the_limit() {
        assert!(memlock_hint().contains("RLIMIT_MEMLOCK"));
    }
}
