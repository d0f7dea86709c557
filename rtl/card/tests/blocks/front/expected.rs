//! What must become of a command: the order of checks written down in Rust, and then the way it goes.

use azote_regs::media;
use azote_regs::nvme::{command as cmd, entry, limits, opcode, status};
use azote_rtl::storage::terms::{Kind, Next};

use super::commands::{Command, Volume};

/// What admin makes of a command: what comes next, status, DW 0, DWs of a page, place of what is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    pub next: u64,
    pub status: u64,
    pub dw0: u64,
    pub dws: u64,
    pub location: u64,
}

/// What the world outside sees of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// `(status, DW 0, released)`.
    pub done: Option<(u64, u64, bool)>,
    /// It began in the books: `(pieces, with a tag of those set aside)`; with its first request if it is a read.
    pub begun: Option<(u64, bool)>,
    /// The volume that is asked: `(fua, volume, lba, blocks)`.
    pub media: Option<(bool, u64, u64, u64)>,
    /// The writer's operation.
    pub writer: Option<u64>,
    /// Pieces, for the medium or of a page: `(first page, second page if it needs one, DW, DWs)`.
    pub pieces: Vec<(u64, Option<u64>, u64, u64)>,
    pub page: bool,
    /// What the statistics count: `(kind, lba)` of its end, `(write, blocks)` of its data.
    pub opened: Option<(u64, u64)>,
    pub counted: Option<(bool, u64)>,
    /// What the error log is told: `(byte of the entry, or none; lba)`.
    pub refused: Option<(u64, u64)>,
    /// `(address, DWs, last)`.
    pub segments: Vec<(u64, u64, bool)>,
    /// Of the tags that were put aside for it, and whether they are those for admin commands: what it needs of them, by all that was
    /// told. What it pays in blocks.
    pub settled: Option<(bool, u64)>,
    pub paid: Option<u64>,
    /// Its binding is in use when the front is through with it.
    pub used: bool,
    pub fatal: bool,
}

/// The order of checks of the module's page, and then where the command goes.
pub fn expected(c: &Command, v: &Volume) -> Outcome {
    const NONE: u64 = 0xffff;
    let settled = Some((false, 0));
    let refuse = |code, at| Outcome {
        done: Some((code, 0, false)),
        refused: Some((at, c.lba)),
        settled: Some((false, 0)),
        ..Outcome::default()
    };
    let (read, write, compare) = (c.opcode == opcode::READ, c.opcode == opcode::WRITE, c.opcode == opcode::COMPARE);
    let (flush, zeroes) = (c.opcode == opcode::FLUSH, c.opcode == opcode::WRITE_ZEROES);
    let (verify, dataset) = (c.opcode == opcode::VERIFY, c.opcode == opcode::DATASET);
    let scale = if v.big { 8 } else { 1 };
    let blocks = (c.nlb + 1) * scale;
    if !(read || write || compare || flush || zeroes || verify || dataset) {
        return refuse(status::INVALID_OPCODE, entry::SQE_CDW0);
    }
    if c.fuse != 0 || c.psdt != 0 {
        return refuse(status::INVALID_FIELD, entry::SQE_CDW0 + 1);
    }
    let ours = c.nsid == limits::NSID || flush && c.nsid == limits::NSID_ALL;
    if !(ours && v.bound) {
        return refuse(status::INVALID_NAMESPACE, entry::SQE_NSID);
    }
    if dataset && !cmd::DATASET_AD.is_set(c.lba >> 32) {
        return Outcome { done: Some((status::SUCCESS, 0, false)), settled, ..Outcome::default() };
    }
    if (read || write || compare) && blocks > limits::MAX_BLOCKS {
        return refuse(status::INVALID_FIELD, entry::SQE_CDW12);
    }
    let first = u128::from(c.lba) * u128::from(scale);
    if !flush && !dataset && first + u128::from(blocks) > v.length.into() {
        return refuse(status::LBA_OUT_OF_RANGE, entry::SQE_CDW10);
    }
    if (write || zeroes || dataset) && v.read_only {
        return refuse(status::WRITE_PROTECTED, NONE);
    }
    let fua = c.fua || v.through;
    let at = v.base.wrapping_add(first as u64) & ((1 << 48) - 1);
    let kind = if write {
        Kind::WRITE
    } else if read || compare {
        Kind::READ
    } else {
        Kind::OTHER
    };
    let opened = Some((kind, c.lba & ((1 << 48) - 1)));
    let media = Some(if dataset { (fua, v.id, v.base, v.length) } else { (fua, v.id, at, blocks) });
    let started = |pieces, blocks| Outcome {
        begun: Some((pieces, false)),
        media,
        opened,
        counted: (kind != Kind::OTHER).then_some((write, blocks)),
        settled: Some((false, pieces)),
        paid: Some(blocks),
        used: true,
        ..Outcome::default()
    };
    if flush || zeroes || verify {
        let (op, pays) = match (flush, zeroes) {
            (true, _) => (media::FLUSH, 0),
            (_, true) if c.deallocate => (media::DEALLOCATE, 8),
            (_, true) => (media::ZEROES, blocks.min(media::LONG_BLOCKS)),
            _ => (media::VERIFY, blocks.min(media::LONG_BLOCKS)),
        };
        return Outcome { writer: Some(op), ..started(1, pays) };
    }
    let dws = if dataset { 4 * ((c.lba & 0xff) + 1) } else { blocks * limits::LBA_SIZE / 4 };
    let Some(pages) = pages(c, dws) else {
        return refuse(status::PRP_OFFSET, entry::SQE_PRP1);
    };
    let blocks = if dataset { 8 * ((c.lba & 0xff) + 1) } else { blocks };
    let start = started(dws.div_ceil(1024), blocks);
    if read {
        return Outcome { pieces: pieces(c, &pages, dws), ..start };
    }
    let head = dws.min(1024 - (c.prp1 & 0xfff) / 4);
    let mut segments = vec![(c.prp1, head, dws == head)];
    if dws > head {
        segments.push((c.prp2, dws - head, true));
    }
    let op = if write {
        media::WRITE
    } else if compare {
        media::COMPARE
    } else {
        media::RANGES
    };
    Outcome { writer: Some(op), segments, ..start }
}

