//! From fields to header DWs.

use azote_regs::pcie::tlp as field;

use crate::beat::Packet;
use crate::tlp::{Body, CfgType, Completion, Memory, Message, Tlp};

impl Tlp {
    /// The packet that carries it. Fields are taken as they are: what the rules forbid can be sent to try a receiver.
    pub fn packet(&self) -> Packet {
        let (code, length, rest, payload) = match &self.body {
            Body::MemRead(m) => (if is_long(m) { field::MRD64 } else { field::MRD32 }, m.length, memory(m), vec![]),
            Body::MemWrite(m, data) => {
                (if is_long(m) { field::MWR64 } else { field::MWR32 }, m.length, memory(m), data.clone())
            }
            Body::IoRead(m) => (field::IORD, m.length, memory(m), vec![]),
            Body::IoWrite(m, data) => (field::IOWR, m.length, memory(m), data.to_vec()),
            Body::CfgRead { cfg, requester, tag, target, register, first_be } => {
                let code = if *cfg == CfgType::Type0 { field::CFGRD0 } else { field::CFGRD1 };
                (code, 1, config(requester.0, *tag, target.0, *register, *first_be), vec![])
            }
            Body::CfgWrite { cfg, requester, tag, target, register, first_be, data } => {
                let code = if *cfg == CfgType::Type0 { field::CFGWR0 } else { field::CFGWR1 };
                (code, 1, config(requester.0, *tag, target.0, *register, *first_be), data.to_vec())
            }
            Body::Cpl(c) => (field::CPL, 0, completion(c), vec![]),
            Body::CplD(c, data) => (field::CPLD, dws(data), completion(c), data.clone()),
            Body::Msg(m) => (field::MSG | u64::from(m.routing & 7), 0, message(m), vec![]),
            Body::MsgD(m, data) => (field::MSGD | u64::from(m.routing & 7), dws(data), message(m), data.clone()),
        };
        let dw0 = field::FMT_TYPE.put(code) | self.attribute_bits() | field::LENGTH.put(length.into());
        Packet { header: [dw0 as u32, rest[0], rest[1], rest[2]], payload }
    }

    fn attribute_bits(&self) -> u64 {
        let a = &self.attributes;
        field::TC.put(a.traffic_class.into())
            | field::ATTR_IDO.put(a.id_ordering.into())
            | field::EP.put(a.poisoned.into())
            | field::ATTR.put(u64::from(a.relaxed_ordering) << 1 | u64::from(a.no_snoop))
            | field::AT.put(a.address_type.into())
    }
}

fn dws(payload: &[u8]) -> u16 {
    payload.len().div_ceil(4) as u16
}

/// §2.2.4.1: an address below 4 GiB takes the short header, any other the long one.
fn is_long(m: &Memory) -> bool {
    m.address >> 32 != 0
}

fn memory(m: &Memory) -> [u32; 3] {
    let dw1 = ids(m.requester.0, m.tag)
        | field::LAST_BE.put(m.last_be.into()) as u32
        | field::FIRST_BE.put(m.first_be.into()) as u32;
    let low = (m.address & field::ADDRESS.mask()) as u32;
    if is_long(m) { [dw1, (m.address >> 32) as u32, low] } else { [dw1, low, 0] }
}

fn ids(requester: u16, tag: u8) -> u32 {
    (field::REQUESTER_ID.put(requester.into()) | field::TAG.put(tag.into())) as u32
}

/// §2.2.7, figure 2-20: Ext. Register Number above Register Number, which is the byte offset as it stands.
fn config(requester: u16, tag: u8, target: u16, register: u16, first_be: u8) -> [u32; 3] {
    let dw1 = ids(requester, tag) | field::FIRST_BE.put(first_be.into()) as u32;
    // Bus above function: the target's id as it stands.
    let id = u64::from(target) << field::CFG_FUNCTION.lo;
    [dw1, (id | field::CFG_OFFSET.put(u64::from(register & !3))) as u32, 0]
}

/// §2.2.9, figure 2-28; a byte count of 4096 is written as 0, which is what is left of it in the field.
fn completion(c: &Completion) -> [u32; 3] {
    let dw1 = field::COMPLETER_ID.put(c.completer.0.into())
        | field::STATUS.put(c.status.bits().into())
        | field::BCM.put(c.byte_count_modified.into())
        | field::BYTE_COUNT.put(c.byte_count.into());
    let dw2 = ids(c.requester.0, c.tag) | field::LOWER_ADDRESS.put(c.lower_address.into()) as u32;
    [dw1 as u32, dw2, 0]
}

fn message(m: &Message) -> [u32; 3] {
    let dw1 = ids(m.requester.0, m.tag) | field::MESSAGE_CODE.put(m.code.into()) as u32;
    [dw1, m.rest[0], m.rest[1]]
}
