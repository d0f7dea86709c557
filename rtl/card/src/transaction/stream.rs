//! The bundles of wires between blocks.

use azote_hdl::prelude::*;

/// Bits of a function's name inside the card, `{slot[5:0], kind[1:0]}`.
pub const FN: usize = 8;

/// Outgoing TLP beats, at their taker.
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

/// An error to record (AER, Device Status), at its finder. `valid` stays until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ErrorIn"]
pub struct ErrorOut {
    pub valid: O<1>,
    /// Whose error; for `everyone` it is not looked at.
    pub owner: O<8>,
    /// Found before a function could be named (malformed): all PFs record it.
    pub everyone: O<1>,
    /// The bit of Uncorrectable Error Status.
    pub code: O<5>,
    /// Advisory: the requester was told by a completion (PCIe 6.2.3.2.4).
    pub advisory: O<1>,
    pub header: O<128>,
    pub ready: I<1>,
}

/// An error to record, at the configuration space.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ErrorOut"]
pub struct ErrorIn {
    pub valid: I<1>,
    pub owner: I<8>,
    pub everyone: I<1>,
    pub code: I<5>,
    pub advisory: I<1>,
    pub header: I<128>,
    pub ready: O<1>,
}
