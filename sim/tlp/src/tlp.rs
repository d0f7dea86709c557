//! A TLP's fields by name.

use azote_regs::pcie::tlp as field;

use crate::Rid;

/// The fields of header DW 0 that every TLP has beside its type and length (§2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Traffic class, 0 to 7.
    pub traffic_class: u8,
    /// EP: the payload is known to be bad (§2.7.2).
    pub poisoned: bool,
    /// Attr\[1\] (§2.2.6.4).
    pub relaxed_ordering: bool,
    /// Attr\[0\] (§2.2.6.5).
    pub no_snoop: bool,
    /// Attr\[2\] (§2.2.6.4).
    pub id_ordering: bool,
    /// Address type, 0 for an untranslated address (§10.2.1).
    pub address_type: u8,
}

/// A memory or I/O request's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Who asks.
    pub requester: Rid,
    /// Its name for the request.
    pub tag: u8,
    /// Where, a multiple of four.
    pub address: u64,
    /// How much, 1 to 1024 DWs.
    pub length: u16,
    /// Which bytes of the first DW.
    pub first_be: u8,
    /// Which bytes of the last DW; 0 if there is only one.
    pub last_be: u8,
}

/// Whether a configuration request has reached its bus (§7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CfgType {
    /// For the device on this link.
    Type0,
    /// For a bus beyond.
    Type1,
}

/// How a request ended (§2.2.9, table 2-34).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// SC, successful completion.
    Success,
    /// UR, unsupported request.
    Unsupported,
    /// CRS, configuration request retry.
    Retry,
    /// CA, completer abort.
    Abort,
    /// An encoding that the specification reserves; a requester treats it as UR.
    Reserved(u8),
}

/// A completion's header (§2.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Who answers.
    pub completer: Rid,
    /// How it went.
    pub status: Status,
    /// BCM; set only by PCI-X bridges.
    pub byte_count_modified: bool,
    /// Bytes still to come, this packet's included; 1 to 4096.
    pub byte_count: u16,
    /// Who asked.
    pub requester: Rid,
    /// Under which tag.
    pub tag: u8,
    /// Low seven bits of the first byte's address.
    pub lower_address: u8,
}

/// A message's header (§2.2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Who sends.
    pub requester: Rid,
    /// The tag field.
    pub tag: u8,
    /// How it is routed, the r\[2:0\] of its type.
    pub routing: u8,
    /// What it says.
    pub code: u8,
    /// The last two header DWs, which depend on the code.
    pub rest: [u32; 2],
}

/// What kind of TLP it is, with its own fields and payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// MRd.
    MemRead(Memory),
    /// MWr.
    MemWrite(Memory, Vec<u8>),
    /// IORd.
    IoRead(Memory),
    /// IOWr.
    IoWrite(Memory, [u8; 4]),
    /// CfgRd0 and CfgRd1.
    CfgRead {
        /// Type 0 or type 1.
        cfg: CfgType,
        /// Who asks.
        requester: Rid,
        /// Its tag.
        tag: u8,
        /// Which function is asked.
        target: Rid,
        /// Byte offset of the DW in configuration space, 0 to 0xffc.
        register: u16,
        /// Which of its bytes.
        first_be: u8,
    },
    /// CfgWr0 and CfgWr1.
    CfgWrite {
        /// Type 0 or type 1.
        cfg: CfgType,
        /// Who asks.
        requester: Rid,
        /// Its tag.
        tag: u8,
        /// Which function is asked.
        target: Rid,
        /// Byte offset of the DW in configuration space, 0 to 0xffc.
        register: u16,
        /// Which of its bytes.
        first_be: u8,
        /// The DW; byte 0 is the register's least significant.
        data: [u8; 4],
    },
    /// Cpl, without data.
    Cpl(Completion),
    /// CplD.
    CplD(Completion, Vec<u8>),
    /// Msg, without data.
    Msg(Message),
    /// MsgD.
    MsgD(Message, Vec<u8>),
}

/// A transaction layer packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlp {
    /// The common fields.
    pub attributes: Attributes,
    /// The rest.
    pub body: Body,
}

impl From<Body> for Tlp {
    fn from(body: Body) -> Self {
        Tlp { attributes: Attributes::default(), body }
    }
}

impl Tlp {
    /// The id of the function that sent it: the requester of a request, the completer of a completion.
    pub fn sender(&self) -> Rid {
        match &self.body {
            Body::MemRead(m) | Body::MemWrite(m, _) | Body::IoRead(m) | Body::IoWrite(m, _) => m.requester,
            Body::CfgRead { requester, .. } | Body::CfgWrite { requester, .. } => *requester,
            Body::Cpl(c) | Body::CplD(c, _) => c.completer,
            Body::Msg(m) | Body::MsgD(m, _) => m.requester,
        }
    }

    /// Requests that get no completion (§2.1.1).
    pub fn is_posted(&self) -> bool {
        matches!(self.body, Body::MemWrite(..) | Body::Msg(_) | Body::MsgD(..))
    }

    /// Cpl and CplD.
    pub fn is_completion(&self) -> bool {
        matches!(self.body, Body::Cpl(_) | Body::CplD(..))
    }

    /// Requests that do.
    pub fn is_non_posted(&self) -> bool {
        !self.is_posted() && !self.is_completion()
    }
}

impl Status {
    /// From the three bits of the header.
    pub fn from_bits(bits: u8) -> Status {
        match u64::from(bits & 7) {
            field::SC => Status::Success,
            field::UR => Status::Unsupported,
            field::CRS => Status::Retry,
            field::CA => Status::Abort,
            other => Status::Reserved(other as u8),
        }
    }

    /// The three bits of the header.
    pub fn bits(self) -> u8 {
        match self {
            Status::Success => field::SC as u8,
            Status::Unsupported => field::UR as u8,
            Status::Retry => field::CRS as u8,
            Status::Abort => field::CA as u8,
            Status::Reserved(bits) => bits & 7,
        }
    }
}
