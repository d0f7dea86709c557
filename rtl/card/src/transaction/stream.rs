//! The bundles of wires between blocks.

use azote_hdl::prelude::*;

/// Bits of a function's name inside the card, `{slot[5:0], kind[1:0]}`.
pub const FN: usize = 8;
/// Bits of the numbers of posted requests; they are compared across less than half of their range.
pub const ORDER: usize = 8;

/// The link's beats, on their way into the card.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct LinkIn {
    pub valid: I<1>,
    pub ready: O<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    /// Valid DWs.
    pub keep: I<4>,
    pub data: I<128>,
}

/// The link's beats, on their way out.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct LinkOut {
    pub valid: O<1>,
    pub ready: I<1>,
    pub sop: O<1>,
    pub eop: O<1>,
    pub keep: O<4>,
    pub data: O<128>,
}

/// Outgoing TLP beats, at their taker. The first beat of a packet is its header without its kind and its sender, which the
/// door adds: makers make it with [`request`](super::header::request) and the like.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "TxOut"]
pub struct TxIn {
    pub valid: I<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    pub keep: I<4>,
    pub data: I<128>,
    /// Whose packet it is; steady from `sop` to `eop`.
    pub owner: I<8>,
    pub ready: O<1>,
    /// With the last beat: the packet was not sent, its function may not send.
    pub killed: O<1>,
}

/// Outgoing TLP beats, at their maker.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "TxIn"]
pub struct TxOut {
    pub valid: O<1>,
    pub sop: O<1>,
    pub eop: O<1>,
    pub keep: O<4>,
    pub data: O<128>,
    pub owner: O<8>,
    pub ready: I<1>,
    pub killed: I<1>,
}

/// The register bus at the completer: one access at a time, held until `ack`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BusSlave"]
pub struct BusMaster {
    pub valid: O<1>,
    pub write: O<1>,
    pub owner: O<8>,
    /// Byte offset in the BAR, a multiple of 4.
    pub offset: O<16>,
    pub be: O<4>,
    pub wdata: O<32>,
    /// One clock: done, `rdata` is valid.
    pub ack: I<1>,
    pub rdata: I<32>,
}

/// The register bus at a block with registers.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BusMaster"]
pub struct BusSlave {
    pub valid: I<1>,
    pub write: I<1>,
    pub owner: I<8>,
    pub offset: I<16>,
    pub be: I<4>,
    pub wdata: I<32>,
    pub ack: O<1>,
    pub rdata: O<32>,
}

/// What can be found wrong with a TLP, or missing: the events that are recorded in Status, Device Status and AER.
pub struct Found;
impl Found {
    /// Malformed TLP.
    pub const MALFORMED: u64 = 0;
    /// Unsupported Request, non-posted: the requester is told by a completion (advisory, PCIe 6.2.3.2.4.1).
    pub const UNSUPPORTED: u64 = 1;
    /// Unsupported Request, posted: nobody is told.
    pub const UNSUPPORTED_POSTED: u64 = 2;
    /// Poisoned TLP Received, non-posted: told as well.
    pub const POISONED: u64 = 3;
    /// Poisoned TLP Received, posted.
    pub const POISONED_POSTED: u64 = 4;
    /// Poisoned TLP Received, a completion: the engine that asked deals with it (advisory, PCIe 6.2.3.2.4.3).
    pub const POISONED_COMPLETION: u64 = 5;
    /// Unexpected Completion (advisory, PCIe 6.2.3.2.4.5).
    pub const UNEXPECTED: u64 = 6;
    /// Completion Timeout.
    pub const TIMEOUT: u64 = 7;
    /// A completion with Unsupported Request: no error of ours, Status alone tells of it (PCIe 7.5.1.1.4).
    pub const MASTER_ABORT: u64 = 8;
    /// A completion with Completer Abort, likewise.
    pub const TARGET_ABORT: u64 = 9;
    /// How many there are.
    pub const COUNT: usize = 10;
}

/// An error to record, at its finder. `valid` stays until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ErrorIn"]
pub struct ErrorOut {
    pub valid: O<1>,
    /// Whose error; for `everyone` it is not looked at.
    pub owner: O<8>,
    /// No function claims it: all PFs record it (PCIe 6.2.3.2.2).
    pub everyone: O<1>,
    /// One of [`Found`].
    pub event: O<4>,
    /// The header of the TLP as it came; ones if it is not known any more.
    pub header: O<128>,
    pub ready: I<1>,
}

/// An error to record, at its taker.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ErrorOut"]
pub struct ErrorIn {
    pub valid: I<1>,
    pub owner: I<8>,
    pub everyone: I<1>,
    pub event: I<4>,
    pub header: I<128>,
    pub ready: O<1>,
}

