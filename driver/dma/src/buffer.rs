//! A piece of an arena, and the access to it.

use std::{ptr::NonNull, sync::Arc};

use volatile::VolatilePtr;

use crate::{Error, Result, arena::Inner};

/// A part of a buffer as a device is told of it. It does not hold the buffer: whoever gives it to a device keeps the buffer
/// until the device is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The device's address.
    pub iova: u64,
    /// The length in bytes.
    pub len: u64,
}

/// A buffer in DMA memory; given back to its arena when dropped.
///
/// Words are little-endian in memory, as every structure of PCIe, NVMe and virtio is.
#[derive(Debug)]
pub struct Buffer {
    arena: Arc<Inner>,
    offset: u64,
    /// What was taken from the arena: `len` rounded up.
    size: u64,
    len: u64,
}

impl Buffer {
    pub(crate) fn new(arena: Arc<Inner>, offset: u64, size: u64, len: u64) -> Self {
        Self { arena, offset, size, len }
    }

    /// The length asked for.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // there are no empty buffers
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The device's address of its first byte.
    #[must_use]
    #[inline]
    pub fn iova(&self) -> u64 {
        self.arena.iova + self.offset
    }

    /// A part of it, for the device.
    #[inline]
    pub fn slice(&self, offset: u64, len: u64) -> Result<Slice> {
        self.check(offset, len)?;
        Ok(Slice { iova: self.iova() + offset, len })
    }

    /// All of it, for the device.
    #[must_use]
    #[inline]
    pub fn whole(&self) -> Slice {
        Slice { iova: self.iova(), len: self.len }
    }

    #[inline]
    fn check(&self, offset: u64, len: u64) -> Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(Error::Range { offset, len, size: self.len }),
        }
    }

    /// The place of a `T` at `offset`; checked for bounds and alignment.
    #[inline]
    fn word<T>(&self, offset: u64) -> Result<VolatilePtr<'_, T>> {
        let width = size_of::<T>() as u64;
        self.check(offset, width)?;
        if !offset.is_multiple_of(width) {
            return Err(Error::Bad("a word that is not aligned"));
        }
        let place: NonNull<T> = self.arena.memory.at(self.offset + offset).cast();
        // SAFETY: inside of the mapping, which `self.arena` keeps alive for the pointer's lifetime; aligned, since buffers
        // begin on a cache line; and no reference to DMA memory exists anywhere. `T` is private to this file: u8, u16, u32, u64,
        // for which every bit pattern is a value.
        Ok(unsafe { VolatilePtr::new(place) })
    }

    /// Reads a 16-bit word, in one access.
    #[inline]
    pub fn read_u16(&self, offset: u64) -> Result<u16> {
        Ok(u16::from_le(self.word(offset)?.read()))
    }

    /// Writes a 16-bit word, in one access.
    #[inline]
    pub fn write_u16(&self, offset: u64, value: u16) -> Result<()> {
        self.word(offset)?.write(value.to_le());
        Ok(())
    }

    /// Reads a 32-bit word, in one access.
    #[inline]
    pub fn read_u32(&self, offset: u64) -> Result<u32> {
        Ok(u32::from_le(self.word(offset)?.read()))
    }

    /// Writes a 32-bit word, in one access.
    #[inline]
    pub fn write_u32(&self, offset: u64, value: u32) -> Result<()> {
        self.word(offset)?.write(value.to_le());
        Ok(())
    }

    /// Reads a 64-bit word, in one access.
    #[inline]
    pub fn read_u64(&self, offset: u64) -> Result<u64> {
        Ok(u64::from_le(self.word(offset)?.read()))
    }

    /// Writes a 64-bit word, in one access.
    #[inline]
    pub fn write_u64(&self, offset: u64, value: u64) -> Result<()> {
        self.word(offset)?.write(value.to_le());
        Ok(())
    }

    /// Writes 64-bit words one after the other, each in one access: an entry of a ring.
    #[inline]
    pub fn write_words<const N: usize>(&self, offset: u64, words: [u64; N]) -> Result<()> {
        self.check(offset, 8 * N as u64)?;
        for (at, word) in (offset..).step_by(8).zip(words) {
            self.write_u64(at, word)?;
        }
        Ok(())
    }

    /// Copies bytes out, by words where it can.
    pub fn read(&self, offset: u64, data: &mut [u8]) -> Result<()> {
        self.check(offset, data.len() as u64)?;
        let (head, words, tail) = split(offset, data.len());
        let (first, rest) = data.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(words * 8);
        let mut at = offset;
        for byte in first {
            *byte = self.word(at)?.read();
            at += 1;
        }
        for chunk in middle.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.word::<u64>(at)?.read().to_ne_bytes());
            at += 8;
        }
        debug_assert_eq!(last.len(), tail);
        for byte in last {
            *byte = self.word(at)?.read();
            at += 1;
        }
        Ok(())
    }

    /// Copies bytes in, by words where it can.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.check(offset, data.len() as u64)?;
        let (head, words, _) = split(offset, data.len());
        let (first, rest) = data.split_at(head);
        let (middle, last) = rest.split_at(words * 8);
        let mut at = offset;
        for &byte in first {
            self.word(at)?.write(byte);
            at += 1;
        }
        let (chunks, _) = middle.as_chunks::<8>();
        for &chunk in chunks {
            self.word(at)?.write(u64::from_ne_bytes(chunk));
            at += 8;
        }
        for &byte in last {
            self.word(at)?.write(byte);
            at += 1;
        }
        Ok(())
    }

    /// Sets every byte, the rounding included.
    pub fn fill(&self, byte: u8) {
        let word = u64::from_ne_bytes([byte; 8]);
        for at in (0..self.size).step_by(8) {
            let place: NonNull<u64> = self.arena.memory.at(self.offset + at).cast();
            // SAFETY: as in `word`; `size` is what the arena gave, a multiple of the cache line.
            unsafe { VolatilePtr::new(place) }.write(word);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.arena.give(self.offset, self.size);
    }
}

