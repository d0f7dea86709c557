//! Transaction layer packets (TLPs), as PCI Express 5.0 chapter 2 defines them and as the card's ports carry them.
//!
//! A packet has three forms here, and each step between them is exact:
//!
//! | form | what it is | made by |
//! |---|---|---|
//! | [`Beat`] | 128 bits of the card's `rx` or `tx` stream | [`Packet::beats`] |
//! | [`Packet`] | header DWs and payload bytes, not yet looked at; what a fuzzer mutates | [`Assembler::push`], [`Tlp::packet`] |
//! | [`Tlp`] | the fields by name | [`Tlp::decode`] |
//!
//! [`Tlp::decode`] refuses what cannot be a TLP at all; [`rules::check`] then says whether a sender was allowed to send
//! it. `Tlp`'s `Display` is one line for a log.

#![forbid(unsafe_code)]

mod beat;
mod decode;
mod display;
mod encode;
mod id;
mod malformed;
pub mod request;
pub mod rules;
mod tlp;

pub use beat::{Assembler, Beat, Packet};
pub use id::Rid;
pub use malformed::Malformed;
pub use tlp::{Attributes, Body, CfgType, Completion, Memory, Message, Status, Tlp};
