//! The bundles at the edge of the storage engine: the media port ([its contract](../../../../docs/media-port.md)), and what
//! card management says of each slot.

use azote_hdl::prelude::*;
use azote_regs::media;

use super::words::{Binding, Rates};

/// Bits of a tag.
const TAG: usize = media::TAG_BITS as usize;

/// A request of the medium: held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct MediaRequest {
    pub valid: O<1>,
    pub ready: I<1>,
    pub tag: O<TAG>,
    pub op: O<4>,
    pub fua: O<1>,
    pub volume: O<8>,
    pub lba: O<64>,
    pub blocks: O<48>,
}

/// Data of writes, in the order of their requests.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct MediaWrite {
    pub valid: O<1>,
    pub ready: I<1>,
    pub data: O<128>,
    pub last: O<1>,
    /// With `last`: nothing of this write is to be done.
    pub spoilt: O<1>,
}

/// A request is answered.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct MediaDone {
    pub valid: I<1>,
    pub ready: O<1>,
    pub tag: I<TAG>,
    pub result: I<3>,
}

/// The data of a read that was answered is called for.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct MediaGet {
    pub valid: O<1>,
    pub ready: I<1>,
    pub tag: O<TAG>,
}

/// Data of reads, in the order in which it was called for.
#[derive(LogicInterface, Clone, Debug, Default)]
pub struct MediaRead {
    pub valid: I<1>,
    pub ready: O<1>,
    pub data: I<128>,
    pub last: I<1>,
    /// With `last`.
    pub error: I<1>,
    /// The block that a beat belongs to is a hole: its data is zeroes. Whoever keeps data encrypted will want to know.
    pub hole: I<1>,
}

/// What slots are bound to, at the engine.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BindingsOut"]
pub struct BindingsIn {
    /// The [`Binding`] of `slot` and of `page_slot`, a clock later, the page's without its turn.
    pub slot: O<6>,
    pub binding: I<{ Binding::WIDTH }>,
    pub page_slot: O<6>,
    pub page_binding: I<{ Binding::WIDTH - 1 }>,
    /// One clock: the namespace of `format_slot` was formatted, with large blocks or small ones.
    pub format: O<1>,
    pub format_slot: O<6>,
    pub format_big: O<1>,
    pub format_turn: O<1>,
    /// One clock: a command of `slot` is judged by its binding, came to nothing; one is over.
    pub uses: O<1>,
    pub unuses: O<1>,
    pub use_turn: O<1>,
    pub over: O<1>,
    pub over_slot: O<6>,
    pub over_turn: O<1>,
    /// The media's time-out of this slot in milliseconds, in the same clock.
    pub patience_slot: O<6>,
    pub patience: I<16>,
    /// One clock: the binding of this slot is another.
    pub changed: I<1>,
    pub changed_slot: I<6>,
    /// Something is being changed: bindings or limits may be others from the next clock on.
    pub stirs: I<1>,
    /// The limits ([`Rates`]) of `rate_slot`, a clock later.
    pub rate_slot: O<6>,
    pub rates: I<{ Rates::WIDTH }>,
}

/// What slots are bound to, at the table.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "BindingsIn"]
pub struct BindingsOut {
    pub slot: I<6>,
    pub binding: O<{ Binding::WIDTH }>,
    pub page_slot: I<6>,
    pub page_binding: O<{ Binding::WIDTH - 1 }>,
    pub format: I<1>,
    pub format_slot: I<6>,
    pub format_big: I<1>,
    pub format_turn: I<1>,
    pub uses: I<1>,
    pub unuses: I<1>,
    pub use_turn: I<1>,
    pub over: I<1>,
    pub over_slot: I<6>,
    pub over_turn: I<1>,
    pub patience_slot: I<6>,
    pub patience: O<16>,
    pub changed: O<1>,
    pub changed_slot: O<6>,
    pub stirs: O<1>,
    pub rate_slot: I<6>,
    pub rates: O<{ Rates::WIDTH }>,
}
