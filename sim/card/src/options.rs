//! How the world around the card behaves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use azote_files::Inputs;
use azote_regs::media;

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
    /// The Ethernet port.
    pub ethernet: EthernetOptions,
}

/// Settings of the medium, or of one of its volumes ([`crate::Media::set_volume_options`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaOptions {
    /// Clocks from a request, or the last of its data, to its answer.
    pub latency: u32,
    /// Up to so many clocks more, at random, for each request; so they overtake each other.
    pub jitter: u32,
    /// Bytes a clock, for reads and for writes each, at most 16, the width of the port. In 256ths of a byte. The medium's is
    /// the port's, which all volumes share; a volume's own is one more bound for itself.
    pub bandwidth: u32,
    /// Requests of a volume that it works at; the others wait, in the medium and not at the port.
    pub depth: usize,
    /// Writes stay in a cache of the medium's, which a power cut empties, until they are flushed; else they are with the disk at
    /// once, which has a cache of its own (a file the host's).
    pub cache: bool,
    /// It answers nothing until that is changed or the request is cancelled.
    pub stuck: bool,
    /// How often, of the medium alone, the port does not take a request or a beat of data in a clock.
    pub stall: Chance,
    /// What happens when an answer is due and the host has not done the work.
    pub host: HostTime,
}

/// Settings of the Ethernet port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetOptions {
    /// Bytes a clock each way, in 256ths; [`EthernetOptions::FULL`] is a beat every clock.
    pub bandwidth: u32,
    /// How often the port does not take a beat of the card's in a clock.
    pub stall: Chance,
    /// How often there is a gap before a beat of a frame for the card.
    pub gap: Chance,
    /// How often a frame for the card comes with an error.
    pub damage: Chance,
}

impl Default for EthernetOptions {
    fn default() -> Self {
        EthernetOptions { bandwidth: Self::FULL, stall: 0, gap: 0, damage: 0 }
    }
}

impl EthernetOptions {
    /// A beat every clock.
    pub const FULL: u32 = 16 * 256;
}

/// Whose time counts while the host works for a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostTime {
    /// The clock waits for the host: the same calls give the same clocks. A server that is slow stops the simulation.
    Waits,
    /// The answer comes later, by as many clocks as are simulated meanwhile.
    Passes,
    /// [`HostTime::Waits`] for what is on this machine, [`HostTime::Passes`] for a server.
    AsDisk,
}

impl Default for MediaOptions {
    fn default() -> Self {
        MediaOptions {
            latency: 0,
            jitter: 0,
            bandwidth: Self::FULL,
            depth: media::TAGS as usize,
            cache: false,
            stuck: false,
            stall: 0,
            host: HostTime::AsDisk,
        }
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
            ethernet: EthernetOptions::default(),
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
            media: MediaOptions {
                latency: 20,
                jitter: 200,
                bandwidth: MediaOptions::FULL / 2,
                depth: 4,
                stall: 60,
                ..MediaOptions::default()
            },
            ethernet: EthernetOptions { stall: 60, gap: 30, ..EthernetOptions::default() },
            ..Options::default()
        }
    }
}
