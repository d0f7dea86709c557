//! The guest's memory: a sealed shared file where somebody else must see it, private pages else.
//!
//! Private anonymous memory gets transparent huge pages on most hosts, a shared file seldom does; with 2 MiB pages a
//! guest boots with a few hundred page faults in place of ten thousands. So memory is shared only where a vfio-user server or
//! the simulated card must map it, or the user asks.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd},
    ptr,
};

use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, mmap::MmapRegionBuilder};

use crate::{Error, Result, config, layout};

/// Pages in which memory is laid out, so that the host can back and map it with huge ones.
const HUGE: usize = 2 << 20;
/// The most RAM of a guest; what is above must stay reachable with 40-bit physical addresses.
const MAX: u64 = 512 << 30;
/// The least that any kernel starts in.
const MIN: u64 = 1 << 20;

/// RAM, as KVM, the loader and the devices see it.
#[derive(Debug)]
pub struct Memory {
    guest: GuestMemoryMmap,
    file: Option<File>,
    size: u64,
    // After `guest`: fields are dropped in this order, and the regions point into the reservation.
    _reservation: Reservation,
}

/// One piece of RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where the guest has it.
    pub guest: u64,
    /// How long it is.
    pub len: u64,
    /// Where this process has it.
    pub host: *mut u8,
    /// Where it lies in the file, if the memory is one.
    pub offset: u64,
}

/// Address space of ours, aligned to huge pages, that holds all RAM in one piece.
#[derive(Debug)]
struct Reservation {
    base: *mut libc::c_void,
    len: usize,
}

// SAFETY: the reservation is only ever unmapped, by whoever owns it; the memory in it is reached through vm-memory.
unsafe impl Send for Reservation {}
// SAFETY: a shared reference gives no access at all.
unsafe impl Sync for Reservation {}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range that `reserve` mapped, whole; `Memory` drops its regions before.
        unsafe { libc::munmap(self.base, self.len) };
    }
}

impl Memory {
    /// Takes the memory of a guest. `shared` makes it a file even if the user has not asked for that.
    pub fn new(config: &config::Memory, shared: bool) -> Result<Self> {
        let size = config.size;
        let align = if config.hugepages { HUGE as u64 } else { 4096 };
        if !(MIN..=MAX).contains(&size) || !size.is_multiple_of(align) {
            return Err(Error::Config(format!(
                "--memory size={size}: a guest has 1 MiB to 512 GiB, in whole pages of {align} bytes"
            )));
        }
        let fail = |what, hint| move |source| Error::Memory { size, what, source, hint };
        let len = usize::try_from(size).map_err(|_| Error::Config("more memory than this machine addresses".into()))?;
        let file = if shared || config.shared || config.hugepages {
            let limited = |e: &io::Error| e.raw_os_error() == Some(libc::EFBIG);
            let hint =
                |e: &_| if limited(e) { "; raise the limit of a file's size (ulimit -f, LimitFSIZE=)" } else { "" };
            Some(sealed(size, config.hugepages).map_err(|e| fail("making a memory file", hint(&e))(e))?)
        } else {
            None
        };
        let hint = if config.hugepages { "; are there free huge pages in /proc/sys/vm/nr_hugepages?" } else { "" };
        let (reservation, base) = reserve(len).map_err(fail("reserving address space", ""))?;
        map(base, len, file.as_ref(), config.hugepages).map_err(fail("mapping it", hint))?;
        let low = size.min(layout::RAM_32_END);
        let mut regions = vec![region(base, 0, low, 0)?];
        if size > low {
            regions.push(region(base, low, size - low, layout::RAM_64)?);
        }
        let guest = GuestMemoryMmap::from_regions(regions).map_err(|e| Error::Config(format!("guest memory: {e}")))?;
        Ok(Self { guest, file, size, _reservation: reservation })
    }

    /// Memory as vm-memory has it: for reading and writing.
    pub fn guest(&self) -> &GuestMemoryMmap {
        &self.guest
    }

    /// The file that it is, if it is shared.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// How much there is.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The end of the RAM below 4 GiB.
    pub fn low_end(&self) -> u64 {
        self.size.min(layout::RAM_32_END)
    }

    /// The pieces of RAM, for KVM's memory slots and for devices.
    pub fn pieces(&self) -> Vec<Piece> {
        use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
        let mut offset = 0;
        let piece = |r: &GuestRegionMmap| {
            let piece = Piece { guest: r.start_addr().0, len: r.len(), host: r.as_ptr(), offset };
            offset += r.len();
            piece
        };
        self.guest.iter().map(piece).collect()
    }
}

