//! What crosses the card's ports, recorded, and replayed by [cocotb](https://www.cocotb.org) on the same Verilog: so that
//! the speed of the simulation stands beside that of the usual way to drive Verilog from a scripting language.
//!
//! The comparison is made in cocotb's favour. A testbench in Python would have to do what the root complex does in Rust:
//! take TLPs apart, answer reads, keep memory and check every packet. The replay does none of that. It drives inputs that it
//! knows beforehand, and compares outputs with what it knows that they must be. So what is measured is what no testbench
//! could do without, and a real one is slower.

#![forbid(unsafe_code)]

mod error;
mod python;
mod recording;
mod replay;

pub use error::Error;
pub use recording::{Recorder, Recording, SIZE};
pub use replay::{Speed, build, replay};
