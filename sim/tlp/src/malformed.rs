//! Why a packet is not a TLP, or not one that its sender was allowed to send.

/// The reason, with the section of PCI Express 5.0 that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The stream's own framing.
    #[error("stream framing: {0}")]
    Framing(&'static str),
    /// `keep` is not what its place allows.
    #[error("stream framing: keep {keep:04b} in {place}")]
    Keep {
        /// The value seen.
        keep: u8,
        /// Which beat.
        place: &'static str,
    },
    /// Fmt and Type name nothing that this card may send or receive (§2.2.1, table 2-3).
    #[error("§2.2.1: fmt {fmt:03b} type {kind:05b} is no TLP that this card knows")]
    Type {
        /// The Fmt field.
        fmt: u8,
        /// The Type field.
        kind: u8,
    },
    /// The Length field does not agree with the payload (§2.2.2).
    #[error("§2.2.2: Length says {length} DW, the payload has {payload}")]
    Length {
        /// What the header says, in DWs.
        length: u16,
        /// What came, in DWs.
        payload: usize,
    },
    /// A reserved field is not zero (§2.1.1 has receivers ignore it; senders must not).
    #[error("{section}: reserved bits set in header DW {dw}: {bits:#010x}")]
    Reserved {
        /// Where the field is defined.
        section: &'static str,
        /// Which DW of the header.
        dw: usize,
        /// The bits that should be zero.
        bits: u32,
    },
    /// A digest is announced; the card's streams carry none (§2.7).
    #[error("§2.7: TD is set, and this stream carries no digest")]
    Digest,
    /// A 4-DW header for an address below 4 GiB (§2.2.4.1).
    #[error("§2.2.4.1: a 64-bit header for {address:#x}, which is below 4 GiB")]
    ShortAddress {
        /// The address.
        address: u64,
    },
    /// Byte enables that the section forbids.
    #[error("§2.2.5: byte enables first {first:04b} last {last:04b} with {length} DW: {why}")]
    ByteEnables {
        /// First DW BE.
        first: u8,
        /// Last DW BE.
        last: u8,
        /// Length in DWs.
        length: u16,
        /// The rule.
        why: &'static str,
    },
    /// A request across a 4 KiB boundary (§2.2.7).
    #[error("§2.2.7: {bytes} bytes at {address:#x} cross a 4 KiB boundary")]
    Boundary {
        /// Where it starts.
        address: u64,
        /// How long it is.
        bytes: u32,
    },
    /// A payload longer than Max_Payload_Size (§2.2.2).
    #[error("§2.2.2: a payload of {bytes} bytes, Max_Payload_Size is {limit}")]
    Payload {
        /// The payload.
        bytes: u32,
        /// The limit in force.
        limit: u32,
    },
    /// A read longer than Max_Read_Request_Size (§7.5.3.4).
    #[error("§7.5.3.4: a read of {bytes} bytes, Max_Read_Request_Size is {limit}")]
    ReadSize {
        /// What was asked.
        bytes: u32,
        /// The limit in force.
        limit: u32,
    },
    /// Configuration and I/O requests are one DW, TC 0, no attributes (§2.2.7).
    #[error("§2.2.7: a configuration or I/O request {0}")]
    NotOneDw(&'static str),
    /// A completion whose fields do not agree with each other or with its request (§2.2.9, §2.3.1.1).
    #[error("§2.2.9: completion: {0}")]
    Completion(String),
    /// A message code or routing that is not defined, or not for an endpoint (§2.2.8).
    #[error("§2.2.8: message code {code:#04x} routing {routing:03b} is not one that this sender may use")]
    Message {
        /// The code.
        code: u8,
        /// The routing field.
        routing: u8,
    },
}
