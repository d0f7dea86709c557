//! The transmit half of a pair.

use azote_dma::{Buffer, Dma};
use azote_regs::virtio::net::{MAX_GSO, header};
use azote_virtio::{Part, Queue};

use crate::header::encode;
use crate::{Checksum, Error, Result, Segment, Stats};

/// Bytes of a piece of the pool that packets are copied into.
const PIECE: usize = 2048;

/// A packet to send.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The frame, from its destination address on.
    pub bytes: &'a [u8],
    /// A checksum for the device to complete.
    pub checksum: Option<Checksum>,
    /// How the device is to cut it, if it is longer than a frame.
    pub segment: Option<Segment>,
}

impl<'a> From<&'a [u8]> for Packet<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Packet { bytes, checksum: None, segment: None }
    }
}

/// The transmit half.
pub(crate) struct Transmit {
    queue: Queue,
    pool: Buffer,
    free: Vec<u32>,
    /// Pieces of packets that are with the device, by the first.
    pieces: Vec<Vec<u32>>,
    header: usize,
}

impl Transmit {
    pub fn new(queue: Queue, dma: &Dma, header: usize) -> Result<Self> {
        // Two pieces an entry: a queue full of packets of an MTU has room.
        let count = 2 * u32::from(queue.size());
        let pool = dma.alloc(u64::from(count) * PIECE as u64, PIECE as u64)?;
        Ok(Transmit { queue, pool, free: (0..count).rev().collect(), pieces: vec![Vec::new(); count as usize], header })
    }

    /// Copies packets into the pool and gives them to the device, and rings once; how many there was room for.
    pub fn send(&mut self, packets: &[Packet<'_>], most: usize, stats: &mut Stats) -> Result<usize> {
        self.reclaim(stats)?;
        let mut sent = 0;
        for packet in packets {
            let len = packet.bytes.len();
            let most = if packet.segment.is_some() { MAX_GSO as usize } else { most };
            if len < 14 || len > most {
                let what = if len < 14 { "an Ethernet header has 14" } else { "longer than a frame may be" };
                return Err(Error::Packet { len, what });
            }
            if !self.put(packet)? {
                stats.full += (packets.len() - sent) as u64;
                break;
            }
            sent += 1;
            stats.sent += 1;
            stats.sent_bytes += len as u64;
        }
        self.queue.ring()?;
        Ok(sent)
    }

    fn put(&mut self, packet: &Packet<'_>) -> Result<bool> {
        let total = self.header + packet.bytes.len();
        let wanted = total.div_ceil(PIECE);
        if wanted > self.free.len() || !self.queue.has_room(wanted) {
            return Ok(false);
        }
        let pieces = self.free.split_off(self.free.len() - wanted);
        let mut bytes = packet.bytes;
        let mut parts = Vec::with_capacity(wanted);
        for (i, piece) in pieces.iter().enumerate() {
            let from = u64::from(*piece) * PIECE as u64;
            let begun = if i == 0 { self.header } else { 0 };
            if i == 0 {
                // What HASH_REPORT adds behind is zero when it is sent.
                self.pool.write(from, &[0; header::SIZE_HASH as usize][..self.header])?;
                self.pool.write(from, &encode(packet.checksum, packet.segment))?;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - begun));
            self.pool.write(from + begun as u64, now)?;
            bytes = rest;
            parts.push(Part { slice: self.pool.slice(from, (begun + now.len()) as u64)?, written: false });
        }
        let first = pieces[0];
        self.queue.add(&parts, first)?;
        self.pieces[first as usize] = pieces;
        Ok(true)
    }

    /// Takes back what the device is done with.
    pub fn reclaim(&mut self, stats: &mut Stats) -> Result<()> {
        while let Some(used) = self.queue.take()? {
            self.free.append(&mut self.pieces[used.mark as usize]);
            stats.completed += 1;
        }
        Ok(())
    }

    /// Packets that are with the device.
    pub fn under_way(&self) -> u16 {
        self.queue.given()
    }

    pub fn want_interrupts(&mut self, wanted: bool) -> Result<bool> {
        Ok(self.queue.want_interrupts(wanted)?)
    }
}