/// Bytes before the first whole word, whole words, bytes after.
fn split(offset: u64, len: usize) -> (usize, usize, usize) {
    let head = (offset.next_multiple_of(8) - offset) as usize;
    let head = head.min(len);
    (head, (len - head) / 8, (len - head) % 8)
}

#[cfg(test)]
mod tests {
    use crate::{Dma, Error, Pages};

    #[test]
    fn bytes_go_in_and_out_at_every_alignment() {
        let b = Dma::at(4096, Pages::Small, 0).unwrap().alloc(64, 64).unwrap();
        for offset in 0..17 {
            for len in 0..30 {
                let data: Vec<u8> = (0..len).map(|i| i * 7 + offset as u8).collect();
                b.fill(0xee);
                b.write(offset, &data).unwrap();
                let mut all = [0; 64];
                b.read(0, &mut all).unwrap();
                let (from, to) = (offset as usize, offset as usize + data.len());
                assert_eq!(all[from..to], data);
                assert!(all[..from].iter().chain(&all[to..]).all(|&x| x == 0xee), "nothing beside it was touched");
                let mut back = vec![0; data.len()];
                b.read(offset, &mut back).unwrap();
                assert_eq!(back, data);
            }
        }
    }

    #[test]
    fn words_are_little_endian_and_aligned() {
        let b = Dma::at(4096, Pages::Small, 0).unwrap().alloc(16, 64).unwrap();
        b.write_u64(8, 0x0102_0304_0506_0708).unwrap();
        assert_eq!(b.read_u32(8).unwrap(), 0x0506_0708);
        assert!(matches!(b.read_u32(2), Err(Error::Bad(_))));
        assert!(matches!(b.read_u64(16), Err(Error::Range { .. })));
        assert!(matches!(b.write(15, &[0; 2]), Err(Error::Range { .. })));
        assert!(matches!(b.slice(u64::MAX, 2), Err(Error::Range { .. })));
        assert_eq!(b.slice(4, 12).unwrap().iova, b.iova() + 4);
    }
}
