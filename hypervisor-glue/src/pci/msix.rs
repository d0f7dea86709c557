//! An MSI-X table and its pending bits, as the guest reads and writes them (PCIe 7.7.2.2). The device's own table is the
//! host's; this one is memory of ours.

use azote_regs::pcie::msix;

/// One vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where its message goes.
    pub address: u64,
    /// What it says.
    pub data: u32,
    /// It is held back.
    pub masked: bool,
}

/// After reset every vector is masked.
const RESET: Entry = Entry { address: 0, data: 0, masked: true };

/// The table.
#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
}

impl Table {
    /// A table of so many vectors.
    #[must_use]
    pub fn new(vectors: u16) -> Self {
        Self { entries: vec![RESET; vectors.into()] }
    }

    /// All vectors.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// As after reset.
    pub fn reset(&mut self) {
        self.entries.fill(RESET);
    }

    /// Reads a DW or two; anything else, and what is outside, reads as zero.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if !aligned(offset, data.len()) {
            return;
        }
        for (i, dw) in data.chunks_mut(4).enumerate() {
            let value = self.dw(offset + 4 * i as u64);
            dw.copy_from_slice(&value.to_le_bytes()[..dw.len()]);
        }
    }

    fn dw(&self, offset: u64) -> u32 {
        let Some(entry) = self.entries.get((offset / msix::ENTRY_SIZE) as usize) else { return 0 };
        match offset % msix::ENTRY_SIZE {
            msix::ENTRY_ADDRESS_LO => entry.address as u32,
            msix::ENTRY_ADDRESS_HI => (entry.address >> 32) as u32,
            msix::ENTRY_DATA => entry.data,
            _ => msix::ENTRY_CONTROL_MASK.put(entry.masked.into()) as u32,
        }
    }

    /// Writes a DW or two; returns the vector that has changed. Other sizes are ignored, as the specification permits.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Option<u16> {
        if !aligned(offset, data.len()) {
            return None;
        }
        let index = offset / msix::ENTRY_SIZE;
        let entry = self.entries.get_mut(index as usize)?;
        let before = *entry;
        for (i, dw) in data.chunks_exact(4).enumerate() {
            let value = u32::from_le_bytes([dw[0], dw[1], dw[2], dw[3]]);
            match (offset + 4 * i as u64) % msix::ENTRY_SIZE {
                // The two low bits of an address are none.
                msix::ENTRY_ADDRESS_LO => entry.address = entry.address & !0xffff_ffff | u64::from(value & !3),
                msix::ENTRY_ADDRESS_HI => entry.address = entry.address & 0xffff_ffff | u64::from(value) << 32,
                msix::ENTRY_DATA => entry.data = value,
                _ => entry.masked = msix::ENTRY_CONTROL_MASK.is_set(value.into()),
            }
        }
        (*entry != before).then_some(index as u16)
    }
}

fn aligned(offset: u64, len: usize) -> bool {
    matches!(len, 4 | 8) && offset.is_multiple_of(len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_start_masked_and_keep_what_is_written() {
        let mut table = Table::new(3);
        assert!(table.entries().iter().all(|e| e.masked));
        assert_eq!(table.write(16, &0xfee0_1003u32.to_le_bytes()), Some(1));
        assert_eq!(table.write(24, &(0x41u64).to_le_bytes()), Some(1), "data and control in one");
        assert_eq!(table.entries()[1], Entry { address: 0xfee0_1000, data: 0x41, masked: false });
        assert_eq!(table.write(24, &0x41u64.to_le_bytes()), None, "nothing new");
        let mut eight = [0; 8];
        table.read(24, &mut eight);
        assert_eq!(u64::from_le_bytes(eight), 0x41);
    }

    #[test]
    fn accesses_of_other_sizes_and_beyond_the_end_do_nothing() {
        let mut table = Table::new(1);
        for (offset, len) in [(0, 1), (0, 2), (2, 4), (4, 8), (16, 4), (u64::MAX - 3, 4), (0, 3), (0, 0)] {
            assert_eq!(table.write(offset, &vec![0xff; len]), None);
            let mut data = vec![0xaa; len];
            table.read(offset, &mut data);
            assert!(data.iter().all(|b| *b == 0));
        }
        assert_eq!(table.entries(), [RESET]);
    }
}
