//! Host memory as the card reaches it: windows of files at addresses, a space of its own for each function, as behind an
//! IOMMU, and one that all functions share, as without one.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::files::{Backing, Files};
use crate::{Error, Mapping};

/// Memory that is reached by messages: its owner lends no file of it.
///
/// It is called with the card locked, so it must not wait for anything, nor use the card.
pub trait Remote: Send + Sync {
    /// Asks for `len` bytes; they come to [`crate::Root::remote_data`] under this token, some time.
    fn read(&self, token: u64, address: u64, len: u32);
    /// Sends bytes. They arrive before what is sent later.
    fn write(&self, address: u64, bytes: &[u8]);
}

/// What a device may do in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// It may read.
    pub read: bool,
    /// It may write.
    pub write: bool,
}

impl Access {
    /// Everything.
    pub const BOTH: Access = Access { read: true, write: true };
}

#[derive(Clone)]
struct Region {
    len: u64,
    access: Access,
    /// Where in `backing` the window begins.
    offset: u64,
    backing: Backing,
}

/// Windows by address, without overlap. Tens of thousands are usual under a virtual IOMMU, which maps page by page.
#[derive(Default)]
struct Space {
    regions: BTreeMap<u64, Region>,
    files: Files,
}

impl Space {
    /// The window that holds all of `len` bytes at `address`, and where in its backing. Never across two windows: a TLP
    /// stays in one page, and pages are what is mapped.
    fn find(&self, address: u64, len: u64) -> Option<(&Region, u64)> {
        let (start, region) = self.regions.range(..=address).next_back()?;
        let offset = address - start;
        (offset.checked_add(len)? <= region.len).then_some((region, region.offset + offset))
    }

    /// Why a window can not be, if it can not.
    fn refusal(&self, iova: u64, len: u64) -> Option<&'static str> {
        if len == 0 || !iova.is_multiple_of(4096) || !len.is_multiple_of(4096) {
            return Some("address and length must be multiples of 4096, and not nothing");
        }
        let Some(end) = iova.checked_add(len) else {
            return Some("it ends beyond the address space");
        };
        let before = self.regions.range(..end).next_back();
        before.is_some_and(|(at, r)| at + r.len > iova).then_some("something is mapped there already; unmap it first")
    }
}

/// What each function can reach.
pub struct HostMemory {
    /// By function number; the last is everyone's.
    spaces: Vec<Space>,
}

/// The space that all functions share.
const EVERYONE: usize = 256;

impl std::fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let regions: usize = self.spaces.iter().map(|s| s.regions.len()).sum();
        f.debug_struct("HostMemory").field("regions", &regions).finish()
    }
}

impl Default for HostMemory {
    fn default() -> Self {
        HostMemory { spaces: (0..=EVERYONE).map(|_| Space::default()).collect() }
    }
}

impl HostMemory {
    /// A function's space; with `None` everyone's.
    fn space(&mut self, function: Option<u8>) -> &mut Space {
        &mut self.spaces[function.map_or(EVERYONE, usize::from)]
    }

