//! Messages: a header of 16 bytes, a payload, descriptors beside it.

mod command;
mod connection;
pub mod payload;
mod version;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use command::Command;
pub use connection::{Connection, Message};
pub use version::{Capabilities, MAJOR, MINOR, parse as parse_version, text as version_text};

/// The longest message that is taken: the largest transfer, and a header.
pub const MAX_MESSAGE: usize = MAX_TRANSFER + 64;
/// The largest transfer of data in one message.
pub const MAX_TRANSFER: usize = 1 << 20;
/// The most descriptors beside a message; more are closed unseen.
pub const MAX_FDS: usize = 16;
/// The most DMA mappings of a client.
pub const MAX_MAPS: usize = 65535;

/// Bytes of a header.
pub const HEADER: usize = size_of::<Header>();

/// The header of every message. Numbers are the machine's own: both ends are on one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Chosen by who asks, and given back by who answers.
    pub id: u16,
    /// [`Command`].
    pub command: u16,
    /// Of the whole message, this header included.
    pub size: u32,
    /// [`REPLY`], [`NO_REPLY`], [`ERROR`].
    pub flags: u32,
    /// With [`ERROR`]: why.
    pub error: u32,
}

/// Flags: the low four bits are the type, 0 a command and 1 a reply.
pub const TYPE: u32 = 0xf;
/// Flag: a reply.
pub const REPLY: u32 = 1;
/// Flag: no reply is wanted.
pub const NO_REPLY: u32 = 1 << 4;
/// Flag: a reply that refuses.
pub const ERROR: u32 = 1 << 5;

/// What the other end sent is not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than a header, or longer than anything is.
    #[error("a message of {0} bytes")]
    Size(u32),
    /// Neither a command nor a reply.
    #[error("a message of type {0}")]
    Type(u32),
    /// The payload is shorter than what the command has.
    #[error("{command:?} with {len} bytes, which are too few")]
    Short {
        /// The command.
        command: Command,
        /// Bytes of payload.
        len: usize,
    },
    /// The payload contradicts itself.
    #[error("{command:?}: {reason}")]
    Content {
        /// The command.
        command: Command,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Header {
    /// A header from its bytes, if a message can be so.
    pub fn parse(bytes: &[u8; HEADER]) -> Result<Header, Malformed> {
        // Cannot fail: the length is that of the type, and any bits are a value.
        let header = Header::read_from_bytes(bytes).unwrap_or_default();
        if (header.size as usize) < HEADER || header.size as usize > MAX_MESSAGE {
            return Err(Malformed::Size(header.size));
        }
        if header.flags & TYPE > REPLY {
            return Err(Malformed::Type(header.flags & TYPE));
        }
        Ok(header)
    }

    /// Is it a reply?
    pub fn is_reply(&self) -> bool {
        self.flags & TYPE == REPLY
    }

    /// Bytes that follow it.
    pub fn payload(&self) -> usize {
        (self.size as usize).saturating_sub(HEADER)
    }
}
