//! Numbers of the NBD protocol, and reading and writing them: big-endian throughout.

use std::io::{self, Read};

/// Server greeting: `NBDMAGIC`.
pub const INIT_MAGIC: u64 = u64::from_be_bytes(*b"NBDMAGIC");
/// Second half of the greeting, and head of each option: `IHAVEOPT`.
pub const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
/// Second half of an old server's greeting, which knows no exports and no options.
pub const OLD_MAGIC: u64 = 0x0000_4202_8186_1253;
/// Head of an option reply.
pub const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// Head of a request.
pub const REQUEST_MAGIC: u32 = 0x2560_9513;
/// Head of a simple reply.
pub const REPLY_MAGIC: u32 = 0x6744_6698;
/// Head of a chunk of a structured reply.
pub const CHUNK_MAGIC: u32 = 0x668e_33ef;

/// Handshake flag, both ways: fixed newstyle.
pub const FLAG_FIXED_NEWSTYLE: u16 = 1;
/// Handshake flag, both ways: no 124 zeroes after an export name.
pub const FLAG_NO_ZEROES: u16 = 2;

/// Options.
pub mod option {
    /// Take an export, old manner: no error reply, the answer ends the haggling.
    pub const EXPORT_NAME: u32 = 1;
    /// End of the connection.
    pub const ABORT: u32 = 2;
    /// Names of the exports.
    pub const LIST: u32 = 3;
    /// What an export is like.
    pub const INFO: u32 = 6;
    /// The same, and take it.
    pub const GO: u32 = 7;
    /// Structured replies from now on.
    pub const STRUCTURED_REPLY: u32 = 8;
    /// Kinds of metadata that there are.
    pub const LIST_META_CONTEXT: u32 = 9;
    /// Kinds of metadata to be told of.
    pub const SET_META_CONTEXT: u32 = 10;
}

/// Types of option replies.
pub mod reply {
    /// Done.
    pub const ACK: u32 = 1;
    /// An export's name.
    pub const SERVER: u32 = 2;
    /// A piece of information.
    pub const INFO: u32 = 3;
    /// A kind of metadata.
    pub const META_CONTEXT: u32 = 4;
    /// The option is unknown.
    pub const ERR_UNSUP: u32 = 1 << 31 | 1;
    /// The server does not want to.
    pub const ERR_POLICY: u32 = 1 << 31 | 2;
    /// The option's data is malformed.
    pub const ERR_INVALID: u32 = 1 << 31 | 3;
    /// Nothing without TLS.
    pub const ERR_TLS_REQD: u32 = 1 << 31 | 5;
    /// There is no such export.
    pub const ERR_UNKNOWN: u32 = 1 << 31 | 6;
    /// The server is about to end.
    pub const ERR_SHUTDOWN: u32 = 1 << 31 | 7;
    /// The client must know the block size.
    pub const ERR_BLOCK_SIZE_REQD: u32 = 1 << 31 | 8;
    /// The option is too long.
    pub const ERR_TOO_BIG: u32 = 1 << 31 | 9;
}

/// Information types of INFO and GO.
pub mod info {
    /// Size and transmission flags.
    pub const EXPORT: u16 = 0;
    /// The export's name.
    pub const NAME: u16 = 1;
    /// Text for people.
    pub const DESCRIPTION: u16 = 2;
    /// Least, best and largest request.
    pub const BLOCK_SIZE: u16 = 3;
}

/// Transmission flags.
pub mod transmission {
    /// The flags are valid.
    pub const HAS_FLAGS: u16 = 1;
    /// The export can only be read.
    pub const READ_ONLY: u16 = 1 << 1;
    /// FLUSH is understood.
    pub const SEND_FLUSH: u16 = 1 << 2;
    /// The flag FUA is understood.
    pub const SEND_FUA: u16 = 1 << 3;
    /// TRIM is understood.
    pub const SEND_TRIM: u16 = 1 << 5;
    /// WRITE_ZEROES is understood.
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    /// The flag DF is understood.
    pub const SEND_DF: u16 = 1 << 7;
    /// Several connections see the same data, and a flush on one counts for all.
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
    /// The flag FAST_ZERO is understood.
    pub const SEND_FAST_ZERO: u16 = 1 << 11;
}