    fn insert(&mut self, function: Option<u8>, iova: u64, region: Region) -> Result<(), Error> {
        let len = region.len;
        let space = self.space(function);
        if let Some(reason) = space.refusal(iova, len) {
            return Err(Error::Map { function, iova, len, reason });
        }
        space.regions.insert(iova, region);
        Ok(())
    }

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
        let function = Some(function);
        if !offset.is_multiple_of(4096) || offset.checked_add(len).is_none_or(|end| end > mapping.len()) {
            return Err(Error::Map { function, iova, len, reason: "the memory ends before that" });
        }
        self.insert(function, iova, Region { len, access: Access::BOTH, offset, backing: Backing::Mapped(mapping) })
    }

    /// Lets every function, whatever its number and bus, reach `mapping` at `iova`: the memory of a guest that has the
    /// whole card, at guest-physical addresses. What is mapped for one function alone comes first for it.
    pub fn map_for_all(&mut self, iova: u64, mapping: Arc<Mapping>) -> Result<(), Error> {
        let len = mapping.len();
        self.insert(None, iova, Region { len, access: Access::BOTH, offset: 0, backing: Backing::Mapped(mapping) })
    }

    /// Lets a function (with `None` every function) reach `len` bytes of `file` from `offset` at `iova`. A file is mapped
    /// into this process once, however many windows there are, and never in a way that its owner can turn against us.
    pub fn map_file(
        &mut self,
        function: Option<u8>,
        file: BorrowedFd<'_>,
        offset: u64,
        (iova, len): (u64, u64),
        access: Access,
    ) -> Result<(), Error> {
        let space = self.space(function);
        if let Some(reason) = space.refusal(iova, len) {
            return Err(Error::Map { function, iova, len, reason });
        }
        let backing = space.files.open(file, offset, len, access.write)?;
        self.insert(function, iova, Region { len, access, offset, backing })
    }

    /// Lets `function` reach memory by messages.
    pub fn map_remote(&mut self, function: u8, iova: u64, len: u64, remote: Arc<dyn Remote>) -> Result<(), Error> {
        // Addresses at the other end are those of the device.
        let (access, backing) = (Access::BOTH, Backing::Remote(remote));
        self.insert(Some(function), iova, Region { len, access, offset: iova, backing })
    }

    /// Ends a mapping, whole. The device reaches it no more when this returns; a read in flight is refused.
    pub fn unmap(&mut self, function: u8, iova: u64, len: u64) -> Result<(), Error> {
        self.unmap_from(Some(function), iova, len)
    }

    /// Ends a mapping that every function had.
    pub fn unmap_for_all(&mut self, iova: u64, len: u64) -> Result<(), Error> {
        self.unmap_from(None, iova, len)
    }

    fn unmap_from(&mut self, function: Option<u8>, iova: u64, len: u64) -> Result<(), Error> {
        let regions = &mut self.space(function).regions;
        if regions.get(&iova).is_none_or(|r| r.len != len) {
            return Err(Error::Map { function, iova, len, reason: "no such mapping to unmap" });
        }
        regions.remove(&iova);
        Ok(())
    }

    /// Ends all mappings within a range, as VFIO does, and says how many bytes they were. One that is only partly inside
    /// refuses the whole.
    pub fn unmap_range(&mut self, function: u8, iova: u64, len: u64) -> Result<u64, Error> {
        let refused = |reason| Error::Map { function: Some(function), iova, len, reason };
        // By its last address: the range may be the upper half of all addresses, whose end is no number any more.
        let last = len.checked_sub(1).and_then(|past| iova.checked_add(past));
        let last = last.ok_or_else(|| refused("it is no range of addresses"))?;
        let regions = &mut self.space(Some(function)).regions;
        let crosses = |(at, r): (&u64, &Region), edge: u64| *at < edge && at + (r.len - 1) >= edge;
        if regions.range(..iova).next_back().is_some_and(|r| crosses(r, iova))
            || regions.range(..=last).next_back().is_some_and(|(at, r)| at + (r.len - 1) > last)
        {
            return Err(refused("it would cut a mapping in two"));
        }
        let gone: Vec<u64> = regions.range(iova..=last).map(|(at, _)| *at).collect();
        Ok(gone.iter().filter_map(|at| regions.remove(at)).map(|r| r.len).sum())
    }

    /// Ends all mappings of a function, and lets go of its files.
    pub fn unmap_all(&mut self, function: u8) {
        *self.space(Some(function)) = Space::default();
    }

    /// How many mappings a function has.
    pub fn count(&self, function: u8) -> usize {
        self.spaces[usize::from(function)].regions.len()
    }

    fn find(&self, function: u8, address: u64, len: u64) -> Option<(&Region, u64)> {
        let own = self.spaces[usize::from(function)].find(address, len);
        own.or_else(|| self.spaces[EVERYONE].find(address, len))
    }

    /// Who must be asked for these bytes, if they are to be had by messages.
    pub(crate) fn remote(&self, function: u8, address: u64, len: u64) -> Option<&Arc<dyn Remote>> {
        match self.find(function, address, len)?.0 {
            Region { access: Access { read: true, .. }, backing: Backing::Remote(remote), .. } => Some(remote),
            _ => None,
        }
    }

    /// Reads as the function would; false where nothing is mapped, or nothing that can be read at once.
    #[must_use]
    pub fn read(&self, function: u8, address: u64, out: &mut [u8]) -> bool {
        match self.find(function, address, out.len() as u64) {
            Some((region, offset)) => region.access.read && region.backing.read(offset, out),
            None => false,
        }
    }

    /// Writes the bytes for which `enabled` holds, by their index; false where nothing is mapped.
    #[must_use]
    pub fn write(&self, function: u8, address: u64, bytes: &[u8], enabled: impl Fn(usize) -> bool) -> bool {
        let Some((region, offset)) = self.find(function, address, bytes.len() as u64) else {
            return false;
        };
        if !region.access.write {
            return false;
        }
        // Runs of enabled bytes: nearly always one, the whole.
        let mut start = 0;
        while start < bytes.len() {
            let mut end = start;
            while end < bytes.len() && enabled(end) {
                end += 1;
            }
            if end > start && !region.backing.write(offset + start as u64, &bytes[start..end]) {
                return false;
            }
            start = end.max(start + 1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

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
        assert!(memory.unmap_range(1, 0x13000, 0).is_err() && memory.unmap_range(1, 1 << 63, (1 << 63) + 1).is_err());
        // All there is, as QEMU says it: in halves, the upper of which ends where no number is.
        assert_eq!(memory.unmap_range(1, 1 << 63, 1 << 63).unwrap(), 0);
        assert_eq!(memory.unmap_range(1, 0, 1 << 63).unwrap(), 0x4000);
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

    fn memfd(pages: u64, seal: bool) -> std::fs::File {
        use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a C string; the descriptor is new and owned by nobody else.
        let file = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"azote-windows".as_ptr(), flags)) };
        let file = std::fs::File::from(file);
        file.set_len(pages * 4096).unwrap();
        if seal {
            // SAFETY: an open descriptor and an integer.
            assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) }, 0);
        }
        file
    }

    /// All tests that look at it are one test: they share a process.
    fn maps_of_this_process() -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|l| l.contains("memfd:azote-windows")).count()
    }

    #[test]
    fn many_windows_of_a_file_are_one_mapping_and_a_file_that_can_shrink_is_none() {
        let mut memory = HostMemory::default();
        let file = memfd(60_000, true);
        // Backwards, so that neighbours in the file are not neighbours in the space.
        for page in 0..60_000u64 {
            let at = (0x10_0000 + (60_000 - page) * 4096, 4096);
            memory.map_file(Some(1), file.as_fd(), page * 4096, at, Access::BOTH).unwrap();
        }
        assert_eq!((memory.count(1), maps_of_this_process()), (60_000, 1));
        assert!(memory.write(1, 0x10_0000 + 4096, &[7; 4], |_| true), "the last page of the file is first");
        let mut out = [0; 4];
        file.read_exact_at(&mut out, 59_999 * 4096).unwrap();
        assert_eq!(out, [7; 4]);
        assert_eq!(memory.unmap_range(1, 0x10_0000 + 4096, 59_999 * 4096).unwrap(), 59_999 * 4096);
        assert_eq!(memory.count(1), 1);
        memory.unmap_all(1);
        assert_eq!((memory.count(1), maps_of_this_process()), (0, 0));

        let file = memfd(2, false);
        memory.map_file(Some(1), file.as_fd(), 0, (0, 0x2000), Access::BOTH).unwrap();
        assert_eq!(maps_of_this_process(), 0);
        assert!(memory.write(1, 0x1000, &[1, 2, 3, 4, 5, 6, 7, 8], |_| true));
        let mut out = [0; 8];
        assert!(memory.read(1, 0x1000, &mut out));
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8]);
        file.set_len(4096).unwrap();
        assert!(!memory.read(1, 0x1000, &mut out), "it is gone, and that is a fault of the read, no SIGBUS");
        assert!(memory.read(1, 0, &mut out));
    }

    #[test]
    fn what_may_only_be_read_is_not_written() {
        let mut memory = HostMemory::default();
        let file = memfd(1, true);
        let access = Access { read: true, write: false };
        memory.map_file(Some(1), file.as_fd(), 0, (0, 4096), access).unwrap();
        assert!(!memory.write(1, 0, &[1; 4], |_| true));
        assert!(memory.read(1, 0, &mut [0; 4]));
        for (offset, why) in [(4096, "ends before"), (!0xfff, "ends before"), (1, "multiple of 4096")] {
            let e = memory.map_file(Some(1), file.as_fd(), offset, (0x1000, 4096), Access::BOTH).unwrap_err();
            assert!(e.to_string().contains(why), "{e}");
        }
        let folder = std::fs::File::open("/").unwrap();
        assert!(memory.map_file(Some(1), folder.as_fd(), 0, (0x1000, 4096), Access::BOTH).is_err());
    }

    #[test]
    fn a_space_takes_only_so_many_files() {
        let mut memory = HostMemory::default();
        let map = |memory: &mut HostMemory, at: u64| {
            memory.map_file(Some(1), memfd(1, true).as_fd(), 0, (at * 4096, 4096), Access::BOTH)
        };
        let taken = (0..100).take_while(|at| map(&mut memory, *at).is_ok()).count();
        assert_eq!(taken, 32);
        memory.unmap(1, 0, 4096).unwrap();
        map(&mut memory, 0).unwrap();
    }

    #[test]
    fn everyones_memory_is_seen_by_all_and_a_functions_own_comes_first() {
        let mut memory = HostMemory::default();
        memory.map_for_all(0, Arc::new(Mapping::new(0x1000).unwrap())).unwrap();
        assert!(memory.write(200, 8, &[5; 4], |_| true));
        let mut out = [0; 4];
        assert!(memory.read(3, 8, &mut out));
        assert_eq!(out, [5; 4]);
        memory.map(3, 0, Arc::new(Mapping::new(0x1000).unwrap())).unwrap();
        assert!(memory.read(3, 8, &mut out));
        assert_eq!(out, [0; 4]);
        memory.unmap_for_all(0, 0x1000).unwrap();
        assert!(!memory.read(200, 8, &mut out));
    }
}
