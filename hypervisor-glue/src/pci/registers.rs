//! Configuration space as bytes, some of them writable: what an emulated function has.

use azote_regs::pcie::CONFIG_SIZE;

/// 4096 bytes and the bits of them that software may change.
pub struct Registers {
    bytes: Box<[u8]>,
    writable: Box<[u8]>,
}

impl Default for Registers {
    fn default() -> Self {
        Self::new()
    }
}

impl Registers {
    /// All zero, and nothing writable.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: vec![0; CONFIG_SIZE as usize].into(), writable: vec![0; CONFIG_SIZE as usize].into() }
    }

    /// A byte; ones beyond the end.
    pub fn get8(&self, at: u64) -> u8 {
        self.bytes.get(at as usize).copied().unwrap_or(0xff)
    }

    /// A word.
    pub fn get16(&self, at: u64) -> u16 {
        u16::from_le_bytes([self.get8(at), self.get8(at + 1)])
    }

    /// A DW.
    pub fn get32(&self, at: u64) -> u32 {
        u32::from(self.get16(at)) | u32::from(self.get16(at + 2)) << 16
    }

    fn put(space: &mut [u8], at: u64, bytes: &[u8]) {
        if let Some(slots) = space.get_mut(at as usize..at as usize + bytes.len()) {
            slots.copy_from_slice(bytes);
        }
    }

    /// Sets a byte, whoever may write it.
    pub fn set8(&mut self, at: u64, value: u8) {
        Self::put(&mut self.bytes, at, &[value]);
    }

    /// Sets a word.
    pub fn set16(&mut self, at: u64, value: u16) {
        Self::put(&mut self.bytes, at, &value.to_le_bytes());
    }

    /// Sets a DW.
    pub fn set32(&mut self, at: u64, value: u32) {
        Self::put(&mut self.bytes, at, &value.to_le_bytes());
    }

    /// Lets software change these bits of a byte.
    pub fn allow8(&mut self, at: u64, mask: u8) {
        Self::put(&mut self.writable, at, &[mask]);
    }

    /// Lets software change these bits of a word.
    pub fn allow16(&mut self, at: u64, mask: u16) {
        Self::put(&mut self.writable, at, &mask.to_le_bytes());
    }

    /// Software reads.
    pub fn read(&self, offset: u16, data: &mut [u8]) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte = self.get8(u64::from(offset) + i as u64);
        }
    }

    /// Software writes.
    pub fn write(&mut self, offset: u16, data: &[u8]) {
        for (i, byte) in data.iter().enumerate() {
            let at = usize::from(offset) + i;
            if let (Some(slot), Some(mask)) = (self.bytes.get_mut(at), self.writable.get(at)) {
                *slot = (*slot & !mask) | (byte & mask);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_changes_what_it_may() {
        let mut r = Registers::new();
        r.set32(0x10, 0x1234_5678);
        r.allow16(0x11, 0x00ff);
        r.write(0x10, &[0xff; 4]);
        assert_eq!(r.get32(0x10), 0x1234_ff78);
        r.write(4094, &[0xff; 8]);
        r.read(4094, &mut [0; 8]);
        assert_eq!((r.get8(5000), r.get16(4095)), (0xff, 0xff00));
    }
}
