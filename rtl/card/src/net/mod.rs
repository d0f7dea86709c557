//! Network: frames between virtual functions and the wire.

pub mod stream;
