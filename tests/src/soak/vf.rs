//! A VF with its driver, and the model of it: a plain array of bytes.
//!
//! Every byte that a read brings is compared, and the bytes around it must be untouched. A write that was cut off in flight may
//! have happened or not, block by block; nothing else may.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use azote_dma::Buffer;
use azote_nvme::{Command, Completions, Controller, Data, Io, Options as NvmeOptions};
use azote_regs::nvme::{command as cmd, limits, opcode, status};
use azote_sim::{Card, MediaOptions};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::{IndexedMutRandom, IndexedRandom, SliceRandom};

use super::phase::Phase;
use crate::rig;

/// Size of each VF.
pub const BLOCKS: u64 = 3000;
/// Size of each volume: a VF has one half of it at a time.
pub const VOLUME: u64 = 2 * BLOCKS;
/// I/O queues of a VF.
pub const QUEUES: usize = 2;
/// How long drivers wait for anything before they say that it does not come, in the clocks of the simulation (a microsecond each):
/// longer than a time-out of the card.
const PATIENCE: Duration = Duration::from_secs(4);
/// Buffers of a VF.
pub const SLOTS: usize = 12;
/// Room of a buffer slot: the largest transfer, an offset of up to a page, and guards.
pub const SLOT: u64 = limits::MAX_TRANSFER + 3 * 4096;
pub const GUARD: u64 = 64;

/// What is in flight.
#[derive(Debug)]
pub enum Op {
    Read {
        lba: u64,
        blocks: u64,
        slot: usize,
        at: u64,
    },
    Write {
        lba: u64,
        blocks: u64,
        slot: usize,
        data: Vec<u8>,
    },
    Flush,
    /// Compare or Verify: changes nothing.
    Look {
        lba: u64,
        blocks: u64,
        slot: usize,
        want: u64,
    },
    Bad {
        want: u64,
    },
}

impl Op {
    pub fn range(&self) -> Option<(u64, u64)> {
        match self {
            Op::Read { lba, blocks, .. } | Op::Write { lba, blocks, .. } | Op::Look { lba, blocks, .. } => {
                Some((*lba, lba + blocks))
            }
            _ => None,
        }
    }
    pub fn slot(&self) -> Option<usize> {
        match self {
            Op::Read { slot, .. } => Some(*slot),
            Op::Write { slot, .. } | Op::Look { slot, .. } if *slot < SLOTS => Some(*slot),
            _ => None,
        }
    }
}

/// A command in flight.
#[derive(Debug)]
pub struct Flight {
    pub op: Op,
    pub queue: usize,
    /// When it was sent, in clocks.
    pub since: u64,
    /// What an Abort of it said: that it is aborted. The medium may have done it all the same.
    pub aborted: bool,
}

/// A VF, its driver and its model.
pub struct Vf {
    pub index: u8,
    pub path: PathBuf,
    pub nvme: Option<Controller>,
    pub buffer: Buffer,
    pub model: Vec<u8>,
    /// Which half of its volume it has, as the first block of it.
    pub base: u64,
    pub flying: BTreeMap<u64, Flight>,
    pub free: Vec<usize>,
    pub next: u64,
    pub done: u64,
    pub card: Card,
    pub phase: Phase,
    /// When the deletion of a submission queue was asked for that has not ended.
    pub deleting: [Option<u64>; QUEUES],
    /// The volume answers nothing from the first clock on, until the second.
    pub stuck: (u64, u64),
    pub is_stuck: bool,
    /// Commands that were in flight when it was last bound.
    pub before: Vec<u64>,
    /// What became of things, to be told at the end.
    pub seen: Seen,
}

/// What happened to commands.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub late: u64,
    pub aborted: u64,
    pub cut: u64,
}

pub fn open(card: &Card, vf: u8) -> (Controller, Buffer) {
    let completions = if vf == 0 { Completions::Polled } else { Completions::Interrupts };
    let options = NvmeOptions { completions, io_queues: 2, depth: 16, timeout: PATIENCE, ..NvmeOptions::default() };
    let nvme =
        rig::controller(card, vf, 4 << 20, options).unwrap_or_else(|e| panic!("VF {vf}: it does not start: {e}"));
    let buffer = nvme.dma().alloc(SLOT * SLOTS as u64, 4096).unwrap();
    (nvme, buffer)
}

