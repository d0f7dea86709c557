//! From header DWs to fields.

use crate::beat::Packet;
use crate::encode::{
    FMT_4DW, FMT_DATA, TYPE_CFG0, TYPE_CFG1, TYPE_CPL, TYPE_IO, TYPE_MEM, TYPE_MSG,
};
use crate::tlp::{Attributes, Body, CfgType, Completion, Memory, Message, Status, Tlp};
use crate::{Malformed, Rid};

impl Tlp {
    /// Reads a packet's fields; refuses what is no TLP: an unknown type, a length that is not the payload's, reserved
    /// bits (a sender must leave them zero, and the card's streams are checked as a sender's).
    pub fn decode(packet: &Packet) -> Result<Tlp, Malformed> {
        let [dw0, dw1, dw2, dw3] = packet.header;
        let fmt = dw0 >> 29;
        let kind = dw0 >> 24 & 0x1f;
        reserved("§2.2.1", 0, dw0, 1 << 23 | 1 << 19 | 1 << 17 | 1 << 16)?;
        if dw0 >> 15 & 1 == 1 {
            return Err(Malformed::Digest);
        }
        if fmt & FMT_4DW == 0 {
            // The streams' own rule: the fourth DW of a 3-DW header is padding, and zero.
            reserved("stream padding", 3, dw3, u32::MAX)?;
        }
        let length = length(packet, fmt)?;
        let attributes = attributes(dw0);
        let data = || packet.payload.clone();
        let with_data = fmt & FMT_DATA != 0;
        let body = match (fmt & !FMT_DATA, kind) {
            (0 | FMT_4DW, TYPE_MEM) => {
                let memory = memory(packet.header, fmt, length)?;
                if with_data {
                    Body::MemWrite(memory, data())
                } else {
                    Body::MemRead(memory)
                }
            }
            (0, TYPE_IO) => {
                let memory = memory(packet.header, fmt, length)?;
                if with_data {
                    Body::IoWrite(memory, one_dw(packet)?)
                } else {
                    Body::IoRead(memory)
                }
            }
            (0, TYPE_CFG0 | TYPE_CFG1) => config(
                packet,
                length,
                if kind == TYPE_CFG0 {
                    CfgType::Type0
                } else {
                    CfgType::Type1
                },
            )?,
            (0, TYPE_CPL) => {
                reserved("§2.2.9", 2, dw2, 1 << 7)?;
                let byte_count = (dw1 & 0xfff) as u16;
                let completion = Completion {
                    completer: Rid((dw1 >> 16) as u16),
                    status: Status::from_bits((dw1 >> 13) as u8),
                    byte_count_modified: dw1 >> 12 & 1 == 1,
                    byte_count: if byte_count == 0 { 4096 } else { byte_count },
                    requester: Rid((dw2 >> 16) as u16),
                    tag: (dw2 >> 8) as u8,
                    lower_address: (dw2 & 0x7f) as u8,
                };
                if with_data {
                    Body::CplD(completion, data())
                } else {
                    Body::Cpl(completion)
                }
            }
            (FMT_4DW, kind) if kind & !7 == TYPE_MSG => {
                let message = Message {
                    requester: Rid((dw1 >> 16) as u16),
                    tag: (dw1 >> 8) as u8,
                    routing: (kind & 7) as u8,
                    code: dw1 as u8,
                    rest: [dw2, dw3],
                };
                if with_data {
                    Body::MsgD(message, data())
                } else {
                    Body::Msg(message)
                }
            }
            _ => {
                return Err(Malformed::Type {
                    fmt: fmt as u8,
                    kind: kind as u8,
                });
            }
        };
        Ok(Tlp { attributes, body })
    }
}

fn reserved(section: &'static str, dw: usize, value: u32, mask: u32) -> Result<(), Malformed> {
    match value & mask {
        0 => Ok(()),
        bits => Err(Malformed::Reserved { section, dw, bits }),
    }
}

/// The Length field, checked against the payload. Without data, completions and messages reserve the field, and a
/// read's says what it asks for; so only the payload's absence is checked.
fn length(packet: &Packet, fmt: u32) -> Result<u16, Malformed> {
    let field = (packet.header[0] & 0x3ff) as u16;
    let length = if field == 0 { 1024 } else { field };
    let payload = packet.payload.len() / 4;
    let expected = if fmt & FMT_DATA != 0 {
        usize::from(length)
    } else {
        0
    };
    if !packet.payload.len().is_multiple_of(4) || payload != expected {
        return Err(Malformed::Length {
            length: if expected == 0 { 0 } else { length },
            payload,
        });
    }
    Ok(length)
}

fn attributes(dw0: u32) -> Attributes {
    Attributes {
        traffic_class: (dw0 >> 20 & 7) as u8,
        poisoned: dw0 >> 14 & 1 == 1,
        relaxed_ordering: dw0 >> 13 & 1 == 1,
        no_snoop: dw0 >> 12 & 1 == 1,
        id_ordering: dw0 >> 18 & 1 == 1,
        address_type: (dw0 >> 10 & 3) as u8,
    }
}

fn memory(header: [u32; 4], fmt: u32, length: u16) -> Result<Memory, Malformed> {
    let [_, dw1, dw2, dw3] = header;
    let address = if fmt & FMT_4DW != 0 {
        // PH, the two low bits, means something only with TH, which is refused.
        reserved("§2.2.4.1", 3, dw3, 3)?;
        let address = u64::from(dw2) << 32 | u64::from(dw3);
        if dw2 == 0 {
            return Err(Malformed::ShortAddress { address });
        }
        address
    } else {
        reserved("§2.2.4.1", 2, dw2, 3)?;
        u64::from(dw2)
    };
    Ok(Memory {
        requester: Rid((dw1 >> 16) as u16),
        tag: (dw1 >> 8) as u8,
        address,
        length,
        first_be: (dw1 & 0xf) as u8,
        last_be: (dw1 >> 4 & 0xf) as u8,
    })
}

fn one_dw(packet: &Packet) -> Result<[u8; 4], Malformed> {
    packet
        .payload
        .first_chunk::<4>()
        .copied()
        .filter(|_| packet.payload.len() == 4)
        .ok_or(Malformed::NotOneDw("has a payload that is not one DW"))
}

fn config(packet: &Packet, length: u16, cfg: CfgType) -> Result<Body, Malformed> {
    let [dw0, dw1, dw2, _] = packet.header;
    reserved("§2.2.7", 2, dw2, 0xf003)?;
    if length != 1 {
        return Err(Malformed::NotOneDw("has a Length other than 1"));
    }
    if dw1 >> 4 & 0xf != 0 {
        return Err(Malformed::NotOneDw("has a Last DW BE"));
    }
    let requester = Rid((dw1 >> 16) as u16);
    let tag = (dw1 >> 8) as u8;
    let target = Rid((dw2 >> 16) as u16);
    let register = (dw2 & 0xffc) as u16;
    let first_be = (dw1 & 0xf) as u8;
    Ok(if dw0 >> 29 & FMT_DATA != 0 {
        Body::CfgWrite {
            cfg,
            requester,
            tag,
            target,
            register,
            first_be,
            data: one_dw(packet)?,
        }
    } else {
        Body::CfgRead {
            cfg,
            requester,
            tag,
            target,
            register,
            first_be,
        }
    })
}
