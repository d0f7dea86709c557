//! What the switch is told of each net function's port, and what the function's own configuration tells of it.

use azote_hdl::prelude::*;

packed! {
    /// A port as management has set it.
    pub Port {
        /// Bytes of the longest frame, with its header.
        limit: 14,
        promiscuous: 1,
        uplink: 1,
        trusted: 1,
        anti_spoof: 1,
        /// Of its tags on the wire; VLAN 0 is none.
        priority: 3,
        vlan: 12,
        vni: 24,
        /// The first byte in bits 7:0.
        mac: 48,
    }
}

/// A port changes: held until `done`. From its first clock to that one the slot neither sends nor receives; then it does if it is `live`,
/// and nothing that was judged by the port before is left.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "PortsIn"]
pub struct PortsOut {
    pub valid: O<1>,
    pub slot: O<6>,
    pub live: O<1>,
    pub port: O<{ Port::WIDTH }>,
    pub done: I<1>,
}

/// The same, at the switch.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "PortsOut"]
pub struct PortsIn {
    pub valid: I<1>,
    pub slot: I<6>,
    pub live: I<1>,
    pub port: I<{ Port::WIDTH }>,
    pub done: O<1>,
}

/// What a function's device configuration tells of its port, at who knows it. The answer to `slot` is there a clock later, and is of
/// one port, never half of another.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "PortAsk"]
pub struct PortTold {
    pub slot: I<6>,
    pub mac: O<48>,
    pub mtu: O<16>,
    pub link: O<1>,
    /// One clock: it tells something else of this slot since the clock before.
    pub changed: O<1>,
    pub changed_slot: O<6>,
}

/// The same, at who asks.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "PortTold"]
pub struct PortAsk {
    pub slot: O<6>,
    pub mac: I<48>,
    pub mtu: I<16>,
    pub link: I<1>,
    pub changed: I<1>,
    pub changed_slot: I<6>,
}
