//! Host memory as the card reaches it: files mapped at addresses, a space of its own for each function, as behind an IOMMU.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
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
                libc::PROT_READ | libc::PROT_WRITE,
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

/// Memory that is reached by messages: its owner lends no file of it.
pub trait Remote: Send + Sync {
    /// Asks for `len` bytes; they come to [`crate::Root::remote_data`] under this token, some time. Must not wait.
    fn read(&self, token: u64, address: u64, len: u32);
    /// Sends bytes. They arrive before what is sent later.
    fn write(&self, address: u64, bytes: &[u8]);
}

#[derive(Clone)]
enum Backing {
    /// From this offset of a file.
    File(Arc<Mapping>, u64),
    Remote(Arc<dyn Remote>),
}

#[derive(Clone)]
struct Region {
    len: u64,
    backing: Backing,
}

/// Where an access goes.
enum Place<'a> {
    File(&'a Mapping, u64),
    Remote(&'a Arc<dyn Remote>),
}

/// What each function can reach.
pub struct HostMemory {
    /// By function number; regions by address, without overlap.
    spaces: Vec<BTreeMap<u64, Region>>,
}

impl std::fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let regions: usize = self.spaces.iter().map(BTreeMap::len).sum();
        f.debug_struct("HostMemory").field("regions", &regions).finish()
    }
}

impl Default for HostMemory {
    fn default() -> Self {
        HostMemory { spaces: vec![BTreeMap::new(); 256] }
    }
}

impl HostMemory {
    /// Lets `function` reach `mapping` at `iova`.
    pub fn map(&mut self, function: u8, iova: u64, mapping: Arc<Mapping>) -> Result<(), Error> {
        let len = mapping.len();
        self.map_part(function, iova, mapping, 0, len)
    }

    /// Lets `function` reach a part of `mapping`: of one file, an IOMMU maps many small pieces.
    pub fn map_part(
        &mut self,
        function: u8,
        iova: u64,
        mapping: Arc<Mapping>,
        offset: u64,
        len: u64,
    ) -> Result<(), Error> {
        if !offset.is_multiple_of(4096) || offset.checked_add(len).is_none_or(|end| end > mapping.len()) {
            return Err(Error::Map { function, iova, len, reason: "the memory ends before that" });
        }
        self.insert(function, iova, Region { len, backing: Backing::File(mapping, offset) })
    }

    /// Lets `function` reach memory by messages.
    pub fn map_remote(&mut self, function: u8, iova: u64, len: u64, remote: Arc<dyn Remote>) -> Result<(), Error> {
        self.insert(function, iova, Region { len, backing: Backing::Remote(remote) })
    }

    fn insert(&mut self, function: u8, iova: u64, region: Region) -> Result<(), Error> {
        let len = region.len;
        let refused = |reason| Err(Error::Map { function, iova, len, reason });
        if len == 0 || !iova.is_multiple_of(4096) || !len.is_multiple_of(4096) {
            return refused("address and length must be multiples of 4096, and not nothing");
        }
        let Some(end) = iova.checked_add(len) else {
            return refused("it ends beyond the address space");
        };
        let space = &mut self.spaces[usize::from(function)];
        if space.range(..end).next_back().is_some_and(|(at, r)| at + r.len > iova) {
            return refused("something is mapped there already; unmap it first");
        }
        space.insert(iova, region);
        Ok(())
    }

    /// Ends a mapping, whole.
    pub fn unmap(&mut self, function: u8, iova: u64, len: u64) -> Result<(), Error> {
        let space = &mut self.spaces[usize::from(function)];
        match space.get(&iova) {
            Some(region) if region.len == len => {
                space.remove(&iova);
                Ok(())
            }
            _ => Err(Error::Map { function, iova, len, reason: "no such mapping to unmap" }),
        }
    }

    /// Ends all mappings within a range, as VFIO does, and says how many bytes they were. One that is only partly inside
    /// refuses the whole.
    pub fn unmap_range(&mut self, function: u8, iova: u64, len: u64) -> Result<u64, Error> {
        let refused = |reason| Error::Map { function, iova, len, reason };
        let end = iova.checked_add(len).ok_or_else(|| refused("it ends beyond the address space"))?;
        let space = &mut self.spaces[usize::from(function)];
        let cut = |(at, r): (&u64, &Region), edge: u64| *at < edge && at + r.len > edge;
        if space.range(..iova).next_back().is_some_and(|r| cut(r, iova))
            || space.range(..end).next_back().is_some_and(|r| cut(r, end))
        {
            return Err(refused("it would cut a mapping in two"));
        }
        let gone: Vec<u64> = space.range(iova..end).map(|(at, _)| *at).collect();
        Ok(gone.iter().filter_map(|at| space.remove(at)).map(|r| r.len).sum())
    }

    /// Ends all mappings of a function.
    pub fn unmap_all(&mut self, function: u8) {
        self.spaces[usize::from(function)].clear();
    }

    /// How many mappings a function has.
    pub fn count(&self, function: u8) -> usize {
        self.spaces[usize::from(function)].len()
    }

