//! Host memory that is read into the chunks of the data buffer: what was asked for lands beat by beat, packet by packet, usually in
//! order, now and then not; a packet may be nullified and come again, and a read may fail.

use azote_regs::nvme::limits;
use azote_rtl::storage::data::writer::CHUNKS;
use rand::Rng;
use rand::rngs::SmallRng;

/// DWs of a chunk.
pub const CHUNK: u64 = limits::PAGE_SIZE / 4;

/// A read that was asked for: what is still to come of it.
struct Read {
    chunk: usize,
    at: usize,
    words: Vec<u32>,
    fails: bool,
}

/// A packet that is coming in.
struct Packet {
    chunk: usize,
    at: usize,
    words: Vec<u32>,
    nullified: bool,
}

/// What happens in a clock.
#[derive(Default)]
pub struct Beat {
    /// First DW and how many of them land.
    pub landed: Option<(usize, Vec<u32>)>,
    /// What landed in this chunk was nullified.
    pub nulled: Option<usize>,
}

#[derive(Default)]
pub struct Landing {
    pub buffer: Vec<u32>,
    pub failed: u128,
    /// How many packets of a thousand are nullified, of a hundred overtake.
    nullified: u32,
    overtakes: u32,
    reads: Vec<Read>,
    packet: Option<Packet>,
    told: Option<usize>,
}

impl Landing {
    pub fn new(nullified: u32, overtakes: u32) -> Landing {
        Landing { buffer: vec![0; CHUNKS * CHUNK as usize], nullified, overtakes, ..Landing::default() }
    }

    pub fn ask(&mut self, dest: usize, words: Vec<u32>, fails: bool) {
        self.reads.push(Read { chunk: dest / CHUNK as usize, at: dest, words, fails });
    }

    pub fn asked(&self) -> usize {
        self.reads.len()
    }

    /// Chunks of which something is under way.
    pub fn pending(&self) -> u128 {
        let coming = self.packet.iter().map(|p| p.chunk).chain(self.told);
        self.reads.iter().map(|r| r.chunk).chain(coming).fold(0, |all, chunk| all | 1 << chunk)
    }

    /// What this clock brings. Data of a nullified packet may be anything.
    pub fn beat(&mut self, rng: &mut SmallRng) -> Beat {
        let mut beat = Beat { nulled: self.told.take(), ..Beat::default() };
        if self.packet.is_none() && beat.nulled.is_none() && !self.reads.is_empty() && rng.random_ratio(1, 6) {
            self.begin(rng);
        }
        let Some(packet) = &mut self.packet else { return beat };
        let n = packet.words.len().min(4);
        let words: Vec<u32> = packet.words.drain(..n).collect();
        beat.landed = Some((packet.at, words));
        packet.at += n;
        if packet.words.is_empty() {
            self.told = packet.nullified.then_some(packet.chunk);
            self.packet = None;
        }
        beat
    }

    fn begin(&mut self, rng: &mut SmallRng) {
        let which = if rng.random_ratio(self.overtakes, 100) { rng.random_range(0..self.reads.len()) } else { 0 };
        let read = &mut self.reads[which];
        let n = rng.random_range(1..=64).min(read.words.len());
        if read.fails && rng.random_ratio(1, 8) {
            self.failed |= 1 << read.chunk;
            self.reads.remove(which);
            return;
        }
        let nullified = rng.random_ratio(self.nullified, 1000);
        let mut words = read.words[..n].to_vec();
        if nullified {
            words.iter_mut().for_each(|word| *word ^= rng.random::<u32>());
        }
        self.packet = Some(Packet { chunk: read.chunk, at: read.at, words, nullified });
        if nullified {
            return;
        }
        read.words.drain(..n);
        read.at += n;
        if read.words.is_empty() {
            let (chunk, fails) = (read.chunk, read.fails);
            if fails {
                self.failed |= 1 << chunk;
            }
            self.reads.remove(which);
        }
    }
}
