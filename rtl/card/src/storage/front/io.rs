//! I/O commands (NVMe 6): what each is, what is wrong with it, what it costs.

use azote_hdl::prelude::*;
use azote_regs::media;
use azote_regs::nvme::{entry, opcode, status};

use crate::storage::terms::Kind;
use crate::storage::verdict::{Verdict, fault, wrong};

/// Whether a command moves data of its own: not a list.
#[pure]
pub fn moves(opc: V) -> V {
    (opc == opcode::READ) | (opc == opcode::WRITE) | (opc == opcode::COMPARE)
}

/// Whether it changes blocks.
#[pure]
fn changes(opc: V) -> V {
    (opc == opcode::WRITE) | (opc == opcode::WRITE_ZEROES) | (opc == opcode::DATASET)
}

/// Whether it names blocks by LBA and number.
#[pure]
fn has_range(opc: V) -> V {
    moves(opc) | (opc == opcode::WRITE_ZEROES) | (opc == opcode::VERIFY)
}

/// What is wrong with a command. `plain`: it is not fused, with PRPs; `ours`: its namespace is there; `whole`: it is no larger than a transfer
/// may be; `fits`: its blocks are the namespace's; `hints`: it does nothing but hint; `read_only`: the namespace is.
#[pure]
pub fn verdict(opc: V, plain: V, ours: V, whole: V, fits: V, hints: V, read_only: V) -> V {
    let known = has_range(opc) | (opc == opcode::FLUSH) | (opc == opcode::DATASET);
    if !known {
        sized(wrong(status::INVALID_OPCODE, entry::SQE_CDW0, 0), Verdict::WIDTH)
    } else if !plain {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW0 + 1, 0), Verdict::WIDTH)
    } else if !ours {
        sized(wrong(status::INVALID_NAMESPACE, entry::SQE_NSID, 0), Verdict::WIDTH)
    } else if moves(opc) & !whole {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW12, 0), Verdict::WIDTH)
    } else if has_range(opc) & !fits {
        sized(wrong(status::LBA_OUT_OF_RANGE, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if changes(opc) & read_only & !hints {
        sized(fault(status::WRITE_PROTECTED), Verdict::WIDTH)
    } else {
        0
    }
}

/// What the statistics count it as.
#[pure]
pub fn kind_of(opc: V) -> V {
    match opc {
        opcode::WRITE => sized(Kind::WRITE, 2),
        opcode::READ | opcode::COMPARE => Kind::READ,
        _ => Kind::OTHER,
    }
}

/// The medium's operation, of a command that is no read. `deac`: blocks of zeroes may be given back.
#[pure]
pub fn media_op(opc: V, deac: V) -> V {
    let zeroes = if deac { sized(media::DEALLOCATE, 4) } else { media::ZEROES };
    match opc {
        opcode::FLUSH => sized(media::FLUSH, 4),
        opcode::WRITE_ZEROES => zeroes,
        opcode::COMPARE => media::COMPARE,
        opcode::VERIFY => media::VERIFY,
        opcode::DATASET => media::RANGES,
        _ => media::WRITE,
    }
}

/// What a command costs its function's limit, in blocks; of a long one the first part.
#[pure]
pub fn cost(page: V, op: V, dws: V, blocks: V) -> V {
    let of_page = (dws.zext(17) + 127).bits(16, 7).zext(12);
    let listed = cat(dws.bits(10, 2), sized(0, 3));
    let long = if blocks > media::LONG_BLOCKS { sized(media::LONG_BLOCKS, 12) } else { blocks.trunc(12) };
    let of_op = match op {
        media::FLUSH => sized(0, 12),
        media::DEALLOCATE => sized(8, 12),
        media::RANGES => listed,
        _ => long,
    };
    if page { of_page } else { of_op }
}
