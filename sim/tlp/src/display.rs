//! One line a packet, for a person.

use std::fmt::{self, Display, Formatter};

use crate::tlp::{Body, CfgType, Completion, Memory, Message, Status, Tlp};

/// How many payload bytes a line shows.
const SHOWN: usize = 16;

impl Display for Tlp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::MemRead(m) => memory(f, "MRd", m, None)?,
            Body::MemWrite(m, data) => memory(f, "MWr", m, Some(data))?,
            Body::IoRead(m) => memory(f, "IORd", m, None)?,
            Body::IoWrite(m, data) => memory(f, "IOWr", m, Some(data))?,
            Body::CfgRead { cfg, requester, tag, target, register, first_be } => {
                let name = if *cfg == CfgType::Type0 { "CfgRd0" } else { "CfgRd1" };
                write!(f, "{name:<6} {requester} #{tag:02x} {target} {register:03x} be {first_be:04b}")?;
            }
            Body::CfgWrite { cfg, requester, tag, target, register, first_be, data } => {
                let name = if *cfg == CfgType::Type0 { "CfgWr0" } else { "CfgWr1" };
                let value = u32::from_le_bytes(*data);
                write!(f, "{name:<6} {requester} #{tag:02x} {target} {register:03x} be {first_be:04b} = {value:08x}")?;
            }
            Body::Cpl(c) => completion(f, "Cpl", c, None)?,
            Body::CplD(c, data) => completion(f, "CplD", c, Some(data))?,
            Body::Msg(m) => message(f, "Msg", m, None)?,
            Body::MsgD(m, data) => message(f, "MsgD", m, Some(data))?,
        }
        let a = &self.attributes;
        if a.traffic_class != 0 {
            write!(f, " tc {}", a.traffic_class)?;
        }
        for (set, name) in [
            (a.poisoned, " POISONED"),
            (a.relaxed_ordering, " ro"),
            (a.no_snoop, " ns"),
            (a.id_ordering, " ido"),
            (a.address_type != 0, " translated"),
        ] {
            if set {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

fn memory(f: &mut Formatter<'_>, name: &str, m: &Memory, data: Option<&[u8]>) -> fmt::Result {
    write!(f, "{name:<6} {} #{:02x} {:#012x} {:4} DW", m.requester, m.tag, m.address, m.length)?;
    if m.first_be != 0xf || (m.length > 1 && m.last_be != 0xf) {
        write!(f, " be {:04b}", m.first_be)?;
        if m.length > 1 || m.last_be != 0 {
            write!(f, "/{:04b}", m.last_be)?;
        }
    }
    bytes(f, data)
}

fn completion(f: &mut Formatter<'_>, name: &str, c: &Completion, data: Option<&[u8]>) -> fmt::Result {
    write!(f, "{name:<6} {} #{:02x} from {} {}", c.requester, c.tag, c.completer, c.status)?;
    write!(f, " left {} at {:02x}", c.byte_count, c.lower_address)?;
    bytes(f, data)
}

fn message(f: &mut Formatter<'_>, name: &str, m: &Message, data: Option<&[u8]>) -> fmt::Result {
    write!(f, "{name:<6} {} #{:02x} code {:02x} routing {}", m.requester, m.tag, m.code, m.routing)?;
    if m.rest != [0, 0] {
        write!(f, " {:08x} {:08x}", m.rest[0], m.rest[1])?;
    }
    bytes(f, data)
}

fn bytes(f: &mut Formatter<'_>, data: Option<&[u8]>) -> fmt::Result {
    let Some(data) = data else { return Ok(()) };
    f.write_str(" :")?;
    for word in data[..data.len().min(SHOWN)].chunks(4) {
        f.write_str(" ")?;
        for byte in word {
            write!(f, "{byte:02x}")?;
        }
    }
    if data.len() > SHOWN { write!(f, " ... ({} bytes)", data.len()) } else { Ok(()) }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Status::Success => f.write_str("SC"),
            Status::Unsupported => f.write_str("UR"),
            Status::Retry => f.write_str("CRS"),
            Status::Abort => f.write_str("CA"),
            Status::Reserved(bits) => write!(f, "status {bits:03b}"),
        }
    }
}
