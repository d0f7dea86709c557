//! Streams of frames, 16 bytes a beat, the first byte in bits 7:0. A frame begins with its destination address and has no frame check
//! sequence: that is the MAC's.
//!
//! `sop` marks the first beat and `eop` the last, which has `bytes` bytes (1 to 16; 16 in every other). `valid` never waits for
//! `ready`, and all that goes with it is held until then.

use azote_hdl::prelude::*;

/// Frames to the Ethernet port.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct EthernetOut {
    pub valid: O<1>,
    pub ready: I<1>,
    pub sop: O<1>,
    pub eop: O<1>,
    pub bytes: O<5>,
    pub data: O<128>,
}

/// Frames from the Ethernet port.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct EthernetIn {
    pub valid: I<1>,
    pub ready: O<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    pub bytes: I<5>,
    /// With `eop`: the frame came with an error, and is nobody's.
    pub error: I<1>,
    pub data: I<128>,
}

/// Frames of a function, or for one, at who sends.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "FrameIn"]
pub struct FrameOut {
    pub valid: O<1>,
    pub ready: I<1>,
    pub sop: O<1>,
    pub eop: O<1>,
    pub bytes: O<5>,
    pub data: O<128>,
    /// Whose it is: the function's slot.
    pub slot: O<6>,
    /// With `eop`: it is to be dropped.
    pub error: O<1>,
}

/// The same, at who takes them.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "FrameOut"]
pub struct FrameIn {
    pub valid: I<1>,
    pub ready: O<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    pub bytes: I<5>,
    pub data: I<128>,
    pub slot: I<6>,
    pub error: I<1>,
}
