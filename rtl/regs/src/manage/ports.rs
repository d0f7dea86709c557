//! The table of ports of the embedded switch, one for each net function, and what each has counted.

use crate::{Field, bar, function};

/// The table of ports: one entry for each net slot (0 the PF, 1 + *i* VF *i*).
pub const PORTS: u64 = 0x2000;
/// Size of one entry.
pub const PORT_STRIDE: u64 = 64;

/// Port: control. Writing it commits everything that was written before; it is not taken while [`PORT_BUSY`] is set.
pub const PORT_CTRL: u64 = 0;
/// PORT_CTRL: the function is connected. Before, its link is down, and it neither sends nor receives.
pub const PORT_ENABLED: Field = Field::bit(0);
/// PORT_CTRL: its link is up.
pub const PORT_LINK: Field = Field::bit(1);
/// PORT_CTRL: it may send from its own address alone.
pub const PORT_ANTI_SPOOF: Field = Field::bit(2);
/// PORT_CTRL: it may send frames that have a VLAN tag.
pub const PORT_TRUSTED: Field = Field::bit(3);
/// PORT_CTRL: it gets all frames of its tenant, whoever they are for.
pub const PORT_PROMISCUOUS: Field = Field::bit(4);
/// PORT_CTRL: it is connected to the wire: gets from there what is for its VLAN, and what is for nobody of its tenant goes there.
pub const PORT_UPLINK: Field = Field::bit(5);
/// PORT_CTRL, read only: the last commit, whichever port's it was, is not effective yet.
pub const PORT_BUSY: Field = Field::bit(31);
/// Port: its address, bytes 0 to 3, the first in bits 7:0.
pub const PORT_MAC_LO: u64 = 4;
/// Port: its address, bytes 4 and 5.
pub const PORT_MAC_HI: u64 = 8;
/// PORT_MAC_HI: those bytes.
pub const PORT_MAC_HIGH: Field = Field::bits(15, 0);
/// Port: its tenant.
pub const PORT_TENANT: u64 = 12;
/// PORT_TENANT: the VNI.
pub const PORT_VNI: Field = Field::bits(23, 0);
/// Port: its VLAN on the wire.
pub const PORT_VLAN: u64 = 16;
/// PORT_VLAN: its number; 0 is none, and no tag.
pub const PORT_VLAN_ID: Field = Field::bits(11, 0);
/// PORT_VLAN: the priority that its tags have.
pub const PORT_VLAN_PRIORITY: Field = Field::bits(15, 13);
/// Port: its MTU.
pub const PORT_MTU: u64 = 20;
/// PORT_MTU: in bytes; 0 counts as [`DEFAULT_MTU`].
pub const PORT_MTU_BYTES: Field = Field::bits(13, 0);
/// The MTU of who was given none.
pub const DEFAULT_MTU: u64 = 1500;

/// The counters: one entry for each net slot, and [`WIRE`]'s. Of those of 64 bits the low half comes first; the halves are read one by one.
pub const COUNTERS: u64 = 0x4000;
/// Size of one entry.
pub const COUNTER_STRIDE: u64 = 128;
/// The entry of the Ethernet port.
pub const WIRE: u64 = 63;
/// Counter: frames that the function sent (the wire: that went out), 64 bits.
pub const COUNTER_TX_FRAMES: u64 = 0;
/// Counter: frames that it was given (the wire: that came in and were good), 64 bits.
pub const COUNTER_RX_FRAMES: u64 = 8;
/// Counters: frames dropped, 32 bits for each reason below.
pub const COUNTER_DROPS: u64 = 16;
/// How many reasons there is room for.
pub const DROPS: u64 = 12;
/// Counter: bytes of the frames it sent, 64 bits.
pub const COUNTER_TX_BYTES: u64 = 64;
/// Counter: bytes of the frames it was given, 64 bits.
pub const COUNTER_RX_BYTES: u64 = 72;

/// Why a frame was dropped.
pub mod drop {
    /// It came with an error, without its beginning or end, or what its driver asked for can't be done.
    pub const ERROR: u64 = 0;
    /// It is shorter than its header.
    pub const RUNT: u64 = 1;
    /// It is longer than the sender's MTU, or than any frame.
    pub const LONG: u64 = 2;
    /// The sender is not connected, or its port is being changed.
    pub const DOWN: u64 = 3;
    /// Its source is not the sender's address, or is a multicast.
    pub const SPOOFED: u64 = 4;
    /// It has a VLAN tag that it must not have.
    pub const TAGGED: u64 = 5;
    /// There is nobody that it is for.
    pub const NOBODY: u64 = 6;
    /// Counted at the receiver: it had no room.
    pub const NO_ROOM: u64 = 7;
    /// Counted at the receiver: longer than its MTU.
    pub const TOO_LONG: u64 = 8;
    /// Counted at the receiver: its port was changed meanwhile.
    pub const CHANGED: u64 = 9;
    /// What each is called, by its number.
    pub const NAMES: [&str; 10] =
        ["error", "runt", "long", "down", "spoofed", "tagged", "nobody", "no-room", "too-long", "changed"];
}

/// The offset in BAR2 of the port of a net slot.
#[must_use]
pub const fn port(slot: u64) -> u64 {
    PORTS + slot * PORT_STRIDE
}

/// The offset in BAR2 of the counters of a net slot, or of [`WIRE`].
#[must_use]
pub const fn counters(slot: u64) -> u64 {
    COUNTERS + slot * COUNTER_STRIDE
}

const _: () = {
    assert!(PORT_MTU + 4 <= PORT_STRIDE && COUNTER_RX_BYTES + 8 <= COUNTER_STRIDE);
    assert!(port(1 + function::MAX_VFS) <= PORTS + bar::PAGE_SIZE);
    assert!(counters(WIRE + 1) <= bar::BAR2_SIZE && WIRE > function::MAX_VFS);
    assert!(drop::NAMES.len() as u64 <= DROPS && COUNTER_DROPS + 4 * DROPS <= COUNTER_TX_BYTES);
};
