//! TLP headers as hardware values: how they are taken apart and put together (PCIe 2.2).

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::pcie::tlp;

/// DW `n` of a header beat.
#[pure]
pub fn dw(header: V, n: usize) -> V {
    header.bits(32 * n + 31, 32 * n)
}

/// The ARI function number of `{slot, kind}`: slot 0 is the PF (index 0), slot 1 + i is VF i (index 4 + i).
#[pure]
pub fn function_number(owner: V) -> V {
    let slot = owner.bits(7, 2);
    let gap = sized(function::FIRST_VF_INDEX - 1, 6);
    let index = if slot == 0 { slot } else { slot + gap };
    cat(index, owner.bits(1, 0))
}

/// `{slot, kind}` of an ARI function number; meaningless in the gap (see [`in_gap`]).
#[pure]
pub fn owner_of(number: V) -> V {
    let index = number.get(function::INDEX);
    let gap = sized(function::FIRST_VF_INDEX - 1, 6);
    let slot = if index == 0 { index } else { index - gap };
    cat(slot, number.get(function::KIND))
}

/// The numbers between the PFs and their VFs, and the reserved kind, are nobody's.
#[pure]
pub fn in_gap(number: V) -> V {
    let index = number.get(function::INDEX);
    let kind = number.get(function::KIND);
    (kind == function::KINDS) | ((index != 0) & (index < function::FIRST_VF_INDEX))
}

/// Requester or completer ID.
#[pure]
pub fn id(bus: V, owner: V) -> V {
    cat(bus, function_number(owner))
}

/// What a maker asks the door for: a memory request of whole DWs. It is a header of three DWs below 4 GiB, four above (PCIe
/// 2.2.4.1), without what only the door knows: what kind of request it is, and who sends it ([`signed`]).
#[pure]
pub fn request(address: V, dws: V, tag: V) -> V {
    covering(address.bits(63, 2), dws, tag, sized(0, 2), sized(0, 2))
}

/// The same of single bytes: `bytes` of them, at least one, from `address` on. The payload of a write begins with the DW that
/// holds the first byte, and so does that of the completions of a read ([`spans`] DWs).
#[pure]
pub fn byte_request(address: V, bytes: V, tag: V) -> V {
    let start = address.bits(1, 0);
    covering(address.bits(63, 2), spans(start, bytes), tag, start, missing(start, bytes))
}

/// The DWs that `bytes` bytes lie in, of which the first is byte `start` of its DW.
#[pure]
pub fn spans(start: V, bytes: V) -> V {
    let reach = bytes + start.zext(13) + 3;
    reach.bits(12, 2)
}

/// Bytes of the last of those DWs that are not among them.
#[pure]
pub fn missing(start: V, bytes: V) -> V {
    let end = bytes.trunc(2) + start;
    sized(0, 2) - end
}

/// A request of `dws` DWs from DW `place` on, without the first `start` bytes and the last `missing`.
#[pure]
pub fn covering(place: V, dws: V, tag: V, start: V, missing: V) -> V {
    let first = sized(15, 4) << start;
    let last = sized(15, 4) >> missing;
    let only = dws == 1;
    let last_be = if only { sized(0, 4) } else { last };
    let first_be = if only { first & last } else { first };
    let high = place.bits(61, 30);
    let long = high != 0;
    let low = cat(place.bits(29, 0), sized(0, 2));
    let dw0 = cat(sized(0, 2), long, sized(0, 19), dws.trunc(10));
    let dw1 = cat(sized(0, 16), tag, last_be, first_be);
    let dw2 = if long { high } else { low };
    let dw3 = if long { low } else { 0 };
    cat(dw3, dw2, dw1, dw0)
}

