//! The bundles of wires between the engine's blocks.

use azote_hdl::prelude::*;

use super::words::Tag;

/// A request to the medium, at who asks; held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "MediaIn"]
pub struct MediaOut {
    pub valid: O<1>,
    pub tag: O<{ Tag::WIDTH }>,
    pub op: O<4>,
    pub fua: O<1>,
    pub volume: O<8>,
    pub lba: O<48>,
    pub blocks: O<48>,
    pub ready: I<1>,
}

/// A request to the medium, at its taker.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "MediaOut"]
pub struct MediaIn {
    pub valid: I<1>,
    pub tag: I<{ Tag::WIDTH }>,
    pub op: I<4>,
    pub fua: I<1>,
    pub volume: I<8>,
    pub lba: I<48>,
    pub blocks: I<48>,
    pub ready: O<1>,
}

/// An admin command, at the front; held until `done`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "CommandIn"]
pub struct CommandOut {
    pub start: O<1>,
    pub slot: O<6>,
    pub cdw0: O<32>,
    pub nsid: O<32>,
    pub prp1: O<64>,
    pub cdw10: O<32>,
    pub cdw11: O<32>,
    pub cdw12: O<32>,
    pub cdw13: O<32>,
    /// The slot's volume: whether there is one, it is read only, it is smaller than a large block.
    pub bound: O<1>,
    pub read_only: O<1>,
    pub tiny: O<1>,
    /// One clock: it was done; what comes of it.
    pub done: I<1>,
    pub next: I<3>,
    pub status: I<11>,
    /// Where in the entry the fault lies, as the error log has it.
    pub location: I<16>,
    pub dw0: I<32>,
    pub dws: I<16>,
}

/// An admin command, at who does it.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "CommandOut"]
pub struct CommandIn {
    pub start: I<1>,
    pub slot: I<6>,
    pub cdw0: I<32>,
    pub nsid: I<32>,
    pub prp1: I<64>,
    pub cdw10: I<32>,
    pub cdw11: I<32>,
    pub cdw12: I<32>,
    pub cdw13: I<32>,
    pub bound: I<1>,
    pub read_only: I<1>,
    pub tiny: I<1>,
    pub done: O<1>,
    pub next: O<3>,
    pub status: O<11>,
    pub location: O<16>,
    pub dw0: O<32>,
    pub dws: O<16>,
}
