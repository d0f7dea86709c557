//! What stands behind the TLP boundary, clock by clock: the Verilated card, or a model of one.

use std::path::Path;

use azote_regs::media;
use azote_tlp::Beat;

use crate::Error;

/// What the card sees in one clock. The field names are those of `azote_card`'s ports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inputs {
    /// Synchronous reset.
    pub reset: bool,
    /// A beat from the link, or none: `rx_valid` and the rest of `rx_*`.
    pub rx: Option<Beat>,
    /// The link takes what the card sends.
    pub tx_ready: bool,
    /// The medium takes a request.
    pub mreq_ready: bool,
    /// Data read from the medium.
    pub mrd: Option<MediaData>,
    /// The medium takes data to be written.
    pub mwr_ready: bool,
    /// What is no read ended, and how.
    pub mdone: Option<MediaResult>,
}

/// What the card shows in one clock, before its edge, with the inputs of that clock settled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs {
    /// The card takes the beat in [`Inputs::rx`].
    pub rx_ready: bool,
    /// A beat to the link.
    pub tx: Option<Beat>,
    /// A request to the medium.
    pub mreq: Option<MediaRequest>,
    /// The card takes [`Inputs::mrd`].
    pub mrd_ready: bool,
    /// Data for the medium.
    pub mwr: Option<MediaData>,
    /// The card takes [`Inputs::mdone`].
    pub mdone_ready: bool,
    /// The card has work of its own: it must be clocked though nothing goes in or out.
    pub busy: bool,
}

/// A beat of one of the media port's data streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaData {
    /// Four words, the first in bits 31:0.
    pub data: [u32; 4],
    /// Last beat of its request.
    pub last: bool,
    /// On the last beat of a read: it failed.
    pub error: bool,
}

/// What the media port is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaOp {
    /// Deliver blocks.
    Read,
    /// Take blocks.
    Write,
    /// Make what was written durable.
    Flush,
    /// Make blocks zero, without data.
    WriteZeroes,
    /// Give blocks back; they read as zero.
    Deallocate,
    /// Read blocks and keep them.
    Verify,
    /// Take blocks and say whether the volume holds the same.
    Compare,
}

impl MediaOp {
    /// The operation with this number at the port; `None` for the one that has no meaning.
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            media::READ => Self::Read,
            media::WRITE => Self::Write,
            media::FLUSH => Self::Flush,
            media::ZEROES => Self::WriteZeroes,
            media::DEALLOCATE => Self::Deallocate,
            media::VERIFY => Self::Verify,
            media::COMPARE => Self::Compare,
            _ => return None,
        })
    }

    /// Its number at the port.
    pub const fn code(self) -> u64 {
        match self {
            Self::Read => media::READ,
            Self::Write => media::WRITE,
            Self::Flush => media::FLUSH,
            Self::WriteZeroes => media::ZEROES,
            Self::Deallocate => media::DEALLOCATE,
            Self::Verify => media::VERIFY,
            Self::Compare => media::COMPARE,
        }
    }

    /// Blocks of the host's come with it.
    pub const fn takes_data(self) -> bool {
        matches!(self, Self::Write | Self::Compare)
    }

    /// It only looks at blocks.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Verify | Self::Compare)
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaResult {
    /// It is done.
    Done,
    /// It could not be done.
    Failed,
    /// The volume holds something else.
    Differs,
}

impl MediaResult {
    /// Its number at the port.
    pub const fn code(self) -> u64 {
        match self {
            Self::Done => media::DONE,
            Self::Failed => media::FAILED,
            Self::Differs => media::DIFFERS,
        }
    }
}

/// One request at the media port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaRequest {
    /// What to do.
    pub op: MediaOp,
    /// On which volume.
    pub volume: u8,
    /// What is written is durable before the answer; what is read was made so.
    pub fua: bool,
    /// From which 512-byte block.
    pub lba: u64,
    /// How many blocks; 0 for a flush.
    pub blocks: u64,
}

/// What waves are wanted of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveScope {
    /// The first clock.
    pub from: u64,
    /// The last clock.
    pub to: u64,
    /// Blocks, with all that is inside of them: `storage`, `storage.front`; none is everything.
    pub blocks: Vec<String>,
}

impl Default for WaveScope {
    fn default() -> Self {
        WaveScope { from: 0, to: u64::MAX, blocks: Vec::new() }
    }
}

/// A device with the ports of `azote_card`.
pub trait TlpDevice: Send {
    /// One clock: `inputs` settle, `outputs` show the settled state, then the edge. A beat is taken where both sides said
    /// so in this clock.
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs);

    /// Writes waves to `path` from now on.
    fn trace(&mut self, path: &Path, _scope: &WaveScope) -> Result<(), Error> {
        Err(Error::Trace { path: path.to_owned(), reason: "this device is a model without waves".into() })
    }

    /// Completes the wave file, if there is one.
    fn trace_end(&mut self) {}
}