impl Vf {
    /// The driver.
    pub fn nvme(&mut self) -> &mut Controller {
        self.nvme.as_mut().unwrap()
    }

    /// Clocks of the card.
    pub fn now(&self) -> u64 {
        self.card.clocks()
    }

    /// How its volume behaves from now on.
    pub fn medium(&mut self, change: impl FnOnce(MediaOptions) -> MediaOptions) {
        let mut root = self.card.root();
        let now = change(root.media().volume_options(self.index));
        root.media().set_volume_options(self.index, Some(now));
    }

    /// The blocks of the volume that a command's are.
    pub fn place(&self, lba: u64) -> usize {
        ((self.base + lba) * 512) as usize
    }

    fn clear_of_others(&self, lba: u64, blocks: u64) -> bool {
        self.flying.values().filter_map(|f| f.op.range()).all(|(a, b)| lba + blocks <= a || b <= lba)
    }

    /// One command of any sort, if there is room for it.
    pub fn submit(&mut self, rng: &mut SmallRng) {
        let queue = rng.random_range(0..QUEUES);
        if self.deleting[queue].is_some() || self.nvme().is_full(queue) {
            return;
        }
        let user = self.next;
        let kind = rng.random_range(0..100);
        let blocks = if rng.random_bool(0.6) { rng.random_range(1..=16) } else { rng.random_range(1..=256) };
        let lba = rng.random_range(0..BLOCKS - blocks);
        if kind < 90 && !self.clear_of_others(lba, blocks) {
            return;
        }
        let op = match kind {
            0..=79 => {
                let Some(slot) = self.free.pop() else { return };
                let at = GUARD + if rng.random_bool(0.5) { 4096 - GUARD } else { 4 * rng.random_range(0..1024) };
                let base = slot as u64 * SLOT;
                let slice = self.buffer.slice(base + at, blocks * 512).unwrap();
                if kind < 45 {
                    let around = vec![0xc3; (blocks * 512 + 2 * GUARD) as usize];
                    self.buffer.write(base + at - GUARD, &around).unwrap();
                    self.nvme().submit(queue, Io::Read { lba, data: slice }, user).unwrap();
                    Op::Read { lba, blocks, slot, at }
                } else {
                    let data: Vec<u8> = (0..blocks * 512).map(|_| rng.random()).collect();
                    self.buffer.write(base + at, &data).unwrap();
                    self.nvme().submit(queue, Io::Write { lba, data: slice }, user).unwrap();
                    Op::Write { lba, blocks, slot, data }
                }
            }
            80..=87 => {
                let Some(op) = self.uncommon(rng, queue, lba, blocks) else { return };
                op
            }
            88..=89 => {
                self.nvme().submit(queue, Io::Flush, user).unwrap();
                Op::Flush
            }
            _ => {
                let (command, want) = bad(rng, self.buffer.iova());
                self.nvme().submit_command(queue, command, user).unwrap();
                Op::Bad { want }
            }
        };
        self.flying.insert(user, Flight { op, queue, since: self.now(), aborted: false });
        self.next += 1;
    }