/// An access to configuration space, at who asks: held until `ack`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ConfigSlave"]
pub struct ConfigMaster {
    pub valid: O<1>,
    pub write: O<1>,
    /// The function's number.
    pub number: O<8>,
    pub dw: O<10>,
    pub be: O<4>,
    pub wdata: O<32>,
    pub ack: I<1>,
    pub rdata: I<32>,
    /// With `ack`: there is no such function.
    pub none: I<1>,
    /// With `ack`: nothing was done, the function is being reset (PCIe 2.3.1, 6.6.2).
    pub retry: I<1>,
    /// With `ack`: nothing was done, it is one to the function's registers. These bytes of the register at `offset` are meant,
    /// of which the first is byte `lane` of it and of the access byte 0.
    pub window: I<1>,
    pub offset: I<13>,
    pub lane: I<2>,
    pub bytes: I<4>,
}

/// The same, at configuration space.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ConfigMaster"]
pub struct ConfigSlave {
    pub valid: I<1>,
    pub write: I<1>,
    pub number: I<8>,
    pub dw: I<10>,
    pub be: I<4>,
    pub wdata: I<32>,
    pub ack: O<1>,
    pub rdata: O<32>,
    pub none: O<1>,
    pub retry: O<1>,
    pub window: O<1>,
    pub offset: O<13>,
    pub lane: O<2>,
    pub bytes: O<4>,
}

/// Whom an address hit, at the decoder.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "HitIn"]
pub struct HitOut {
    pub valid: O<1>,
    pub owner: O<8>,
    pub offset: O<16>,
    /// The management BAR and not BAR0.
    pub manage: O<1>,
}

/// The same, at who asked.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "HitOut"]
pub struct HitIn {
    pub valid: I<1>,
    pub owner: I<8>,
    pub offset: I<16>,
    pub manage: I<1>,
}

/// Beats of posted requests, header first, whole packets only.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "PostedIn"]
pub struct PostedOut {
    pub valid: O<1>,
    pub data: O<128>,
    pub ready: I<1>,
}

/// The same, at who serves them.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "PostedOut"]
pub struct PostedIn {
    pub valid: I<1>,
    pub data: I<128>,
    pub ready: O<1>,
}

/// Non-posted requests, a word each: its header, and the DW that it writes in place of the fourth if the header has three.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "RequestIn"]
pub struct RequestOut {
    pub valid: O<1>,
    pub data: O<128>,
    /// How many posted requests came before it; all of them are known to be done, also when the number is too old to tell.
    pub after: O<ORDER>,
    pub free: O<1>,
    pub ready: I<1>,
}

/// The same, at who serves them.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "RequestOut"]
pub struct RequestIn {
    pub valid: I<1>,
    pub data: I<128>,
    pub after: I<ORDER>,
    pub free: I<1>,
    pub ready: O<1>,
}

/// Beats of completions, a clock after they came. There is no ready: the room was made before the read was sent.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "AnswerIn"]
pub struct AnswerOut {
    pub valid: O<1>,
    pub sop: O<1>,
    pub eop: O<1>,
    /// With `eop`: the packet is malformed and must leave no trace.
    pub bad: O<1>,
    pub data: O<128>,
}

/// The same, at who asked.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "AnswerOut"]
pub struct AnswerIn {
    pub valid: I<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    pub bad: I<1>,
    pub data: I<128>,
}

/// Accesses to registers that somebody asks for and does not stay with, at who asks.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "AskIn"]
pub struct AskOut {
    /// Held, with all that belongs to it, until `ready`: then it has begun.
    pub valid: O<1>,
    pub write: O<1>,
    pub owner: O<8>,
    pub offset: O<16>,
    pub manage: O<1>,
    /// The way to it (`ways::way`): whose last answer `rdata` is, from when it is no longer open until something else begins there.
    pub to: O<2>,
    pub be: O<4>,
    pub wdata: O<32>,
    pub ready: I<1>,
    pub rdata: I<32>,
    /// Of each way: what was asked for there is not answered, and nothing else is to be asked for; something is on it.
    pub open: I<4>,
    pub taken: I<4>,
}

/// The same, at the ways.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "AskOut"]
pub struct AskIn {
    pub valid: I<1>,
    pub write: I<1>,
    pub owner: I<8>,
    pub offset: I<16>,
    pub manage: I<1>,
    pub to: I<2>,
    pub be: I<4>,
    pub wdata: I<32>,
    pub ready: O<1>,
    pub rdata: O<32>,
    pub open: O<4>,
    pub taken: O<4>,
}
