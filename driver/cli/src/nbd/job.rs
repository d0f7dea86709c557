//! What a connection asks of an export's engine, and what comes back.

use std::sync::mpsc::Sender;

use super::{budget::Permit, turns::Client};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Read,
    Write,
    /// Make zero; the space may be given back, or not.
    Zeroes {
        hole: bool,
    },
    /// Give back; whatever it reads as then.
    Trim,
    Flush,
}

impl Op {
    /// It changes what is read.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Zeroes { .. } | Self::Trim)
    }
}

/// A checked request.
pub(super) struct Job {
    pub client: Client,
    pub op: Op,
    /// It is answered when what it changed is durable.
    pub fua: bool,
    pub cookie: u64,
    pub offset: u64,
    pub len: u64,
    /// What is written, or room for what is read.
    pub data: Vec<u8>,
    pub permit: Permit,
    pub replies: Sender<Reply>,
    /// A read's answer has one piece.
    pub whole: bool,
}

/// The answer to a request.
pub(super) struct Reply {
    pub cookie: u64,
    pub result: Result<Body, u32>,
    /// The request's part of the budget, held until the reply is sent.
    pub permit: Permit,
}

/// What a request has brought.
pub(super) enum Body {
    /// It is done.
    Done,
    /// What was read from `offset`; `whole`: to be sent as one piece of data.
    Data { offset: u64, data: Vec<u8>, whole: bool },
    /// Stretches from the request's offset: length and flags.
    Status(Vec<(u32, u32)>),
}
