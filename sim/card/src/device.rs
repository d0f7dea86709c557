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
    pub mrd: Option<MediaRead>,
    /// The medium takes data to be written.
    pub mwr_ready: bool,
    /// A request was answered.
    pub mdone: Option<MediaDone>,
    /// The medium takes a call for data.
    pub mget_ready: bool,
    /// A beat of a frame from the wire.
    pub erx: Option<EthernetBeat>,
    /// The wire takes a beat of a frame.
    pub etx_ready: bool,
}

/// What the card shows in one clock, before its edge, with the inputs of that clock settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    pub mwr: Option<MediaBeat>,
    /// The card takes [`Inputs::mdone`].
    pub mdone_ready: bool,
    /// Whose data is called for.
    pub mget: Option<u16>,
    /// The card takes [`Inputs::erx`].
    pub erx_ready: bool,
    /// A beat of a frame for the wire.
    pub etx: Option<EthernetBeat>,
    /// The card has work of its own: it must be clocked though nothing goes in or out.
    pub busy: bool,
    /// Engines to which this clock's edge means something, a bit each by the kind of their functions.
    pub awake: u8,
}

/// A beat of an Ethernet frame, which has no frame check sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EthernetBeat {
    /// Four words, the first in bits 31:0.
    pub data: [u32; 4],
    /// How many bytes of it are the frame's: 16 but for the last beat.
    pub bytes: u8,
    /// First beat of its frame.
    pub sop: bool,
    /// Last beat of its frame.
    pub eop: bool,
    /// On the last beat, and only from the wire: the frame came with an error.
    pub error: bool,
}

/// A beat of data for the medium.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaBeat {
    /// Four words, the first in bits 31:0.
    pub data: [u32; 4],
    /// Last beat of its request.
    pub last: bool,
    /// Only with the last: what was sent is not what the host has, and is not to be used.
    pub spoilt: bool,
}

/// A beat of data from the medium: of the request that was called for longest ago.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaRead {
    /// Four words, the first in bits 31:0.
    pub data: [u32; 4],
    /// Last beat of its request.
    pub last: bool,
    /// On the last beat: something of it could not be read after all.
    pub error: bool,
    /// The block that it belongs to is a hole of the volume.
    pub hole: bool,
}

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaDone {
    /// Whose it is.
    pub tag: u16,
    /// How it ended.
    pub result: MediaResult,
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
    /// Give back a list of ranges, which comes as data.
    Ranges,
    /// Give up the request with this tag.
    Cancel,
}

impl MediaOp {
    /// The operation with this number at the port, of which the low four bits are there.
    pub const fn from_code(code: u8) -> Self {
        match (code & 15) as u64 {
            media::READ => Self::Read,
            media::WRITE => Self::Write,
            media::FLUSH => Self::Flush,
            media::ZEROES => Self::WriteZeroes,
            media::DEALLOCATE => Self::Deallocate,
            media::VERIFY => Self::Verify,
            media::COMPARE => Self::Compare,
            media::RANGES => Self::Ranges,
            _ => Self::Cancel,
        }
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
            Self::Ranges => media::RANGES,
            Self::Cancel => media::CANCEL,
        }
    }

    /// Blocks of the host's come with it.
    pub const fn takes_data(self) -> bool {
        matches!(self, Self::Write | Self::Compare | Self::Ranges)
    }

    /// It only looks at blocks.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Verify | Self::Compare)
    }

    /// How many blocks a request of it may have at most; the least is one, but for what has none.
    pub const fn most_blocks(self) -> u64 {
        match self {
            Self::Read | Self::Write | Self::Compare => media::DATA_BLOCKS,
            Self::WriteZeroes | Self::Verify => media::LONG_BLOCKS,
            Self::Deallocate => u64::MAX,
            Self::Ranges => media::RANGE_ROWS,
            Self::Flush | Self::Cancel => 0,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::WriteZeroes => "write zeroes",
            Self::Deallocate => "deallocate",
            Self::Verify => "verify",
            Self::Compare => "compare",
            Self::Ranges => "ranges",
            Self::Cancel => "cancel",
        }
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
    /// It was cancelled.
    Aborted,
    /// All that was to be read is a hole.
    Hole,
    /// The card has said that its data was spoilt: nothing was done.
    Spoilt,
}

impl MediaResult {
    /// Its number at the port.
    pub const fn code(self) -> u64 {
        match self {
            Self::Done => media::DONE,
            Self::Failed => media::FAILED,
            Self::Differs => media::DIFFERS,
            Self::Aborted => media::ABORTED,
            Self::Hole => media::HOLE,
            Self::Spoilt => media::SPOILT,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Differs => "differs",
            Self::Aborted => "aborted",
            Self::Hole => "hole",
            Self::Spoilt => "spoilt",
        }
    }
}

/// One request at the media port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaRequest {
    /// What its answer will carry.
    pub tag: u16,
    /// What to do.
    pub op: MediaOp,
    /// On which volume.
    pub volume: u8,
    /// What is written is durable before the answer; what is read was made so.
    pub fua: bool,
    /// From which 512-byte block.
    pub lba: u64,
    /// How many blocks, as many as [`MediaOp::most_blocks`] at most; 0 for a flush.
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
