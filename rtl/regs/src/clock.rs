//! The clock of the card's core.

/// MHz: what the core is made to reach on the slowest board (`fpga`), and what times and rates are said for.
pub const MHZ: u64 = 80;
/// The same in Hz.
pub const HZ: u64 = MHZ * 1_000_000;