    /// Write Zeroes, with blocks given back or not, Dataset Management, Compare, Verify.
    fn uncommon(&mut self, rng: &mut SmallRng, queue: usize, lba: u64, blocks: u64) -> Option<Op> {
        let user = self.next;
        let zero = vec![0; (blocks * 512) as usize];
        let command = |opcode: u64, flags: u64, data: Data| {
            let cdw = [lba as u32, 0, ((blocks - 1) | flags) as u32, 0, 0, 0];
            Command { opcode: opcode as u8, nsid: 1, cdw, data }
        };
        match rng.random_range(0..4) {
            0 => {
                let flags = cmd::RW_DEAC.put(rng.random_range(0..2)) | cmd::RW_FUA.put(rng.random_range(0..2));
                self.nvme().submit_command(queue, command(opcode::WRITE_ZEROES, flags, Data::None), user).unwrap();
                Some(Op::Write { lba, blocks, slot: SLOTS, data: zero })
            }
            1 => {
                self.nvme().submit_command(queue, command(opcode::VERIFY, 0, Data::None), user).unwrap();
                Some(Op::Look { lba, blocks, slot: SLOTS, want: status::SUCCESS })
            }
            2 => {
                let slot = self.free.pop()?;
                let base = slot as u64 * SLOT + 4 * rng.random_range(0..1024);
                let mut data = self.model[self.place(lba)..][..zero.len()].to_vec();
                let differs = rng.random();
                if differs {
                    *data.choose_mut(rng)? ^= 1 << rng.random_range(0..8);
                }
                self.buffer.write(base, &data).unwrap();
                let slice = self.buffer.slice(base, blocks * 512).unwrap();
                self.nvme().submit_command(queue, command(opcode::COMPARE, 0, Data::Slice(slice)), user).unwrap();
                let want = if differs { status::COMPARE_FAILURE } else { status::SUCCESS };
                Some(Op::Look { lba, blocks, slot, want })
            }
            _ => {
                // The blocks in a few pieces, in any order.
                let slot = self.free.pop()?;
                let base = slot as u64 * SLOT + 4096 - cmd::RANGE_SIZE * rng.random_range(0..4);
                let mut cuts: Vec<u64> = (0..rng.random_range(0..6)).map(|_| rng.random_range(0..=blocks)).collect();
                cuts.extend([0, blocks]);
                cuts.sort_unstable();
                let mut ranges: Vec<_> = cuts.windows(2).map(|w| (lba + w[0], w[1] - w[0])).collect();
                ranges.shuffle(rng);
                for (i, (first, length)) in (0..).zip(&ranges) {
                    let at = base + cmd::RANGE_SIZE * i;
                    self.buffer.write_u64(at, cmd::RANGE_LENGTH.put(*length)).unwrap();
                    self.buffer.write_u64(at + cmd::RANGE_SLBA, *first).unwrap();
                }
                let count = ranges.len() as u64;
                let slice = self.buffer.slice(base, cmd::RANGE_SIZE * count).unwrap();
                let cdw = [cmd::DATASET_NR.put(count - 1) as u32, cmd::DATASET_AD.put(1) as u32, 0, 0, 0, 0];
                let list = Command { opcode: opcode::DATASET as u8, nsid: 1, cdw, data: Data::Slice(slice) };
                self.nvme().submit_command(queue, list, user).unwrap();
                Some(Op::Write { lba, blocks, slot, data: zero })
            }
        }
    }

    /// A few commands at once.
    pub fn load(&mut self, rng: &mut SmallRng) {
        for _ in 0..rng.random_range(1..8) {
            self.submit(rng);
        }
    }
}

/// A command that must fail, and how.
fn bad(rng: &mut SmallRng, iova: u64) -> (Command, u64) {
    let rw = *[opcode::READ, opcode::WRITE].choose(rng).unwrap() as u8;
    let good = Command { opcode: rw, nsid: 1, cdw: [0, 0, 7, 0, 0, 0], data: Data::Prps(iova, iova + 4096) };
    match rng.random_range(0..8) {
        0 => (Command { opcode: 0x55, ..good }, status::INVALID_OPCODE),
        1 => (Command { nsid: *[0, 2, 0xffff_ffff, 77].choose(rng).unwrap(), ..good }, status::INVALID_NAMESPACE),
        2 => (Command { cdw: [BLOCKS as u32 - 7, 0, 7, 0, 0, 0], ..good }, status::LBA_OUT_OF_RANGE),
        3 => (Command { cdw: [0, 1 << 31, 7, 0, 0, 0], ..good }, status::LBA_OUT_OF_RANGE),
        4 => (Command { cdw: [0, 0, 256, 0, 0, 0], ..good }, status::INVALID_FIELD),
        5 => (Command { data: Data::Prps(iova + 2, iova + 4096), ..good }, status::PRP_OFFSET),
        // Two pages, and the second not at its beginning.
        6 => (Command { data: Data::Prps(iova + 2048, iova + 4096 + 8), ..good }, status::PRP_OFFSET),
        // A list that is not where entries can be.
        _ => (Command { cdw: [0, 0, 63, 0, 0, 0], data: Data::Prps(iova, iova + 4), ..good }, status::PRP_OFFSET),
    }
}
