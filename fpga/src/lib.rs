//! The card in an FPGA: the pin harness around its core, synthesis by yosys, place and route by nextpnr, and what they say
//! by the source's names. `cargo xtask fpga --core` is this crate's program; a bench asks [`core`] for the cells of a card.

#![forbid(unsafe_code)]

pub mod cells;
pub mod device;
mod error;
mod kept;
mod names;
mod paths;
pub mod pins;
pub mod place;
pub mod report;
mod sdf;
pub mod synth;
mod work;

pub use cells::{Block, Cells, Netlist};
pub use error::Error;
pub use kept::{core, keep, replace};
pub use paths::Path;
pub use synth::fits;