    /// Where all of `len` bytes at `address` are. Never across two mappings: a TLP stays in one page, and pages are what is
    /// mapped.
    fn find(&self, function: u8, address: u64, len: u64) -> Option<Place<'_>> {
        let (at, region) = self.spaces[usize::from(function)].range(..=address).next_back()?;
        let offset = address - at;
        if offset.checked_add(len)? > region.len {
            return None;
        }
        Some(match &region.backing {
            Backing::File(mapping, start) => Place::File(mapping, start + offset),
            Backing::Remote(remote) => Place::Remote(remote),
        })
    }

    /// Who must be asked for these bytes, if they are to be had by messages.
    pub(crate) fn remote(&self, function: u8, address: u64, len: u64) -> Option<&Arc<dyn Remote>> {
        match self.find(function, address, len)? {
            Place::File(..) => None,
            Place::Remote(remote) => Some(remote),
        }
    }

    /// Reads as the function would; false where nothing is mapped, or nothing that can be read at once.
    #[must_use]
    pub fn read(&self, function: u8, address: u64, out: &mut [u8]) -> bool {
        match self.find(function, address, out.len() as u64) {
            Some(Place::File(mapping, offset)) => {
                mapping.read(offset, out);
                true
            }
            _ => false,
        }
    }

    /// Writes the bytes for which `enabled` holds, by their index; false where nothing is mapped.
    #[must_use]
    pub fn write(&self, function: u8, address: u64, bytes: &[u8], enabled: impl Fn(usize) -> bool) -> bool {
        let Some(place) = self.find(function, address, bytes.len() as u64) else {
            return false;
        };
        // Runs of enabled bytes: nearly always one, the whole.
        let mut start = 0;
        while start < bytes.len() {
            let mut end = start;
            while end < bytes.len() && enabled(end) {
                end += 1;
            }
            match &place {
                Place::File(mapping, offset) => mapping.write(offset + start as u64, &bytes[start..end]),
                Place::Remote(remote) if end > start => remote.write(address + start as u64, &bytes[start..end]),
                Place::Remote(_) => {}
            }
            start = end.max(start + 1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_do_not_overlap_and_spaces_are_apart() {
        let mut memory = HostMemory::default();
        let page = || Arc::new(Mapping::new(0x2000).unwrap());
        memory.map(1, 0x10000, page()).unwrap();
        for iova in [0xf000, 0x10000, 0x11000] {
            assert!(memory.map(1, iova, page()).is_err(), "{iova:#x}");
        }
        memory.map(1, 0x12000, page()).unwrap();
        memory.map(1, 0xe000, page()).unwrap();
        memory.map(2, 0x10000, page()).unwrap();
        assert!(memory.map(1, u64::MAX - 0xfff, page()).is_err());
        assert!(memory.write(1, 0x10ffe, &[1, 2, 3, 4], |_| true));
        let mut out = [9; 4];
        assert!(memory.read(2, 0x10ffe, &mut out));
        assert_eq!(out, [0; 4]);
        assert!(memory.read(1, 0x10ffe, &mut out));
        assert_eq!(out, [1, 2, 3, 4]);
        assert!(!memory.read(3, 0x10ffe, &mut out));
        assert!(!memory.read(2, 0x11ffe, &mut out), "across the end");
        assert!(memory.unmap(1, 0x10000, 0x1000).is_err(), "only as a whole");
        memory.unmap(1, 0x10000, 0x2000).unwrap();
        assert!(!memory.read(1, 0x10ffe, &mut out));
    }

    #[test]
    fn a_range_is_unmapped_with_all_that_is_inside() {
        let mut memory = HostMemory::default();
        let file = Arc::new(Mapping::new(0x8000).unwrap());
        for page in 0..4 {
            memory.map_part(1, 0x10000 + page * 0x1000, file.clone(), page * 0x2000, 0x1000).unwrap();
        }
        memory.map_part(1, 0x20000, file.clone(), 0, 0x2000).unwrap();
        assert!(memory.map_part(1, 0x40000, file.clone(), 0x7000, 0x2000).is_err(), "beyond the file");
        assert!(memory.unmap_range(1, 0x20000, 0x1000).is_err(), "would cut");
        assert!(memory.unmap_range(1, 0x21000, 0x1000).is_err(), "would cut");
        assert_eq!(memory.unmap_range(1, 0x11000, 0x2000).unwrap(), 0x2000);
        assert_eq!(memory.unmap_range(1, 0x11000, 0x2000).unwrap(), 0);
        assert!(memory.write(1, 0x13000, &[7], |_| true));
        let mut out = [0];
        file.read(0x6000, &mut out);
        assert_eq!((out, memory.count(1)), ([7], 3));
        memory.unmap_all(1);
        assert_eq!(memory.count(1), 0);
    }

    #[test]
    fn only_enabled_bytes_are_written() {
        let mut memory = HostMemory::default();
        memory.map(0, 0, Arc::new(Mapping::new(4096).unwrap())).unwrap();
        assert!(memory.write(0, 8, &[1, 2, 3, 4, 5, 6, 7, 8], |i| i % 3 != 0));
        let mut out = [0; 8];
        assert!(memory.read(0, 8, &mut out));
        assert_eq!(out, [0, 2, 3, 0, 5, 6, 0, 8]);
    }
}
