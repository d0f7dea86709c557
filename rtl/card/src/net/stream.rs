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

/// With `eop` of a function's frame: a checksum that is to be put into it. It is known at the end and stands before, so it goes beside the
/// frame, and whoever keeps the frame puts it in.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "SumIn"]
pub struct SumOut {
    pub valid: O<1>,
    /// Its place in the frame, in 16-bit words.
    pub at: O<13>,
    /// The first byte in bits 15:8.
    pub value: O<16>,
}

/// The same, at who takes them.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "SumOut"]
pub struct SumIn {
    pub valid: I<1>,
    pub at: I<13>,
    pub value: I<16>,
}

/// Whether a receiver takes one more frame: asked before each copy, and answered in the same clock. If not, the copy is dropped.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "RoomIn"]
pub struct RoomOut {
    pub slot: O<6>,
    pub bytes: O<14>,
    pub free: I<1>,
}

/// The same, at the receivers.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "RoomOut"]
pub struct RoomIn {
    pub slot: I<6>,
    pub bytes: I<14>,
    pub free: O<1>,
}

/// What goes with `sop` of a function's frame: its virtio-net header, as it lies in memory, and the frame's length, which the chain of its
/// descriptors tells before its bytes come.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "TransmitIn"]
pub struct TransmitOut {
    pub header: O<96>,
    pub length: O<17>,
}

/// The same, at who takes them.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "TransmitOut"]
pub struct TransmitIn {
    pub header: I<96>,
    pub length: I<17>,
}

/// What is found out of the frame that passes to a function. Each is told once a frame, for one clock, and stays until the next frame begins.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "CheckedIn"]
pub struct CheckedOut {
    /// One clock: its hash is known, and of what it is (virtio's `hash_report`; 0: there is none). It is so before the frame is `checked`.
    pub hashed: O<1>,
    pub hash: O<32>,
    pub report: O<3>,
    /// One clock, behind its end: `right` says whether its checksum is (`DATA_VALID`).
    pub checked: O<1>,
    pub right: O<1>,
}

/// The same, at who receives.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "CheckedOut"]
pub struct CheckedIn {
    pub hashed: I<1>,
    pub hash: I<32>,
    pub report: I<3>,
    pub checked: I<1>,
    pub right: I<1>,
}

/// Keys and types of hashes, from the control queue. A key is twenty words, the first byte of each in bits 15:8; a function that began anew
/// is to have no types.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "HashSets"]
pub struct HashKeys {
    pub key_we: I<1>,
    pub key_slot: I<6>,
    pub key_word: I<5>,
    pub key_data: I<16>,
    pub types_we: I<1>,
    pub types_slot: I<6>,
    /// Types of IPv6 in bits 5:3, of IPv4 in bits 2:0: addresses, TCP, UDP from the lowest on.
    pub types: I<6>,
}

/// The same, at who sets them.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "HashKeys"]
pub struct HashSets {
    pub key_we: O<1>,
    pub key_slot: O<6>,
    pub key_word: O<5>,
    pub key_data: O<16>,
    pub types_we: O<1>,
    pub types_slot: O<6>,
    pub types: O<6>,
}