/// The beat of a header with what the door adds: the kind of packet that its maker sends, one of [`Sends`], and who sends it.
/// A completion has its completer's ID already: it may be one of a function that is not there.
#[pure]
pub fn signed(beat: V, kind: V, sender: V) -> V {
    let given = dw(beat, { 0 }).get(tlp::FMT_TYPE);
    let long = given.bit(5);
    let with_data = given.bit(6);
    let fmt_type = match kind {
        Sends::COMPLETION => cat(sized(0, 1), with_data, sized(0, 1), sized(tlp::TYPE_CPL, 5)),
        Sends::READ => cat(sized(0, 2), long, sized(tlp::TYPE_MEM, 5)),
        Sends::WRITE => cat(sized(1, 2), long, sized(tlp::TYPE_MEM, 5)),
        _ => sized(tlp::MSG | tlp::ROUTE_TO_ROOT, 8),
    };
    // Of the rest of DW 0 a request has its length alone: no attributes, no digest, an untranslated address.
    let rest = if kind == Sends::COMPLETION { beat.bits(23, 0) } else { cat(sized(0, 14), beat.bits(9, 0)) };
    let whose = if kind == Sends::COMPLETION { beat.bits(63, 48) } else { sender };
    cat(beat.bits(127, 64), whose, beat.bits(47, 32), fmt_type, rest)
}

/// What a maker sends; each sends one kind.
pub struct Sends;
impl Sends {
    pub const COMPLETION: u64 = 0;
    pub const READ: u64 = 1;
    pub const WRITE: u64 = 2;
    pub const MESSAGE: u64 = 3;
}

/// The header of a completion (PCIe 2.2.9), three DWs.
#[allow(clippy::too_many_arguments)] // a header has as many fields as PCIe gives it
#[pure]
pub fn completion(
    with_data: V,
    dws: V,
    completer: V,
    status: V,
    bytes: V,
    requester: V,
    tag: V,
    lower: V,
    attr_tc: V,
) -> V {
    let fmt_type = cat(sized(0, 1), with_data, sized(0, 1), sized(tlp::TYPE_CPL, 5));
    // attr_tc is DW 0 of the request: TC, IDO and attributes come back as they went.
    let tc = attr_tc.get(tlp::TC);
    let ido = attr_tc.get(tlp::ATTR_IDO);
    let attr = attr_tc.get(tlp::ATTR);
    let dw0 = cat(fmt_type, sized(0, 1), tc, sized(0, 1), ido, sized(0, 4), attr, sized(0, 2), dws.trunc(10));
    let dw1 = cat(completer, status, sized(0, 1), bytes.trunc(12));
    let dw2 = cat(requester, tag, sized(0, 1), lower);
    cat(sized(0, 32), dw2, dw1, dw0)
}

/// Bytes from the first enabled to the last, both included, of `dws` DWs (PCIe table 2-33). 0 DWs do not occur;
/// a read without any byte counts one.
#[pure]
pub fn byte_count(dws: V, first_be: V, last_be: V) -> V {
    let first = first_offset(first_be);
    let tail_be = if dws == 1 { first_be } else { last_be };
    // Bytes missing behind the last enabled one.
    let missing = if tail_be.bit(3) {
        sized(0, 2)
    } else if tail_be.bit(2) {
        1
    } else if tail_be.bit(1) {
        2
    } else {
        3
    };
    let whole = cat(dws, sized(0, 2));
    let exact = whole - first.zext(13) - missing.zext(13);
    let nothing = (dws == 1) & (first_be == 0);
    if nothing { sized(1, 13) } else { exact }
}

/// Place of the first enabled byte in its DW; 0 if there is none.
#[pure]
pub fn first_offset(be: V) -> V {
    if be.bit(0) {
        sized(0, 2)
    } else if be.bit(1) {
        1
    } else if be.bit(2) {
        2
    } else if be.bit(3) {
        3
    } else {
        0
    }
}

/// `keep` for the last beat of `dws` DWs of payload.
#[pure]
pub fn last_keep(dws: V) -> V {
    match dws.trunc(2) {
        1 => sized(1, 4),
        2 => 3,
        3 => 7,
        _ => 15,
    }
}
