//! How the world around the card behaves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use azote_files::Inputs;

use crate::device::WaveScope;

/// How the host answers a read in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// As few completions as Max_Payload_Size allows.
    Whole,
    /// At random read completion boundaries, other requests' completions between them.
    Random,
}

/// A probability in 256ths; 0 is never.
pub type Chance = u8;

/// Settings of the root complex, its memory and the medium. The same settings and the same calls give the same clocks.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of everything random.
    pub seed: u64,
    /// Clocks from a read's last beat to its first completion's earliest beat.
    pub read_latency: u32,
    /// Up to so many clocks more, at random, for each read; so reads overtake each other.
    pub read_jitter: u32,
    /// How reads are answered.
    pub split: Split,
    /// How often the link does not take a beat that the card offers.
    pub tx_stall: Chance,
    /// How often the link has a gap where it could send the next beat.
    pub rx_gap: Chance,
    /// How often a posted request or completion overtakes a non-posted request before it (PCIe 5.0 §2.4.1, A3 to D5).
    pub overtake: Chance,
    /// The bus number that the card gets.
    pub bus: u8,
    /// Where BARs are assigned from.
    pub mmio_base: u64,
    /// Max_Payload_Size to set, in bytes, if the card can.
    pub max_payload: u32,
    /// Max_Read_Request_Size to set, in bytes.
    pub max_read: u32,
    /// Clocks after which an unanswered request of the host's has failed.
    pub timeout: u64,
    /// What a clock counts as in the drivers' time. The default, a microsecond, is about what simulating one takes: a
    /// driver's time-out, made for real time, then ends in a time that a person can wait.
    pub clock_period: Duration,
    /// Write every TLP to this file, one line each.
    pub log: Option<PathBuf>,
    /// Files that the log and the waves must not replace.
    pub inputs: Inputs,
    /// What of the card waves are written of, where they are.
    pub waves: WaveScope,
    /// Set from elsewhere, it has every access of a driver fail from then on, so that whatever waits for the card ends.
    pub interrupted: Arc<AtomicBool>,
    /// The medium.
    pub media: MediaOptions,
}

/// Settings of the media port.
#[derive(Debug, Clone, Copy)]
pub struct MediaOptions {
    /// Clocks from a request to its first data or, for what has none, to its end.
    pub latency: u32,
    /// Bytes a clock, for reads and for writes each, at most 16, the width of the port. In 256ths of a byte.
    pub bandwidth: u32,
    /// Requests that the medium takes before it stalls the port.
    pub depth: usize,
    /// Writes stay in a cache of the medium's, which a power cut empties, until they are flushed; else they are with the disk at
    /// once, which has a cache of its own (a file the host's).
    pub cache: bool,
}

impl Default for MediaOptions {
    fn default() -> Self {
        MediaOptions { latency: 0, bandwidth: Self::FULL, depth: 32, cache: false }
    }
}

impl MediaOptions {
    /// A beat every clock.
    pub const FULL: u32 = 16 * 256;
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            read_latency: 32,
            read_jitter: 0,
            split: Split::Whole,
            tx_stall: 0,
            rx_gap: 0,
            overtake: 0,
            bus: 1,
            mmio_base: 0xc000_0000,
            max_payload: 256,
            max_read: 512,
            timeout: 100_000,
            clock_period: Duration::from_micros(1),
            log: None,
            inputs: Inputs::new(),
            waves: WaveScope::default(),
            interrupted: Arc::default(),
            media: MediaOptions::default(),
        }
    }
}

impl Options {
    /// Everything that the specification lets a host do to a card, often: for tests.
    pub fn rough(seed: u64) -> Self {
        Options {
            seed,
            read_jitter: 100,
            split: Split::Random,
            tx_stall: 60,
            rx_gap: 30,
            overtake: 60,
            media: MediaOptions { latency: 20, bandwidth: MediaOptions::FULL / 2, depth: 4, cache: false },
            ..Options::default()
        }
    }
}
