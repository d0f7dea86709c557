//! What a command moves: the segments of its PRPs, data into host memory, data out of it.

pub mod landed;
pub mod mover;
pub mod reads;
pub mod walker;
pub mod writer;
