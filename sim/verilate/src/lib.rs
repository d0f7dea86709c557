//! Verilog text in, a running model out, at run time.
//!
//! The card's Verilog is printed by the program that wants to simulate it, so there is no build script that could
//! compile it beforehand: [`Dut::build`] runs Verilator and the C++ compiler when it is called, and keeps what they made
//! in `target/verilated/`, under a name that is the hash of everything that went in. The second call loads it in a
//! millisecond.
//!
//! Verilator's warnings are the gate of the project's Verilog printer: width, latch, loop, multiple drivers and
//! incomplete case are errors here, never warnings (see [`lint`]).
//!
//! ```no_run
//! use azote_verilate::{Dut, Options, Port, Source};
//! let source = Source {
//!     text: std::fs::read_to_string("counter.v")?,
//!     top: "counter".into(),
//!     ports: vec![Port::input("clock", 1), Port::input("enable", 1), Port::output("count", 8)],
//! };
//! let mut dut = Dut::build(&source, &Options::block())?;
//! dut.set("enable", 1);
//! dut.clock_n(3);
//! assert_eq!(dut.get("count"), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
pub mod cache;
mod dut;
mod error;
mod facts;
mod gates;
mod held;
mod model;
mod names;
mod profile;
mod shim;
mod source;
mod tools;
mod work;

pub use build::{Shim, build_library};
pub use dut::{Dut, PortId};
pub use error::Error;
pub use facts::Facts;
pub use gates::lint;
pub use names::instances;
pub use profile::by_block;
pub use source::{Dir, Options, Port, Source};
pub use tools::abandon;
pub use work::Work;
