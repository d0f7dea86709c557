//! The files that a user names, for every program of the project: nothing that was not meant is written, nothing is waited
//! for that may never come, and two users of one image are told of each other.
//!
//! | what a user names | here | how |
//! |---|---|---|
//! | an input | [`open`] | regular files and block devices only, without ever waiting in the call; anything else is named |
//! | an output | [`Output`] | a new file beside its place that takes it when it is whole; never one of the [`Inputs`] |
//! | a disk image | [`Image`] | locked as QEMU locks it, and refused if it is in a format with a structure of its own |
//! | a server's socket | [`Socket`] | takes the place of nothing but a socket that is dead |
//!
//! A program that is told to end removes what it has not finished: values do so when they are dropped, and [`abandon`] does
//! so for a program that cannot wait for that.

#![forbid(unsafe_code)]

mod error;
mod format;
mod holder;
mod identity;
mod image;
mod input;
mod lock;
mod output;
mod pending;
mod place;
mod socket;

pub use error::{Error, Result};
pub use identity::Inputs;
pub use image::{Image, Use};
pub use input::{Access, open};
pub use output::Output;
pub use pending::{Pending, abandon};
pub use socket::Socket;
