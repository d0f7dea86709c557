//! The clock of the card's core.

/// MHz: what the slowest supported board reaches, and what every time and rate of the card is counted by.
pub const MHZ: u64 = 80;
