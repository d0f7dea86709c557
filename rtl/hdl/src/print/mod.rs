//! The Verilog printer, over rust-hdl's public AST.
//!
//! rust-hdl's own text drops parentheses and widths, makes every register a module and every kernel one `always`. This
//! one prints exact self-determined widths and full parentheses, inlines registers, wires clocks straight down, merges
//! equal modules, and splits a kernel by what it assigns, so that Verilator's width, latch, loop and multi-driver lints
//! can be errors. What it cannot print it refuses, with the path of the block.

mod check;
mod expr;
mod module;
mod split;
mod stmt;
mod tree;

use rust_hdl::core::prelude::Block;
use std::fmt;

/// A printed design.
#[derive(Clone, Debug)]
pub struct Design {
    /// The Verilog of all modules.
    pub text: String,
    /// Name of the top module.
    pub top: String,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A port of the top module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the Verilog.
    pub name: String,
    /// Whether the outside drives it.
    pub input: bool,
    /// Bits.
    pub width: usize,
}

/// A block that cannot be printed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintError {
    /// Path of the block from the top.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for PrintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot print block {}: {}", self.path, self.what)
    }
}

impl std::error::Error for PrintError {}

/// Prints `block` as a module named `top` with all the modules it needs, called as their types are.
pub fn print<B: Block>(block: &B, top: &str) -> Result<Design, PrintError> {
    print_with(block, top, module::Printer::default())
}

/// Prints `block` as part of somebody's larger design: the names of its inner modules begin with `prefix`, which no other
/// modules have, and are in the case of Verilog's names.
pub fn print_prefixed<B: Block>(block: &B, top: &str, prefix: &str) -> Result<Design, PrintError> {
    print_with(block, top, module::Printer::with_prefix(prefix))
}

fn print_with<B: Block>(block: &B, top: &str, mut p: module::Printer) -> Result<Design, PrintError> {
    let root = tree::read(block, top)?;
    let name = p.module(&root, top, Some(top))?;
    let ports =
        root.ports().map(|a| Port { name: stmt::verilog_name(&a.name), input: a.is_input(), width: a.width }).collect();
    Ok(Design { text: p.text(), top: name, ports })
}
