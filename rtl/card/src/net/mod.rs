//! Network: frames between virtual functions and the wire.

pub mod buffers;
pub mod chains;
pub mod check;
pub mod engine;
pub mod offload;
pub mod path;
pub mod port;
pub mod receive;
pub mod stream;
pub mod switch;
pub mod transmit;

pub use engine::Net;
