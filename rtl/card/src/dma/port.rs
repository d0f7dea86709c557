//! The bundles between the reader of host memory and those who have it read.

use azote_hdl::prelude::*;

/// A read of host memory, at who asks.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ReadIn"]
pub struct ReadOut {
    /// Held, with all that is asked, until `ready`.
    pub valid: O<1>,
    /// Whose queue causes it.
    pub owner: O<8>,
    pub address: O<64>,
    /// 1 to 4096; never beyond the page.
    pub bytes: O<13>,
    /// Which of the engine's clients waits for it.
    pub client: O<4>,
    /// DW in the client's memory where the DW goes that holds the first byte.
    pub dest: O<13>,
    /// All of it was sent, or failed.
    pub ready: I<1>,
}

/// A read of host memory, at the reader.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ReadOut"]
pub struct ReadIn {
    pub valid: I<1>,
    pub owner: I<8>,
    pub address: I<64>,
    pub bytes: I<13>,
    pub client: I<4>,
    pub dest: I<13>,
    pub ready: O<1>,
}

/// What became of an engine's reads, at the reader. Data lands as it comes, in the memory that the engine keeps for it.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "LandIn"]
pub struct LandOut {
    /// For each client: something is under way; something failed since `forget`.
    pub pending: O<16>,
    pub failed: O<16>,
    pub forget: I<16>,
    /// DWs that land in this clock, for which client: lane i of `data` in row `row`, or in `next` if `off` is above i.
    pub lanes: O<4>,
    pub client: O<4>,
    pub row: O<11>,
    pub next: O<11>,
    pub off: O<2>,
    pub data: O<128>,
    /// With `lanes`: the first DW's place, and how many there are.
    pub at: O<13>,
    pub dws: O<3>,
    /// One clock: what has landed for this client was of a packet that was nullified; it comes again.
    pub nulled: O<1>,
    pub nulled_client: O<4>,
}

/// What became of an engine's reads, at the engine.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "LandOut"]
pub struct LandIn {
    pub pending: I<16>,
    pub failed: I<16>,
    pub forget: O<16>,
    pub lanes: I<4>,
    pub client: I<4>,
    pub row: I<11>,
    pub next: I<11>,
    pub off: I<2>,
    pub data: I<128>,
    pub at: I<13>,
    pub dws: I<3>,
    pub nulled: I<1>,
    pub nulled_client: I<4>,
}

/// The tags of reads, one after the other, at the reader.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "LookIn"]
pub struct LookOut {
    /// In this clock one is looked at; it is in use, and whose it is.
    pub turn: O<1>,
    pub used: O<1>,
    pub owner: O<8>,
    /// In the same clock: that function is being reset. Then the read times out even if its function is patient.
    pub forgotten: I<1>,
}

/// The same, at configuration space.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "LookOut"]
pub struct LookIn {
    pub turn: I<1>,
    pub used: I<1>,
    pub owner: I<8>,
    pub forgotten: O<1>,
}