/// A file of zeros that keeps its size, whoever gets a descriptor of it.
fn sealed(size: u64, hugepages: bool) -> io::Result<File> {
    let huge = if hugepages { libc::MFD_HUGETLB | libc::MFD_HUGE_2MB } else { 0 };
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | huge;
    // SAFETY: the name is a C string; the call touches nothing else of ours.
    let fd = unsafe { libc::memfd_create(c"guest-memory".as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else has.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(size)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: a descriptor of ours and no pointers.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// Address space for `len` bytes from a multiple of the huge page.
fn reserve(len: usize) -> io::Result<(Reservation, *mut u8)> {
    let whole = len.checked_add(HUGE).ok_or(io::ErrorKind::OutOfMemory)?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice, without access.
    let base = unsafe { libc::mmap(ptr::null_mut(), whole, libc::PROT_NONE, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let reservation = Reservation { base, len: whole };
    let skip = base.align_offset(HUGE);
    Ok((reservation, base.cast::<u8>().wrapping_add(skip)))
}

/// Puts pages into the reservation.
fn map(base: *mut u8, len: usize, file: Option<&File>, hugepages: bool) -> io::Result<()> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let (kind, fd) = match file {
        Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
        None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
    };
    // Huge pages are reserved now: one that is missing later would be a fault in the middle of the guest.
    let reserve = if hugepages { 0 } else { libc::MAP_NORESERVE };
    let flags = kind | libc::MAP_FIXED | reserve;
    // SAFETY: `base..base + len` lies in the reservation, which nothing else uses; MAP_FIXED replaces only that.
    let got = unsafe { libc::mmap(base.cast(), len, prot, flags, fd, 0) };
    if got == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    for advice in [libc::MADV_HUGEPAGE, libc::MADV_DONTFORK, libc::MADV_DONTDUMP] {
        // SAFETY: advice for the range just mapped; none of these changes what it holds. A kernel that does not know
        // one of them loses nothing but speed.
        unsafe { libc::madvise(base.cast(), len, advice) };
    }
    Ok(())
}

fn region(base: *mut u8, offset: u64, len: u64, guest: u64) -> Result<GuestRegionMmap> {
    let broken = || Error::Config("guest memory does not fit its addresses".into());
    let (offset, len) = (usize::try_from(offset), usize::try_from(len));
    let (Ok(offset), Ok(len)) = (offset, len) else { return Err(broken()) };
    let builder = MmapRegionBuilder::new(len)
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(libc::MAP_NORESERVE | libc::MAP_SHARED);
    // SAFETY: the range is inside of what `map` has mapped, aligned to pages, and stays mapped as long as `Memory`
    // lives, which holds both the region and the reservation.
    let builder = unsafe { builder.with_raw_mmap_pointer(base.wrapping_add(offset)) };
    let mapping = builder.build().map_err(|e| Error::Config(format!("guest memory: {e}")))?;
    GuestRegionMmap::new(mapping, GuestAddress(guest)).ok_or_else(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::Bytes;

    fn config(size: u64) -> config::Memory {
        config::Memory { size, ..config::Memory::default() }
    }

    #[test]
    fn memory_is_split_around_the_hole_and_reads_as_written() {
        let memory = Memory::new(&config((3 << 30) + (64 << 20)), false).unwrap();
        let pieces = memory.pieces();
        assert_eq!((pieces[0].guest, pieces[0].len), (0, 3 << 30));
        assert_eq!((pieces[1].guest, pieces[1].len, pieces[1].offset), (1 << 32, 64 << 20, 3 << 30));
        assert_eq!(pieces[0].host as usize % HUGE, 0);
        memory.guest().write_obj(0x1234_5678u32, GuestAddress((1 << 32) + 8)).unwrap();
        assert_eq!(memory.guest().read_obj::<u32>(GuestAddress((1 << 32) + 8)).unwrap(), 0x1234_5678);
        assert!(memory.guest().write_obj(0u32, GuestAddress(3 << 30)).is_err(), "the hole is no memory");
        assert!(memory.file().is_none());
    }

    #[test]
    fn shared_memory_is_a_file_that_keeps_its_size() {
        let memory = Memory::new(&config(4 << 20), true).unwrap();
        let file = memory.file().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4 << 20);
        assert!(file.set_len(1 << 20).is_err() && file.set_len(8 << 20).is_err());
        memory.guest().write_obj(7u8, GuestAddress(0x3000)).unwrap();
        let mut byte = [0];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut byte, 0x3000).unwrap();
        assert_eq!(byte, [7]);
    }

    #[test]
    fn sizes_that_no_guest_has_are_refused_with_a_line() {
        for size in [0, 4096, (1 << 20) + 1, 1 << 40, u64::MAX] {
            let e = Memory::new(&config(size), false).unwrap_err().to_string();
            assert!(e.contains("1 MiB to 512 GiB") && !e.contains('\n'), "{e}");
        }
    }
}
