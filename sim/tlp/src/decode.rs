//! From header DWs to fields.

use azote_regs::pcie::tlp as field;

use crate::beat::Packet;
use crate::tlp::{Attributes, Body, CfgType, Completion, Memory, Message, Status, Tlp};
use crate::{Malformed, Rid};

impl Tlp {
    /// Reads a packet's fields; refuses what is no TLP: an unknown type, a length that is not the payload's, reserved
    /// bits (a sender must leave them zero, and the card's streams are checked as a sender's).
    pub fn decode(packet: &Packet) -> Result<Tlp, Malformed> {
        let [dw0, dw1, dw2, dw3] = packet.header.map(u64::from);
        let code = field::FMT_TYPE.of(dw0);
        reserved("§2.2.1", 0, dw0, DW0_RESERVED)?;
        if field::TD.is_set(dw0) {
            return Err(Malformed::Digest);
        }
        if !field::FMT_BIT_4DW.is_set(dw0) {
            // The streams' own rule: the fourth DW of a 3-DW header is padding, and zero.
            reserved("stream padding", 3, dw3, u64::MAX)?;
        }
        let length = length(packet)?;
        let attributes = attributes(dw0);
        let data = || packet.payload.clone();
        let body = match code {
            field::MRD32 | field::MRD64 => Body::MemRead(memory(packet, length)?),
            field::MWR32 | field::MWR64 => Body::MemWrite(memory(packet, length)?, data()),
            field::IORD => Body::IoRead(memory(packet, length)?),
            field::IOWR => Body::IoWrite(memory(packet, length)?, one_dw(packet)?),
            field::CFGRD0 | field::CFGWR0 => config(packet, length, CfgType::Type0)?,
            field::CFGRD1 | field::CFGWR1 => config(packet, length, CfgType::Type1)?,
            field::CPL => Body::Cpl(completion(dw1, dw2)?),
            field::CPLD => Body::CplD(completion(dw1, dw2)?, data()),
            _ if code & !ROUTING == field::MSG || code & !ROUTING == field::MSGD => {
                let message = Message {
                    requester: requester(dw1),
                    tag: field::TAG.of(dw1) as u8,
                    routing: (code & ROUTING) as u8,
                    code: field::MESSAGE_CODE.of(dw1) as u8,
                    rest: [dw2 as u32, dw3 as u32],
                };
                if field::FMT_BIT_DATA.is_set(dw0) { Body::MsgD(message, data()) } else { Body::Msg(message) }
            }
            _ => return Err(Malformed::Type { fmt: field::FMT.of(dw0) as u8, kind: field::TYPE.of(dw0) as u8 }),
        };
        Ok(Tlp { attributes, body })
    }
}

/// The part of a message's type that is its routing.
const ROUTING: u64 = 7;

/// What of DW 0 nothing here uses: 10-bit tags, hints, and the bit that is reserved in every version (17).
const DW0_RESERVED: u64 = field::TAG9.mask() | field::TAG8.mask() | field::TH.mask() | 1 << 17;

fn reserved(section: &'static str, dw: usize, value: u64, mask: u64) -> Result<(), Malformed> {
    match (value & mask) as u32 {
        0 => Ok(()),
        bits => Err(Malformed::Reserved { section, dw, bits }),
    }
}

fn requester(dw: u64) -> Rid {
    Rid(field::REQUESTER_ID.of(dw) as u16)
}

/// The Length field, checked against the payload. Without data, completions and messages reserve the field, and a
/// read's says what it asks for; so only the payload's absence is checked.
fn length(packet: &Packet) -> Result<u16, Malformed> {
    let dw0 = packet.header[0].into();
    let length = match field::LENGTH.of(dw0) {
        0 => field::MAX_LENGTH as u16,
        length => length as u16,
    };
    let expected = if field::FMT_BIT_DATA.is_set(dw0) { length } else { 0 };
    if packet.payload.len() != usize::from(expected) * 4 {
        return Err(Malformed::Length { length: expected, payload: packet.payload.len() / 4 });
    }
    Ok(length)
}

fn attributes(dw0: u64) -> Attributes {
    Attributes {
        traffic_class: field::TC.of(dw0) as u8,
        poisoned: field::EP.is_set(dw0),
        relaxed_ordering: field::ATTR.of(dw0) & 2 != 0,
        no_snoop: field::ATTR.of(dw0) & 1 != 0,
        id_ordering: field::ATTR_IDO.is_set(dw0),
        address_type: field::AT.of(dw0) as u8,
    }
}

fn memory(packet: &Packet, length: u16) -> Result<Memory, Malformed> {
    let [dw0, dw1, dw2, dw3] = packet.header.map(u64::from);
    // PH, the two low bits, means something only with TH, which is refused.
    let address = if field::FMT_BIT_4DW.is_set(dw0) {
        reserved("§2.2.4.1", 3, dw3, field::PH.mask())?;
        let address = dw2 << 32 | dw3;
        if dw2 == 0 {
            return Err(Malformed::ShortAddress { address });
        }
        address
    } else {
        reserved("§2.2.4.1", 2, dw2, field::PH.mask())?;
        dw2
    };
    Ok(Memory {
        requester: requester(dw1),
        tag: field::TAG.of(dw1) as u8,
        address,
        length,
        first_be: field::FIRST_BE.of(dw1) as u8,
        last_be: field::LAST_BE.of(dw1) as u8,
    })
}

fn completion(dw1: u64, dw2: u64) -> Result<Completion, Malformed> {
    // Between the tag and the lower address one bit is reserved.
    reserved("§2.2.9", 2, dw2, field::LOWER_ADDRESS.mask() + 1)?;
    Ok(Completion {
        completer: Rid(field::COMPLETER_ID.of(dw1) as u16),
        status: Status::from_bits(field::STATUS.of(dw1) as u8),
        byte_count_modified: field::BCM.is_set(dw1),
        byte_count: match field::BYTE_COUNT.of(dw1) {
            0 => field::BYTE_COUNT.max() as u16 + 1,
            count => count as u16,
        },
        requester: requester(dw2),
        tag: field::TAG.of(dw2) as u8,
        lower_address: field::LOWER_ADDRESS.of(dw2) as u8,
    })
}

fn one_dw(packet: &Packet) -> Result<[u8; 4], Malformed> {
    <[u8; 4]>::try_from(&packet.payload[..]).map_err(|_| Malformed::NotOneDw("has a payload that is not one DW"))
}

fn config(packet: &Packet, length: u16, cfg: CfgType) -> Result<Body, Malformed> {
    let [dw0, dw1, dw2, _] = packet.header.map(u64::from);
    // Bits 15:12 above the offset, and the two below a DW's.
    reserved("§2.2.7", 2, dw2, 0xf000 | 3)?;
    if length != 1 {
        return Err(Malformed::NotOneDw("has a Length other than 1"));
    }
    if field::LAST_BE.is_set(dw1) {
        return Err(Malformed::NotOneDw("has a Last DW BE"));
    }
    let requester = requester(dw1);
    let tag = field::TAG.of(dw1) as u8;
    let target = Rid((dw2 >> field::CFG_FUNCTION.lo) as u16);
    let register = field::CFG_OFFSET.of(dw2) as u16;
    let first_be = field::FIRST_BE.of(dw1) as u8;
    Ok(if field::FMT_BIT_DATA.is_set(dw0) {
        Body::CfgWrite { cfg, requester, tag, target, register, first_be, data: one_dw(packet)? }
    } else {
        Body::CfgRead { cfg, requester, tag, target, register, first_be }
    })
}
