//! Proofs: small designs around the card's blocks ([`tops`]), yosys and a solver ([`prove`](mod@prove)), and broken designs that must not
//! pass ([`jobs`]). `docs/formal.md` says what is proved and what that means.

pub mod crossing;
mod error;
pub mod jobs;
pub mod prove;
pub mod tops;

pub use error::{Error, Result};
