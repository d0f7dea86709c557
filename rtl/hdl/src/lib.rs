//! Azote's hardware language.
//!
//! A block is a rust-hdl block: a struct of `Signal`s and other blocks with `#[derive(LogicBlock)]`. Its behaviour is a
//! [`kernel`], which is Rust with `let`, constants, `if` and `match` as values, or-patterns and [`pure`] functions, and
//! which is lowered twice: into [`Sim`], that runs in rust-hdl's own simulator, and into [`Ast`], rust-hdl's public AST.
//! [`print()`] turns the AST into Verilog with exact widths. The printer's and the kernels' equality is a test
//! (`tests/traps.rs`), and every known way in which stock rust-hdl printed something else than it ran is in it.

extern crate self as azote_hdl;

pub mod describe;
pub mod domain;
pub mod lit;
pub mod prim;
mod print;
mod run;
pub mod signal;
pub mod value;

pub use azote_hdl_macros::{kernel, packed, pure};
pub use azote_regs::Field;
pub use describe::Expr;
pub use domain::{Ast, Domain, Sim};
pub use num_bigint::BigUint;
pub use print::{Design, Port, PrintError, print, print_prefixed};
pub use run::Val;
pub use rust_hdl;
pub use signal::{Clk, I, O, Param, Rst, W};
pub use value::Value;

/// What a file of hardware needs.
pub mod prelude {
    pub use crate::prim::*;
    pub use crate::{Clk, I, O, Param, Rst, Value, W, kernel, packed, pure};
    pub use rust_hdl::core::prelude::*;
}
