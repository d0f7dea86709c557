//! Packets on the card's streams: the first beat is the header, the payload follows from the next.

use crate::Malformed;

/// One beat of `rx` or `tx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beat {
    /// Four DWs, the first in bits 31:0 of the port.
    pub data: [u32; 4],
    /// Which DWs are valid: 0b0001, 0b0011, 0b0111 or 0b1111.
    pub keep: u8,
    /// First beat of a packet.
    pub sop: bool,
    /// Last beat of a packet.
    pub eop: bool,
}

/// Bytes a beat carries.
pub const BEAT_BYTES: usize = 16;

/// A packet's header and payload before anyone asked whether they make sense.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packet {
    /// The header as it was in its beat; of a 3-DW header the last DW is padding.
    pub header: [u32; 4],
    /// The payload in memory order; whole DWs.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Beat `index` of those that carry it, 0 to [`Packet::beat_count`] - 1. A payload that is no multiple of four bytes
    /// is filled with zeros to one.
    pub fn beat(&self, index: usize) -> Beat {
        let last = self.payload.len().div_ceil(BEAT_BYTES);
        if index == 0 {
            return Beat { data: self.header, keep: 0xf, sop: true, eop: last == 0 };
        }
        let end = self.payload.len().min(index * BEAT_BYTES);
        let chunk = self.payload.get((index - 1) * BEAT_BYTES..end).unwrap_or_default();
        let mut bytes = [0; BEAT_BYTES];
        bytes[..chunk.len()].copy_from_slice(chunk);
        let data = std::array::from_fn(|dw| {
            u32::from_le_bytes([bytes[4 * dw], bytes[4 * dw + 1], bytes[4 * dw + 2], bytes[4 * dw + 3]])
        });
        let keep = ((1u32 << chunk.len().div_ceil(4)) - 1) as u8;
        Beat { data, keep, sop: false, eop: index >= last }
    }

    /// All of its beats.
    pub fn beats(&self) -> impl Iterator<Item = Beat> + '_ {
        (0..self.beat_count() as usize).map(|index| self.beat(index))
    }

    /// How many beats it takes: the unit in which the bounds of the benches count.
    pub fn beat_count(&self) -> u64 {
        1 + self.payload.len().div_ceil(BEAT_BYTES) as u64
    }
}

/// Puts the beats of one stream together again.
#[derive(Debug, Default)]
pub struct Assembler {
    packet: Option<Packet>,
}

/// The longest payload a Length field can name, 1024 DWs, and room to notice one that is longer.
const LONGEST: usize = 4096;

impl Assembler {
    /// Takes one beat; returns the packet that it completes.
    ///
    /// After an error the packet in progress is dropped, and what follows is refused until the next first beat.
    pub fn push(&mut self, beat: Beat) -> Result<Option<Packet>, Malformed> {
        let result = self.take(beat);
        if result.is_err() {
            self.packet = None;
        }
        result
    }

    fn take(&mut self, beat: Beat) -> Result<Option<Packet>, Malformed> {
        match (&mut self.packet, beat.sop) {
            (Some(_), true) => return Err(Malformed::Framing("a first beat inside a packet")),
            (None, false) => return Err(Malformed::Framing("a beat outside any packet")),
            (None, true) => {
                if beat.keep != 0xf {
                    return Err(Malformed::Keep { keep: beat.keep, place: "the header beat" });
                }
                self.packet = Some(Packet { header: beat.data, payload: Vec::new() });
            }
            (Some(packet), false) => {
                let fine = beat.keep == 0xf || beat.eop && matches!(beat.keep, 1 | 3 | 7);
                if !fine {
                    let place = if beat.eop { "the last beat" } else { "a beat that is not the last" };
                    return Err(Malformed::Keep { keep: beat.keep, place });
                }
                for word in &beat.data[..beat.keep.count_ones() as usize] {
                    packet.payload.extend_from_slice(&word.to_le_bytes());
                }
                if packet.payload.len() > LONGEST {
                    return Err(Malformed::Framing("more than 1024 DWs of payload without a last beat"));
                }
            }
        }
        Ok(if beat.eop { self.packet.take() } else { None })
    }

    /// True between a first and a last beat.
    pub fn inside(&self) -> bool {
        self.packet.is_some()
    }
}
