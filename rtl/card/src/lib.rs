//! The Azote card: every block of its hardware, in rust-hdl, and the Verilog that comes of it.
//!
//! One folder an engine. `card` wires them; `transaction` speaks TLPs; everything above it sees a register bus, reads of
//! host memory, packets to send and interrupts.
#![allow(missing_docs)] // ports and registers are described where a name does not say it all

pub mod card;
pub mod config;
pub mod core;
pub mod dma;
pub mod engine;
pub mod interrupt;
pub mod manage;
pub mod net;
pub mod parts;
pub mod storage;
pub mod transaction;
pub mod virtio;

pub use azote_hdl::{Design, PrintError};

/// The Verilog of a card with `vfs` VFs a kind; the top module is `azote_card`, and all modules' names begin with `azote_`.
///
/// # Errors
/// If a block cannot be printed, which is a mistake in this crate.
pub fn card(vfs: usize) -> Result<Design, PrintError> {
    on_big_stack(move || azote_hdl::print_prefixed(&card::Card::new(vfs), "azote_card", "azote"))
}

/// A part of the card that stands for itself: all of its ports are registered on one side or the other, so that what a part takes and how
/// fast it is can be told without the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All between the link and the engines.
    Core,
    /// The storage engine.
    Storage,
    /// The net engine, the switch with it.
    Net,
    /// The tables of card management.
    Manage,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 4] = [Part::Core, Part::Storage, Part::Net, Part::Manage];

    /// What it is called in the card: the core's blocks are the card's own.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Part::Core => "",
            Part::Storage => "storage",
            Part::Net => "net",
            Part::Manage => "manage",
        }
    }
}

/// The Verilog of a part of a card with `vfs` VFs a kind; the top module is `azote_part`.
///
/// # Errors
/// If a block cannot be printed, which is a mistake in this crate.
pub fn part(part: Part, vfs: usize) -> Result<Design, PrintError> {
    on_big_stack(move || match part {
        Part::Core => azote_hdl::print_prefixed(&card::core(vfs), "azote_part", "azote"),
        Part::Storage => azote_hdl::print_prefixed(&storage::Storage::new(vfs), "azote_part", "azote"),
        Part::Net => azote_hdl::print_prefixed(&net::Net::new(vfs), "azote_part", "azote"),
        Part::Manage => azote_hdl::print_prefixed(&manage::Manage::new(vfs), "azote_part", "azote"),
    })
}

/// Runs `f` where there is room for a whole card, which is a deep value.
///
/// # Panics
/// If `f` does, or if there is no memory for the stack.
pub fn on_big_stack<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let handle = std::thread::Builder::new().stack_size(256 << 20).spawn(f);
    match handle.map(std::thread::JoinHandle::join) {
        Ok(Ok(t)) => t,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(e) => panic!("no thread with a stack of 256 MiB: {e}"),
    }
}