/// Kinds of metadata.
pub mod meta {
    /// Where there are holes.
    pub const ALLOCATION: &str = "base:allocation";
    /// What a client may ask for to hear of all of the same name space.
    pub const BASE: &str = "base:";
    /// The number that it has on a connection that has chosen it.
    pub const ALLOCATION_ID: u32 = 1;
    /// Status of a stretch: nothing is allocated.
    pub const HOLE: u32 = 1;
    /// Status of a stretch: it reads as zeroes.
    pub const ZERO: u32 = 2;
}

/// Types of chunks of a structured reply.
pub mod chunk {
    /// Nothing; the end of what succeeded.
    pub const NONE: u16 = 0;
    /// Data, with its offset.
    pub const OFFSET_DATA: u16 = 1;
    /// Zeroes, with their offset and length.
    pub const OFFSET_HOLE: u16 = 2;
    /// Metadata.
    pub const BLOCK_STATUS: u16 = 5;
    /// A chunk of this type, or any with this bit, says that the request failed.
    pub const ERROR_BIT: u16 = 1 << 15;
    /// The request failed.
    pub const ERROR: u16 = ERROR_BIT | 1;
    /// Flag: no chunk of this reply follows.
    pub const DONE: u16 = 1;
}

/// Flags of commands.
pub mod flag {
    /// Answered when it is durable.
    pub const FUA: u16 = 1;
    /// Zeroes that are allocated.
    pub const NO_HOLE: u16 = 1 << 1;
    /// A read's answer in one chunk.
    pub const DF: u16 = 1 << 2;
    /// Only the first stretch.
    pub const REQ_ONE: u16 = 1 << 3;
    /// Zeroes that are faster than writing them.
    pub const FAST_ZERO: u16 = 1 << 4;
}

/// Commands.
pub mod command {
    /// Read.
    pub const READ: u16 = 0;
    /// Write.
    pub const WRITE: u16 = 1;
    /// Orderly end.
    pub const DISC: u16 = 2;
    /// Make durable.
    pub const FLUSH: u16 = 3;
    /// Give back.
    pub const TRIM: u16 = 4;
    /// Make zero.
    pub const WRITE_ZEROES: u16 = 6;
    /// Ask for metadata.
    pub const BLOCK_STATUS: u16 = 7;
}

/// Errors, with the numbers that Linux has for them.
pub mod errno {
    /// The export is read-only.
    pub const EPERM: u32 = 1;
    /// The device failed.
    pub const EIO: u32 = 5;
    /// The request makes no sense.
    pub const EINVAL: u32 = 22;
    /// Beyond the end.
    pub const ENOSPC: u32 = 28;
    /// Not to be had.
    pub const ENOTSUP: u32 = 95;
    /// The server is about to end.
    pub const ESHUTDOWN: u32 = 108;
}

/// The longest READ or WRITE.
pub const MAX_LENGTH: u32 = 32 << 20;
/// The longest option: a name has at most 4096 bytes.
pub const MAX_OPTION: u32 = 8192;
/// Where a server listens unless told otherwise (IANA).
pub const PORT: u16 = 10809;
/// The longest name.
pub const MAX_NAME: usize = 4096;

/// Reads two bytes.
pub fn read_u16(from: &mut impl Read) -> io::Result<u16> {
    let mut b = [0; 2];
    from.read_exact(&mut b)?;
    Ok(u16::from_be_bytes(b))
}

/// Reads four bytes.
pub fn read_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut b = [0; 4];
    from.read_exact(&mut b)?;
    Ok(u32::from_be_bytes(b))
}

/// Reads eight bytes.
pub fn read_u64(from: &mut impl Read) -> io::Result<u64> {
    let mut b = [0; 8];
    from.read_exact(&mut b)?;
    Ok(u64::from_be_bytes(b))
}

/// A peer that does not speak the protocol.
pub fn protocol(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
