//! The bundles of wires between the engine's blocks.

use azote_hdl::prelude::*;

use super::words::Tag;

/// A read of host memory, at who asks; held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ReadIn"]
pub struct ReadOut {
    pub valid: O<1>,
    pub owner: O<8>,
    pub address: O<64>,
    pub dws: O<11>,
    /// Whose it is, and where in its buffer it goes; see `dma::Read`.
    pub client: O<4>,
    pub dest: O<13>,
    pub ready: I<1>,
}

/// A read of host memory, at its taker.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ReadOut"]
pub struct ReadIn {
    pub valid: I<1>,
    pub owner: I<8>,
    pub address: I<64>,
    pub dws: I<11>,
    pub client: I<4>,
    pub dest: I<13>,
    pub ready: O<1>,
}

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
