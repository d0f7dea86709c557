//! What a sender may send: the rules of chapter 2 that can be seen on one packet.

use azote_regs::pcie::tlp as field;

use crate::Malformed;
use crate::tlp::{Body, Completion, Memory, Message, Status, Tlp};

/// The limits in force for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Max_Payload_Size, in bytes.
    pub max_payload: u32,
    /// Max_Read_Request_Size, in bytes.
    pub max_read: u32,
}

impl Default for Limits {
    /// After reset (§7.5.3.4).
    fn default() -> Self {
        Limits { max_payload: 128, max_read: 512 }
    }
}

/// Checks one decoded packet.
pub fn check(tlp: &Tlp, limits: &Limits) -> Result<(), Malformed> {
    match &tlp.body {
        Body::MemRead(m) => {
            memory(m)?;
            let bytes = u32::from(m.length) * 4;
            // What counts is the Length field, not the enabled bytes (§7.5.3.4).
            if bytes > limits.max_read {
                return Err(Malformed::ReadSize { bytes, limit: limits.max_read });
            }
            Ok(())
        }
        Body::MemWrite(m, data) => {
            memory(m)?;
            payload(data, limits)
        }
        Body::IoRead(m) => one_dw(tlp, m),
        Body::IoWrite(m, _) => one_dw(tlp, m),
        Body::CfgRead { .. } | Body::CfgWrite { .. } => plain(tlp),
        Body::Cpl(c) => completion(c, None),
        Body::CplD(c, data) => {
            payload(data, limits)?;
            completion(c, Some(data.len()))
        }
        Body::Msg(m) => message(m),
        Body::MsgD(m, data) => {
            payload(data, limits)?;
            message(m)
        }
    }
}

fn payload(data: &[u8], limits: &Limits) -> Result<(), Malformed> {
    let bytes = data.len() as u32;
    if bytes > limits.max_payload { Err(Malformed::Payload { bytes, limit: limits.max_payload }) } else { Ok(()) }
}

fn memory(m: &Memory) -> Result<(), Malformed> {
    byte_enables(m)?;
    let bytes = u32::from(m.length) * 4;
    if m.address % field::BOUNDARY + u64::from(bytes) > field::BOUNDARY {
        return Err(Malformed::Boundary { address: m.address, bytes });
    }
    Ok(())
}

/// §2.2.5.
fn byte_enables(m: &Memory) -> Result<(), Malformed> {
    let bad = |why| Err(Malformed::ByteEnables { first: m.first_be, last: m.last_be, length: m.length, why });
    if m.length == 1 {
        return if m.last_be == 0 { Ok(()) } else { bad("one DW has no last one") };
    }
    if m.first_be == 0 {
        return bad("the first DW of several has at least one byte");
    }
    if m.last_be == 0 {
        return bad("the last DW of several has at least one byte");
    }
    // Gaps are allowed in one DW, or in two that are one aligned QW.
    let gaps = !matches!(m.first_be, 0xf | 0xe | 0xc | 0x8) || !matches!(m.last_be, 0xf | 0x7 | 0x3 | 0x1);
    if gaps && !(m.length == 2 && m.address & 7 == 0) {
        return bad("gaps are allowed only in one DW or one aligned QW");
    }
    Ok(())
}

fn one_dw(tlp: &Tlp, m: &Memory) -> Result<(), Malformed> {
    if m.length != 1 {
        return Err(Malformed::NotOneDw("has a Length other than 1"));
    }
    byte_enables(m)?;
    plain(tlp)
}

/// §2.2.7: TC, Attr\[1:0\] and AT are zero.
fn plain(tlp: &Tlp) -> Result<(), Malformed> {
    let a = &tlp.attributes;
    if a.traffic_class != 0 {
        return Err(Malformed::NotOneDw("has a traffic class"));
    }
    if a.relaxed_ordering || a.no_snoop || a.id_ordering {
        return Err(Malformed::NotOneDw("has attributes"));
    }
    if a.address_type != 0 {
        return Err(Malformed::NotOneDw("has an address type"));
    }
    Ok(())
}

fn completion(c: &Completion, data: Option<usize>) -> Result<(), Malformed> {
    let bad = |text: String| Err(Malformed::Completion(text));
    if c.byte_count_modified {
        return bad("Byte Count Modified is for PCI-X bridges".into());
    }
    if let Status::Reserved(bits) = c.status {
        return bad(format!("status {bits:03b} is reserved"));
    }
    let Some(bytes) = data else { return Ok(()) };
    if c.status != Status::Success {
        return bad(format!("{:?} with data", c.status));
    }
    // The DWs hold the bytes from the lower address on; only the last packet of a request may have bytes to spare.
    let useful = bytes - usize::from(c.lower_address & 3);
    let left = usize::from(c.byte_count);
    if useful > left + 3 {
        return bad(format!("{bytes} bytes of payload at {:#04x} for a byte count of {left}", c.lower_address));
    }
    Ok(())
}

/// Messages an endpoint sends: INTx, power management, errors, vendor-defined (§2.2.8).
fn message(m: &Message) -> Result<(), Malformed> {
    let routing = u64::from(m.routing);
    let fine = match u64::from(m.code) {
        // Assert_INTx and Deassert_INTx.
        0x20..=0x27 => routing == field::ROUTE_LOCAL,
        field::MSG_PM_PME | field::MSG_ERR_COR | field::MSG_ERR_NONFATAL | field::MSG_ERR_FATAL => {
            routing == field::ROUTE_TO_ROOT
        }
        // Gathered on its way to the root complex: routing 5 exists for this message alone.
        field::MSG_PME_TO_ACK => routing == 5,
        field::MSG_VENDOR_0 | field::MSG_VENDOR_1 => {
            matches!(routing, field::ROUTE_TO_ROOT | field::ROUTE_BY_ID | field::ROUTE_LOCAL)
        }
        _ => false,
    };
    if fine { Ok(()) } else { Err(Malformed::Message { code: m.code, routing: m.routing }) }
}
