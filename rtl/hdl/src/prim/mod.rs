//! Primitives: what is written as Verilog text because rust-hdl has no word for it (clocked storage), once, with a test
//! bench each. Everything else in Azote is a kernel.

mod ram;
mod reg;
mod sync;

pub use ram::{DualRam, LutRam, Ram, Rom};
pub use reg::{REGISTER_MARK, Reg};
pub use sync::Sync;
