//! What the blocks of the switch say to each other.

use azote_hdl::prelude::*;
use azote_regs::manage;

use crate::net::port::Port;

/// Bits of a frame's place in beats in the buffer of a lane: 16 KiB, one frame of the longest and most of another.
pub const PLACE: usize = 10;
/// The slot that counts for the wire.
pub const WIRE: u64 = manage::WIRE;

/// Words of a slot's counters that are frames.
pub struct Counter;
impl Counter {
    pub const TX: u64 = manage::COUNTER_TX_FRAMES / 4;
    pub const RX: u64 = manage::COUNTER_RX_FRAMES / 4;
    pub const DROPS: u64 = manage::COUNTER_DROPS / 4;
}

/// Something to count: held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "EventIn"]
pub struct EventOut {
    pub valid: O<1>,
    pub ready: I<1>,
    pub slot: O<6>,
    pub word: O<4>,
    pub bytes: O<14>,
}

/// The same, at who counts.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "EventOut"]
pub struct EventIn {
    pub valid: I<1>,
    pub ready: O<1>,
    pub slot: I<6>,
    pub word: I<4>,
    pub bytes: I<14>,
}

/// A frame's header to be judged: held until `done`; the verdict is there in that clock.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "JudgeIn"]
pub struct JudgeOut {
    pub valid: O<1>,
    /// Who sent it; of a frame from the wire it means nothing.
    pub slot: O<6>,
    /// The VLAN of the tag that was taken off; 0 if there was none.
    pub vlan: O<12>,
    /// The first beat.
    pub first: O<128>,
    pub done: I<1>,
    /// Who gets it: slots, and the wire.
    pub to: I<64>,
    pub outside: I<1>,
    /// It is dropped, and why.
    pub dropped: I<1>,
    pub reason: I<4>,
    /// What its sender's port says of it: the longest frame, and the tag it gets on the wire (VLAN 0: none).
    pub limit: I<14>,
    pub tag: I<15>,
    /// The tenant or VLAN it stays in; for checks alone.
    pub domain: I<25>,
}

/// The same, at the judge.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "JudgeOut"]
pub struct JudgeIn {
    pub valid: I<1>,
    pub slot: I<6>,
    pub vlan: I<12>,
    pub first: I<128>,
    pub done: O<1>,
    pub to: O<64>,
    pub outside: O<1>,
    pub dropped: O<1>,
    pub reason: O<4>,
    pub limit: O<14>,
    pub tag: O<15>,
    pub domain: O<25>,
}

packed! {
    /// Whom a hash leads to.
    pub Entry {
        valid: 1,
        slot: 6,
    }
}

/// The directory's memories, at who looks things up: an address in one clock, its word in the next.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "LookIn"]
pub struct LookOut {
    /// The memories are addressed in this clock.
    pub uses: O<1>,
    /// Nothing is being looked for.
    pub rests: O<1>,
    pub slot: O<6>,
    pub port: I<{ Port::WIDTH }>,
    pub hash: O<9>,
    pub entry: I<{ Entry::WIDTH }>,
    /// The peers of `slot` in its VLAN, and not in its tenant.
    pub of_vlan: O<1>,
    pub peers: I<64>,
    /// Who sends and receives at all, and who of them gets everything.
    pub live: I<64>,
    pub promiscuous: I<64>,
}

/// The same, at the directory.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "LookOut"]
pub struct LookIn {
    pub uses: I<1>,
    pub rests: I<1>,
    pub slot: I<6>,
    pub port: O<{ Port::WIDTH }>,
    pub hash: I<9>,
    pub entry: O<{ Entry::WIDTH }>,
    pub of_vlan: I<1>,
    pub peers: O<64>,
    pub live: O<64>,
    pub promiscuous: O<64>,
}

/// Copies of the frame that is a lane's oldest, at the lane. First that for the wire, then those for slots, one at a time.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "CopyIn"]
pub struct CopyOut {
    /// A copy is to be made: for the wire, for `slot`.
    pub for_wire: O<1>,
    pub for_slot: O<1>,
    pub slot: O<6>,
    pub length: O<14>,
    pub tag: O<15>,
    pub domain: O<25>,
    /// One clock: the copy begins; it is not to be made.
    pub go: I<1>,
    pub skip: I<1>,
    /// Its beats.
    pub valid: O<1>,
    pub ready: I<1>,
    pub sop: O<1>,
    pub eop: O<1>,
    pub bytes: O<5>,
    pub data: O<128>,
}

/// The same, at who sends them on.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "CopyOut"]
pub struct CopyIn {
    pub for_wire: I<1>,
    pub for_slot: I<1>,
    pub slot: I<6>,
    pub length: I<14>,
    pub tag: I<15>,
    pub domain: I<25>,
    pub go: O<1>,
    pub skip: O<1>,
    pub valid: I<1>,
    pub ready: O<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    pub bytes: I<5>,
    pub data: I<128>,
}

/// The group address by which the members of a tenant or VLAN are found.
pub const GROUP: u64 = 0xffff_ffff_ffff;

/// A tenant, or a VLAN on the wire: whose frames are never the other's.
#[pure]
pub fn tenant(vni: V) -> V {
    cat(sized(1, 1), vni)
}

#[pure]
pub fn vlan_of_wire(vlan: V) -> V {
    cat(sized(0, 13), vlan)
}

/// Where in the table an address of a tenant is looked for first.
#[pure]
pub fn hash(domain: V, mac: V) -> V {
    let a = mac.bits(8, 0) ^ mac.bits(17, 9) ^ mac.bits(26, 18) ^ mac.bits(35, 27) ^ mac.bits(44, 36);
    let b = domain.bits(8, 0) ^ domain.bits(17, 9) ^ cat(mac.bits(47, 45), sized(0, 6));
    a ^ b ^ cat(sized(0, 2), domain.bits(24, 18))
}
