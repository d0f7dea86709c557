//! A queue's memory: three tables where virtio §2.7 has them, and words in them.

use azote_dma::{Buffer, Dma, Slice};
use azote_regs::virtio::ring::{
    AVAIL_ENTRY, AVAIL_FLAGS, AVAIL_IDX, AVAIL_RING, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_SIZE, USED_ENTRY,
    USED_FLAGS, USED_IDX, USED_RING, avail_event, used_event,
};

use crate::{Part, Result};

/// Descriptors of an indirect table.
pub(crate) const INDIRECT: usize = 64;

/// The memory.
pub(crate) struct Ring {
    size: u64,
    desc: Buffer,
    avail: Buffer,
    used: Buffer,
    /// An indirect table for each descriptor, if the device has such.
    tables: Option<Buffer>,
}

impl Ring {
    pub fn new(size: u16, dma: &Dma, indirect: bool) -> Result<Ring> {
        let size = u64::from(size);
        let tables = indirect.then(|| dma.alloc(size * INDIRECT as u64 * DESC_SIZE, DESC_SIZE)).transpose()?;
        Ok(Ring {
            size,
            desc: dma.alloc(size * DESC_SIZE, DESC_SIZE)?,
            avail: dma.alloc(used_event(size) + 2, 64)?,
            used: dma.alloc(avail_event(size) + 2, 64)?,
            tables,
        })
    }

    pub fn addresses(&self) -> [u64; 3] {
        [self.desc.iova(), self.avail.iova(), self.used.iova()]
    }

    pub fn has_tables(&self) -> bool {
        self.tables.is_some()
    }

    /// Writes a descriptor, two words of eight bytes.
    fn put(&self, buffer: &Buffer, at: u64, to: Slice, flags: u64, next: u16) -> Result<()> {
        let second = to.len | flags << 32 | u64::from(next) << 48;
        Ok(buffer.write_words(at, [to.iova, second])?)
    }

    /// Makes `parts` a chain of the descriptors of `chain`, one each.
    pub fn direct(&self, chain: &[u16], parts: &[Part]) -> Result<()> {
        for (i, part) in parts.iter().enumerate() {
            let next = chain.get(i + 1).copied();
            let flags = flags(part) | next.map_or(0, |_| DESC_F_NEXT.mask());
            self.put(&self.desc, u64::from(chain[i]) * DESC_SIZE, part.slice, flags, next.unwrap_or(0))?;
        }
        Ok(())
    }

    /// Makes `parts` the table of one descriptor.
    pub fn indirect(&self, head: u16, parts: &[Part]) -> Result<()> {
        let Some(tables) = &self.tables else { return Ok(()) };
        let from = u64::from(head) * INDIRECT as u64 * DESC_SIZE;
        for (i, part) in parts.iter().enumerate() {
            let more = i + 1 < parts.len();
            let flags = flags(part) | if more { DESC_F_NEXT.mask() } else { 0 };
            self.put(tables, from + i as u64 * DESC_SIZE, part.slice, flags, if more { i as u16 + 1 } else { 0 })?;
        }
        let table = tables.slice(from, parts.len() as u64 * DESC_SIZE)?;
        self.put(&self.desc, u64::from(head) * DESC_SIZE, table, DESC_F_INDIRECT.mask(), 0)
    }

    /// Puts a chain into the available ring.
    pub fn offer(&self, idx: u16, head: u16) -> Result<()> {
        Ok(self.avail.write_u16(AVAIL_RING + AVAIL_ENTRY * (u64::from(idx) % self.size), head)?)
    }

    /// Shows the device the available ring up to `idx`.
    pub fn show(&self, idx: u16) -> Result<()> {
        Ok(self.avail.write_u16(AVAIL_IDX, idx)?)
    }

    /// At which use the device is to interrupt, with EVENT_IDX.
    pub fn set_used_event(&self, idx: u16) -> Result<()> {
        Ok(self.avail.write_u16(used_event(self.size), idx)?)
    }

    /// Whether the device need not interrupt, without EVENT_IDX.
    pub fn set_flags(&self, flags: u16) -> Result<()> {
        Ok(self.avail.write_u16(AVAIL_FLAGS, flags)?)
    }

    pub fn used_idx(&self) -> Result<u16> {
        Ok(self.used.read_u16(USED_IDX)?)
    }

    pub fn used_flags(&self) -> Result<u16> {
        Ok(self.used.read_u16(USED_FLAGS)?)
    }

    pub fn avail_event(&self) -> Result<u16> {
        Ok(self.used.read_u16(avail_event(self.size))?)
    }

    /// What the device used: the head of a chain, and how much it wrote.
    pub fn used(&self, idx: u16) -> Result<(u32, u32)> {
        let at = USED_RING + USED_ENTRY * (u64::from(idx) % self.size);
        Ok((self.used.read_u32(at)?, self.used.read_u32(at + 4)?))
    }
}

fn flags(part: &Part) -> u64 {
    if part.written { DESC_F_WRITE.mask() } else { 0 }
}
