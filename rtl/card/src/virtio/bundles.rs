//! The bundles between the blocks of the virtqueue engine. A queue is `{slot, queue}`; the queues that a fetcher serves are every
//! second one, and it calls them by `pair`: half the queue's number.

use azote_hdl::prelude::*;

packed! {
    /// What all blocks know of a function.
    pub Terms {
        /// The driver is there, and the device is not broken.
        alive: 1,
        /// EVENT_IDX was accepted.
        event_idx: 1,
        /// MRG_RXBUF was accepted.
        mergeable: 1,
        /// HASH_REPORT was accepted: headers are longer.
        hash: 1,
        /// GUEST_CSUM was accepted.
        checked: 1,
    }
}

/// A queue has something to do: held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "KickIn"]
pub struct KickOut {
    pub valid: O<1>,
    pub slot: O<6>,
    pub pair: O<3>,
    pub ready: I<1>,
}

/// The same, at the fetcher.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "KickOut"]
pub struct KickIn {
    pub valid: I<1>,
    pub slot: I<6>,
    pub pair: I<3>,
    pub ready: O<1>,
}

/// The registers of a queue, a word of 64 bits at a time, at who asks.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "RingIn"]
pub struct RingOut {
    pub slot: O<6>,
    pub queue: O<4>,
    pub word: O<2>,
    /// The word that was asked for in the clock before; not there if it was `taken`.
    pub data: I<64>,
    pub taken: I<1>,
    /// What all know of the function that is asked for in this clock.
    pub terms: I<{ Terms::WIDTH }>,
}

/// The same, at the registers.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "RingOut"]
pub struct RingIn {
    pub slot: I<6>,
    pub queue: I<4>,
    pub word: I<2>,
    pub data: O<64>,
    pub taken: O<1>,
    pub terms: O<{ Terms::WIDTH }>,
}

/// Buffers that the driver gave, one after the other, at the fetcher: chains are whole, in order by queue, and never mixed.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BufferIn"]
pub struct BufferOut {
    pub valid: O<1>,
    pub slot: O<6>,
    pub pair: O<3>,
    /// The chain's first descriptor: what is written to the used ring.
    pub head: O<16>,
    pub address: O<64>,
    pub bytes: O<32>,
    pub first: O<1>,
    pub last: O<1>,
    /// The device writes it.
    pub write: O<1>,
    /// With `last`: the chain is malformed, and was cut here.
    pub bad: O<1>,
    /// Of a fetcher that does not walk chains: what the descriptor says of the next one, and that it is a table.
    pub next: O<16>,
    pub indirect: O<1>,
    pub ready: I<1>,
}

/// The same, at who uses them.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BufferOut"]
pub struct BufferIn {
    pub valid: I<1>,
    pub slot: I<6>,
    pub pair: I<3>,
    pub head: I<16>,
    pub address: I<64>,
    pub bytes: I<32>,
    pub first: I<1>,
    pub last: I<1>,
    pub write: I<1>,
    pub bad: I<1>,
    pub next: I<16>,
    pub indirect: I<1>,
    pub ready: O<1>,
}

/// What is to be told to the driver: held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "UsedIn"]
pub struct UsedOut {
    pub valid: O<1>,
    pub slot: O<6>,
    pub queue: O<4>,
    /// Of a chain: its head, and the bytes that were written. Of an event: `avail_event`.
    pub head: O<16>,
    pub bytes: O<32>,
    /// It is not a chain that was used, but where the driver is to notify next.
    pub event: O<1>,
    /// The chain has ended, and the driver is not told: its device is broken, or being reset.
    pub none: O<1>,
    /// The next one belongs to it, and comes in the next clocks: the index waits for it.
    pub more: O<1>,
    pub ready: I<1>,
}

/// The same, at the poster.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "UsedOut"]
pub struct UsedIn {
    pub valid: I<1>,
    pub slot: I<6>,
    pub queue: I<4>,
    pub head: I<16>,
    pub bytes: I<32>,
    pub event: I<1>,
    pub none: I<1>,
    pub more: I<1>,
    pub ready: O<1>,
}

/// A function's device is broken (DEVICE_NEEDS_RESET): held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BrokenIn"]
pub struct BrokenOut {
    pub valid: O<1>,
    pub slot: O<6>,
    pub ready: I<1>,
}

/// The same, at the registers.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BrokenOut"]
pub struct BrokenIn {
    pub valid: I<1>,
    pub slot: I<6>,
    pub ready: O<1>,
}

/// What is kept of a function, or of one of its queues, is to be forgotten, at who asks: held until `done`, for which it falls.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "WipeIn"]
pub struct WipeOut {
    /// All of the slot.
    pub slot_valid: O<1>,
    /// The queue alone.
    pub queue_valid: O<1>,
    pub slot: O<6>,
    pub queue: O<4>,
    pub done: I<1>,
}

/// The same, at who forgets.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "WipeOut"]
pub struct WipeIn {
    pub slot_valid: I<1>,
    pub queue_valid: I<1>,
    pub slot: I<6>,
    pub queue: I<4>,
    pub done: O<1>,
}

/// Something of a function is under way, at who begins or ends it.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "FlightIn"]
pub struct FlightOut {
    /// One clock each.
    pub valid: O<1>,
    pub slot: O<6>,
}

/// The same, at who counts.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "FlightOut"]
pub struct FlightIn {
    pub valid: I<1>,
    pub slot: I<6>,
}