/// The pages of a transfer of two at most, or none if its PRPs are wrong.
fn pages(c: &Command, dws: u64) -> Option<Vec<u64>> {
    let more = dws > 1024 - (c.prp1 & 0xfff) / 4;
    if c.prp1 & 3 != 0 || more && c.prp2 & 0xfff != 0 {
        return None;
    }
    Some(if more { vec![c.prp1 >> 12, c.prp2 >> 12] } else { vec![c.prp1 >> 12] })
}

/// Pieces of 4 KiB of the data. Each names the page in which it goes on, if it does.
fn pieces(c: &Command, pages: &[u64], dws: u64) -> Vec<(u64, Option<u64>, u64, u64)> {
    let at = (c.prp1 & 0xfff) / 4;
    let piece = |i: u64| {
        let n = (dws - 1024 * i).min(1024);
        (pages[i as usize], (at + n > 1024).then(|| pages[i as usize + 1]), at, n)
    };
    (0..dws.div_ceil(1024)).map(piece).collect()
}

/// What becomes of an admin command, of which `m` is made.
pub fn expected_admin(c: &Command, v: &Volume, m: &Made) -> Outcome {
    let failed = (m.status != status::SUCCESS).then_some((m.location, 0));
    let settled = Some((true, 0));
    let with_tag = |blocks| Outcome { settled: Some((true, 1)), paid: Some(blocks), ..Outcome::default() };
    match m.next {
        Next::HOLD => Outcome { done: Some((m.status, m.dw0, true)), settled, ..Outcome::default() },
        Next::KEEP => Outcome { settled, ..Outcome::default() },
        Next::ERASE => Outcome {
            begun: Some((1, true)),
            media: Some((false, v.id, v.base, v.length)),
            writer: Some(media::DEALLOCATE),
            opened: Some((Kind::OTHER, c.lba & ((1 << 48) - 1))),
            used: true,
            ..with_tag(8)
        },
        Next::PAGE => match pages(c, m.dws) {
            None => Outcome {
                done: Some((status::PRP_OFFSET, m.dw0, false)),
                refused: Some((entry::SQE_PRP1, 0)),
                settled,
                ..Outcome::default()
            },
            Some(pages) => Outcome { pieces: pieces(c, &pages, m.dws), page: true, ..with_tag(m.dws.div_ceil(128)) },
        },
        _ => Outcome { done: Some((m.status, m.dw0, false)), refused: failed, settled, ..Outcome::default() },
    }
}
