//! The arena: one memory, many buffers, attached to any number of functions.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, PoisonError},
};

use azote_seam::Function;

use crate::{Buffer, Error, Pages, Result, memory::Memory};

/// Where an arena lies for the device unless said otherwise: above 4 GiB, so that it never meets the MSI window, and below
/// the 39 bits that the smallest IOMMU translates.
pub const DEFAULT_IOVA: u64 = 0x1_0000_0000;

/// The least alignment of a buffer: a cache line, so that no two share one.
const LINE: u64 = 64;

#[derive(Debug)]
pub(crate) struct Inner {
    pub memory: Memory,
    pub iova: u64,
    /// Free pieces, offset to length, never adjacent.
    free: Mutex<BTreeMap<u64, u64>>,
}

impl Inner {
    /// First fit. Buffers are made at start-up, so there is nothing to gain by being cleverer.
    fn take(&self, len: u64, align: u64) -> Option<u64> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (piece, size, at) = free.iter().find_map(|(&piece, &size)| {
            let at = piece.checked_next_multiple_of(align)?;
            (at.checked_add(len)? <= piece + size).then_some((piece, size, at))
        })?;
        free.remove(&piece);
        if at > piece {
            free.insert(piece, at - piece);
        }
        if at + len < piece + size {
            free.insert(at + len, piece + size - at - len);
        }
        Some(at)
    }

    pub fn give(&self, mut offset: u64, mut len: u64) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((&before, &size)) = free.range(..offset).next_back()
            && before + size == offset
        {
            free.remove(&before);
            offset = before;
            len += size;
        }
        if let Some(size) = free.remove(&(offset + len)) {
            len += size;
        }
        free.insert(offset, len);
    }
}

/// An arena of DMA memory. Cheap to clone; it lives as long as its last buffer or attachment.
#[derive(Debug, Clone)]
pub struct Dma(Arc<Inner>);

impl Dma {
    /// An arena of at least `len` bytes, on huge pages where there are any, at [`DEFAULT_IOVA`].
    pub fn new(len: u64) -> Result<Self> {
        Self::wrap(Memory::new(len)?, DEFAULT_IOVA)
    }

    /// An arena on pages of a given size that the device sees at `iova`.
    pub fn at(len: u64, pages: Pages, iova: u64) -> Result<Self> {
        Self::wrap(Memory::with(len, pages)?, iova)
    }

    fn wrap(memory: Memory, iova: u64) -> Result<Self> {
        if iova & 0xfff != 0 || iova.checked_add(memory.len()).is_none() {
            return Err(Error::Bad("the arena's IOVA is not a page or wraps around"));
        }
        let free = Mutex::new(BTreeMap::from([(0, memory.len())]));
        Ok(Self(Arc::new(Inner { memory, iova, free })))
    }

    /// A zeroed buffer. `align` is a power of two, at least 64 is used; a buffer of at most a page that is aligned to its
    /// size does not cross a page.
    pub fn alloc(&self, len: u64, align: u64) -> Result<Buffer> {
        if len == 0 || !align.is_power_of_two() {
            return Err(Error::Bad("a buffer needs a length and an alignment that is a power of two"));
        }
        let full = Error::Full { len, size: self.0.memory.len() };
        let Some(size) = len.checked_next_multiple_of(LINE) else {
            return Err(full);
        };
        let Some(offset) = self.0.take(size, align.max(LINE)) else {
            return Err(full);
        };
        let buffer = Buffer::new(self.0.clone(), offset, size, len);
        buffer.fill(0);
        Ok(buffer)
    }

    /// Makes the arena visible to a function until the attachment is dropped.
    pub fn attach(&self, function: Arc<dyn Function>) -> Result<Attachment> {
        function.dma_map(self.fd(), 0, self.0.iova, self.0.memory.len())?;
        Ok(Attachment { arena: self.0.clone(), function })
    }

    /// The file behind it.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.memory.file().as_fd()
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.memory.len()
    }

    /// Its address for the device.
    #[must_use]
    pub fn iova(&self) -> u64 {
        self.0.iova
    }

    /// The pages it stands on.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.0.memory.pages()
    }
}

/// An arena's mapping into a function. A driver drops it after it has stopped the device.
pub struct Attachment {
    arena: Arc<Inner>,
    function: Arc<dyn Function>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // It can only fail when the function is gone, and then the mapping is, too.
        let _ = self.function.dma_unmap(self.arena.iova, self.arena.memory.len());
    }
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({} at {:#x})", self.function.name(), self.arena.iova)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azote_seam::mock::{Mock, Plain};

    fn small(len: u64) -> Dma {
        Dma::at(len, Pages::Small, 0x10_0000).unwrap()
    }

    #[test]
    fn buffers_do_not_overlap_and_come_back() {
        let dma = small(16384);
        let all: Vec<_> = (0..4).map(|_| dma.alloc(4096, 4096).unwrap()).collect();
        for (i, b) in all.iter().enumerate() {
            assert_eq!(b.iova(), 0x10_0000 + 4096 * i as u64);
        }
        assert!(matches!(dma.alloc(64, 64), Err(Error::Full { .. })));
        drop(all);
        let whole = dma.alloc(16384, 4096).expect("the pieces were joined again");
        drop(whole);
        let odd = dma.alloc(100, 1).unwrap();
        let next = dma.alloc(64, 64).unwrap();
        assert_eq!((odd.len(), next.iova() - odd.iova()), (100, 128), "rounded to lines");
    }

    #[test]
    fn a_buffer_that_comes_back_is_zero_again() {
        let dma = small(4096);
        let b = dma.alloc(4096, 4096).unwrap();
        b.fill(0xff);
        drop(b);
        assert_eq!(dma.alloc(4096, 4096).unwrap().read_u64(8).unwrap(), 0);
    }

    #[test]
    fn bad_requests_are_refused() {
        let dma = small(4096);
        assert!(matches!(dma.alloc(0, 64), Err(Error::Bad(_))));
        assert!(matches!(dma.alloc(64, 3), Err(Error::Bad(_))));
        assert!(matches!(dma.alloc(u64::MAX, 64), Err(Error::Full { .. })));
        assert!(matches!(Dma::at(4096, Pages::Small, 0x123), Err(Error::Bad(_))));
        assert!(matches!(Dma::at(4096, Pages::Small, !0xfff), Err(Error::Bad(_))));
    }

    #[test]
    fn an_attachment_is_a_mapping_for_its_lifetime() {
        let dma = small(8192);
        let f = Mock::new("mock", Plain::default());
        let a = dma.attach(f.clone()).unwrap();
        assert!(dma.attach(f.clone()).is_err(), "the same addresses twice");
        let b = dma.alloc(64, 64).unwrap();
        b.write_u32(4, 0x1122_3344).unwrap();
        let mut seen = [0; 4];
        assert!(f.with(|_, host| host.read(b.iova() + 4, &mut seen)));
        assert_eq!(u32::from_le_bytes(seen), 0x1122_3344);
        drop(a);
        assert_eq!(f.with(|_, host| host.mappings()), 0);
    }
}
