//! What byte enables say about a request: which bytes, and what its completions must carry.

use crate::tlp::Memory;

/// Bytes from the first enabled one to the last, both included; what a read's first completion has as its byte count
/// (§2.3.1.1, table 2-38). A read with no byte enabled counts as one byte.
pub fn byte_count(first_be: u8, last_be: u8, length: u16) -> u16 {
    let first = u16::from(first_be & 0xf);
    let last = u16::from(last_be & 0xf);
    if last == 0 {
        // One DW: from its lowest enabled byte to its highest.
        if first == 0 {
            return 1;
        }
        let high = 15 - first.leading_zeros() as u16;
        return high - first.trailing_zeros() as u16 + 1;
    }
    let skipped = first.trailing_zeros().min(3) as u16;
    let unused = 3 - (15 - last.leading_zeros() as u16);
    length * 4 - skipped - unused
}

/// The Lower Address field of a read's first completion: the address of its first enabled byte (§2.3.1.1, table 2-39).
pub fn lower_address(address: u64, first_be: u8) -> u8 {
    let skipped = if first_be & 0xf == 0 { 0 } else { first_be.trailing_zeros() as u8 };
    (address as u8 & 0x7c) + skipped
}

/// The byte enables of a request for `bytes` bytes (1 to 4096) at `address`: `(DWs, first, last)`.
pub fn enables(address: u64, bytes: u32) -> (u16, u8, u8) {
    let start = (address & 3) as u32;
    let end = start + bytes;
    let dws = end.div_ceil(4);
    let first = (0xf << start) as u8 & 0xf;
    let last = 0xf >> (dws * 4 - end) as u8;
    if dws <= 1 { (1, first & last, 0) } else { (dws as u16, first, last) }
}

impl Memory {
    /// A request for `bytes` bytes (1 to 4096) at any address.
    pub fn span(requester: crate::Rid, tag: u8, address: u64, bytes: u32) -> Memory {
        let (length, first_be, last_be) = enables(address, bytes);
        Memory { requester, tag, address: address & !3, length, first_be, last_be }
    }

    /// Is byte `index` of its DWs enabled?
    pub fn enabled(&self, index: usize) -> bool {
        let be = match index / 4 {
            0 => self.first_be,
            dw if dw + 1 == usize::from(self.length) => self.last_be,
            _ => 0xf,
        };
        be >> (index % 4) & 1 == 1
    }

    /// [`byte_count`] of this request.
    pub fn byte_count(&self) -> u16 {
        byte_count(self.first_be, self.last_be, self.length)
    }

    /// [`lower_address`] of this request.
    pub fn lower_address(&self) -> u8 {
        lower_address(self.address, self.first_be)
    }

    /// Is it a read of no bytes, whose only purpose is that it pushes writes before it (§2.2.5)?
    pub fn is_zero_length(&self) -> bool {
        self.length == 1 && self.first_be == 0
    }
}
