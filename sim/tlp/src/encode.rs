//! From fields to header DWs.

use crate::beat::Packet;
use crate::tlp::{Body, CfgType, Completion, Memory, Message, Tlp};

/// Fmt bit 1: the packet has a payload (§2.2.1, table 2-2).
pub(crate) const FMT_DATA: u32 = 0b010;
/// Fmt bit 0: the header has four DWs.
pub(crate) const FMT_4DW: u32 = 0b001;
/// Type of memory requests (table 2-3), and so on.
pub(crate) const TYPE_MEM: u32 = 0b0_0000;
pub(crate) const TYPE_IO: u32 = 0b0_0010;
pub(crate) const TYPE_CFG0: u32 = 0b0_0100;
pub(crate) const TYPE_CFG1: u32 = 0b0_0101;
pub(crate) const TYPE_CPL: u32 = 0b0_1010;
/// The low three bits of a message's type are its routing.
pub(crate) const TYPE_MSG: u32 = 0b1_0000;

impl Tlp {
    /// The packet that carries it. Fields are taken as they are: what the rules forbid can be sent to try a receiver.
    pub fn packet(&self) -> Packet {
        let (fmt, kind, length, rest, payload) = match &self.body {
            Body::MemRead(m) => (mem_fmt(m), TYPE_MEM, m.length, memory(m), vec![]),
            Body::MemWrite(m, data) => (
                mem_fmt(m) | FMT_DATA,
                TYPE_MEM,
                m.length,
                memory(m),
                data.clone(),
            ),
            Body::IoRead(m) => (0, TYPE_IO, m.length, memory(m), vec![]),
            Body::IoWrite(m, data) => (FMT_DATA, TYPE_IO, m.length, memory(m), data.to_vec()),
            Body::CfgRead {
                cfg,
                requester,
                tag,
                target,
                register,
                first_be,
            } => (
                0,
                cfg_type(*cfg),
                1,
                config(requester.0, *tag, target.0, *register, *first_be),
                vec![],
            ),
            Body::CfgWrite {
                cfg,
                requester,
                tag,
                target,
                register,
                first_be,
                data,
            } => {
                let rest = config(requester.0, *tag, target.0, *register, *first_be);
                (FMT_DATA, cfg_type(*cfg), 1, rest, data.to_vec())
            }
            Body::Cpl(c) => (0, TYPE_CPL, 0, completion(c), vec![]),
            Body::CplD(c, data) => (FMT_DATA, TYPE_CPL, dws(data), completion(c), data.clone()),
            Body::Msg(m) => (FMT_4DW, msg_type(m), 0, message(m), vec![]),
            Body::MsgD(m, data) => (
                FMT_4DW | FMT_DATA,
                msg_type(m),
                dws(data),
                message(m),
                data.clone(),
            ),
        };
        let dw0 = fmt << 29 | kind << 24 | self.attribute_bits() | u32::from(length) & 0x3ff;
        Packet {
            header: [dw0, rest[0], rest[1], rest[2]],
            payload,
        }
    }

    fn attribute_bits(&self) -> u32 {
        let a = &self.attributes;
        u32::from(a.traffic_class & 7) << 20
            | u32::from(a.id_ordering) << 18
            | u32::from(a.poisoned) << 14
            | u32::from(a.relaxed_ordering) << 13
            | u32::from(a.no_snoop) << 12
            | u32::from(a.address_type & 3) << 10
    }
}

fn dws(payload: &[u8]) -> u16 {
    payload.len().div_ceil(4) as u16
}

/// §2.2.4.1: an address below 4 GiB takes the short header, any other the long one.
fn mem_fmt(m: &Memory) -> u32 {
    if m.address >> 32 == 0 { 0 } else { FMT_4DW }
}

fn memory(m: &Memory) -> [u32; 3] {
    let dw1 = u32::from(m.requester.0) << 16
        | u32::from(m.tag) << 8
        | u32::from(m.last_be & 0xf) << 4
        | u32::from(m.first_be & 0xf);
    let low = m.address as u32 & !3;
    match (m.address >> 32) as u32 {
        0 => [dw1, low, 0],
        high => [dw1, high, low],
    }
}

fn cfg_type(cfg: CfgType) -> u32 {
    match cfg {
        CfgType::Type0 => TYPE_CFG0,
        CfgType::Type1 => TYPE_CFG1,
    }
}

/// §2.2.7, figure 2-20: Ext. Register Number above Register Number, which is the byte offset as it stands.
fn config(requester: u16, tag: u8, target: u16, register: u16, first_be: u8) -> [u32; 3] {
    let dw1 = u32::from(requester) << 16 | u32::from(tag) << 8 | u32::from(first_be & 0xf);
    [
        dw1,
        u32::from(target) << 16 | u32::from(register & 0xffc),
        0,
    ]
}

/// §2.2.9, figure 2-28; a byte count of 4096 is written as 0.
fn completion(c: &Completion) -> [u32; 3] {
    let dw1 = u32::from(c.completer.0) << 16
        | u32::from(c.status.bits()) << 13
        | u32::from(c.byte_count_modified) << 12
        | u32::from(c.byte_count & 0xfff);
    let dw2 =
        u32::from(c.requester.0) << 16 | u32::from(c.tag) << 8 | u32::from(c.lower_address & 0x7f);
    [dw1, dw2, 0]
}

fn msg_type(m: &Message) -> u32 {
    TYPE_MSG | u32::from(m.routing & 7)
}

fn message(m: &Message) -> [u32; 3] {
    let dw1 = u32::from(m.requester.0) << 16 | u32::from(m.tag) << 8 | u32::from(m.code);
    [dw1, m.rest[0], m.rest[1]]
}
