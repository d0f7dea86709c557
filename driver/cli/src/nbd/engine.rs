//! The engine of an export: the one thread that owns its controller.
//!
//! It splits requests into commands no longer than the controller takes, keeps as many in flight as the queue holds, gives its
//! clients turns, and answers a request when its last command is done. While nothing is asked it sleeps; while it waits for the controller
//! it is what clocks a simulated card.

use std::{sync::mpsc::Receiver, thread::JoinHandle, time::Duration};

use azote_dma::Buffer;
use azote_nvme::{Completion, Controller, Failure, Io, Range};
use azote_regs::nvme::status;

use super::{
    job::{Body, Job, Op, Reply},
    stats::Stats,
    turns::{Client, Turns},
    wire::errno,
};
use crate::Error;

/// The most commands in flight.
const SLOTS: usize = 32;
/// The longest piece that a read or write is split into.
const PIECE: u64 = 128 << 10;
/// The longest piece of a write-zeroes, in blocks: below the 65536 of the command, for media with 16-bit counts.
const ZERO_BLOCKS: u64 = 1 << 15;
/// The most blocks that one range of Dataset Management gives back, whole pages of any size.
const TRIM_BLOCKS: u64 = 1 << 31;

/// A running engine.
pub struct Engine(JoinHandle<(Controller, Stats)>);

impl Engine {
    /// Starts the thread of a worker. It ends when nobody can ask it any more.
    pub(super) fn start(name: &str, mut worker: Worker, inbox: Receiver<Job>) -> Result<Self, Error> {
        let thread = std::thread::Builder::new().name(format!("nbd {name}")).spawn(move || {
            worker.run(&inbox);
            (worker.controller, worker.stats)
        });
        thread.map(Self).map_err(|source| Error::Io { what: "starting a thread".into(), source })
    }

    /// Waits for its end: after its export was dropped and the last request answered.
    pub fn join(self) -> Result<(Controller, Stats), Error> {
        self.0.join().map_err(|_| Error::Bug("an NBD engine ended in a panic"))
    }
}

/// A job in progress.
struct Active {
    job: Job,
    /// Bytes of it that commands were made for.
    issued: u64,
    /// Commands in flight.
    pending: usize,
    error: u32,
    /// Nothing is left to issue.
    complete: bool,
    /// A flush follows the last of its commands: they are to be durable, and did not make themselves so.
    flush: bool,
}

/// A command in flight.
#[derive(Clone, Copy, Default)]
struct Piece {
    client: Client,
    active: usize,
    at: u64,
    len: u64,
    /// Bytes that move for it.
    moves: u64,
    since: Duration,
}

pub(super) struct Worker {
    controller: Controller,
    buffer: Buffer,
    piece: u64,
    block: u64,
    pieces: Vec<Piece>,
    free: Vec<usize>,
    active: Vec<Option<Active>>,
    /// Jobs with something left to issue.
    turns: Turns,
    /// The controller is beyond recovery.
    dead: bool,
    stats: Stats,
}

impl Worker {
    pub fn new(controller: Controller) -> Result<Self, Error> {
        let slots = SLOTS.min(controller.depth());
        let piece = PIECE.min(controller.max_transfer());
        Ok(Self {
            buffer: controller.dma().alloc(slots as u64 * piece, 4096)?,
            block: controller.require_namespace()?.block_size(),
            controller,
            piece,
            pieces: vec![Piece::default(); slots],
            free: (0..slots).rev().collect(),
            active: Vec::new(),
            turns: Turns::default(),
            dead: false,
            stats: Stats::default(),
        })
    }

    fn run(&mut self, inbox: &Receiver<Job>) {
        loop {
            if self.is_idle() {
                match inbox.recv() {
                    Ok(job) => self.admit(job),
                    Err(_) => return,
                }
            }
            while let Ok(job) = inbox.try_recv() {
                self.admit(job);
            }
            self.issue();
            self.reap();
        }
    }

    fn is_idle(&self) -> bool {
        self.active.iter().all(Option::is_none)
    }

    fn admit(&mut self, job: Job) {
        let complete = job.op != Op::Flush && job.len == 0;
        // One command can be durable by itself. A flush after several is one sync in place of many, and Dataset Management
        // knows no other way.
        let flush = job.fua && (job.op == Op::Trim || job.op.writes() && job.len > self.longest(job.op));
        let client = job.client;
        let active = Active { job, issued: 0, pending: 0, error: 0, complete, flush: flush && !complete };
        let i = self.active.iter().position(Option::is_none).unwrap_or_else(|| {
            self.active.push(None);
            self.active.len() - 1
        });
        self.active[i] = Some(active);
        if complete || self.dead {
            self.fail(i, if self.dead { errno::EIO } else { 0 });
        } else {
            self.turns.push(client, i);
        }
    }

    /// The most bytes that one command takes.
    fn longest(&self, op: Op) -> u64 {
        match op {
            Op::Read | Op::Write => self.piece,
            Op::Trim if self.controller.identity().dataset => TRIM_BLOCKS * self.block,
            Op::Zeroes { .. } | Op::Trim => ZERO_BLOCKS * self.block,
            Op::Flush => 0,
        }
    }

    /// Makes commands while there is room.
    fn issue(&mut self) {
        while let Some(&slot) = self.free.last()
            && !self.controller.is_full(0)
            && let Some(i) = self.turns.next()
        {
            match self.issue_piece(i, slot) {
                Ok(()) => {
                    self.free.pop();
                }
                Err(e) => {
                    tracing::error!("{e}");
                    self.fail(i, errno::EIO);
                }
            }
        }
        if let Err(e) = self.controller.ring(0) {
            self.give_up(&e);
        }
    }

    /// Makes the next command of a job.
    fn issue_piece(&mut self, i: usize, slot: usize) -> Result<(), Error> {
        let Some(Active { job, issued, flush, .. }) = self.active.get(i).and_then(Option::as_ref) else {
            return Err(Error::Bug("a queued job that does not exist"));
        };
        let client = job.client;
        // All of the job's own commands are done, and it is queued once more: for its flush.
        let flushes = job.op == Op::Flush || *issued == job.len;
        let len = if flushes { 0 } else { (job.len - issued).min(self.longest(job.op)) };
        let (lba, blocks) = ((job.offset + issued) / self.block, len / self.block);
        let place = slot as u64 * self.piece;
        let fua = job.fua && !flush;
        let io = match job.op {
            _ if flushes => Io::Flush,
            Op::Read => Io::Read { lba, data: self.buffer.slice(place, len)? },
            Op::Write => {
                let from = *issued as usize;
                self.buffer.write(place, &job.data[from..from + len as usize])?;
                let data = self.buffer.slice(place, len)?;
                if fua { Io::WriteFua { lba, data } } else { Io::Write { lba, data } }
            }
            Op::Trim if self.controller.identity().dataset => {
                self.buffer.write(place, &Range { lba, blocks: blocks as u32 }.bytes())?;
                Io::Deallocate { lba, blocks, list: self.buffer.slice(place, Range::SIZE)? }
            }
            Op::Trim => Io::WriteZeroes { lba, blocks, deallocate: true, fua },
            Op::Zeroes { hole } => Io::WriteZeroes { lba, blocks, deallocate: hole, fua },
            Op::Flush => Io::Flush,
        };
        self.controller.push(0, io, slot as u64)?;
        let since = self.controller.function().now();
        if let Some(active) = self.active.get_mut(i).and_then(Option::as_mut) {
            let moves = if matches!(active.job.op, Op::Read | Op::Write) { len } else { 0 };
            self.pieces[slot] = Piece { client, active: i, at: active.issued, len, moves, since };
            active.issued += len;
            active.pending += 1;
            active.complete = active.issued == active.job.len || flushes;
            active.flush &= !flushes;
            self.turns.issued(client, moves);
            if active.complete {
                self.turns.remove(client, i);
            }
        }
        Ok(())
    }

    /// Waits for a completion, then takes all that are there.
    fn reap(&mut self) {
        if self.free.len() == self.pieces.len() {
            return;
        }
        let resets = self.controller.resets();
        let mut next = self.controller.wait(0).map(Some);
        loop {
            match next {
                Ok(Some(completion)) => self.finish(completion),
                Ok(None) => return,
                // The controller was reset: what was in flight follows as failed.
                Err(e) if self.controller.resets() != resets => return tracing::warn!("{e}"),
                Err(e) => return self.give_up(&e),
            }
            next = self.controller.poll(0);
        }
    }

    fn finish(&mut self, completion: Completion) {
        let slot = completion.user as usize;
        let Some(&piece) = self.pieces.get(slot) else { return };
        self.free.push(slot);
        self.turns.ended(piece.client, piece.moves);
        self.stats.commands += 1;
        self.stats.latency.add(self.controller.function().now().saturating_sub(piece.since));
        let Some(active) = self.active.get_mut(piece.active).and_then(Option::as_mut) else { return };
        active.pending -= 1;
        match completion.result {
            Ok(_) => match active.job.op {
                Op::Read => {
                    let (from, to) = (piece.at as usize, (piece.at + piece.len) as usize);
                    if self.buffer.read(slot as u64 * self.piece, &mut active.job.data[from..to]).is_err() {
                        active.error = errno::EIO;
                    }
                    self.stats.bytes_read += piece.len;
                }
                Op::Write => self.stats.bytes_written += piece.len,
                Op::Zeroes { .. } | Op::Trim | Op::Flush => {}
            },
            Err(failure) => {
                tracing::warn!("{:?} at {:#x}: {failure}", active.job.op, active.job.offset + piece.at);
                active.error = number(failure);
            }
        }
        if active.error != 0 {
            // No more of it.
            (active.complete, active.flush) = (true, false);
            self.turns.remove(piece.client, piece.active);
        }
        if active.pending == 0 && active.complete {
            if active.flush {
                active.complete = false;
                self.turns.push_first(piece.client, piece.active);
            } else {
                self.reply(piece.active);
            }
        }
    }

    /// Ends a job of which nothing is in flight; of one with commands in flight, issues no more.
    fn fail(&mut self, i: usize, error: u32) {
        if let Some(active) = self.active.get_mut(i).and_then(Option::as_mut) {
            active.error = if error == 0 { active.error } else { error };
            (active.complete, active.flush) = (true, false);
            self.turns.remove(active.job.client, i);
            if active.pending == 0 {
                self.reply(i);
            }
        }
    }

    fn reply(&mut self, i: usize) {
        let Some(Active { job, error, .. }) = self.active.get_mut(i).and_then(Option::take) else { return };
        self.stats.errors += u64::from(error != 0);
        let result = match (error, job.op) {
            (0, Op::Read) => Ok(Body::Data { offset: job.offset, data: job.data, whole: job.whole }),
            (0, _) => Ok(Body::Done),
            (error, _) => Err(error),
        };
        // A client that went away does not hear it.
        let _ = job.replies.send(Reply { cookie: job.cookie, result, permit: job.permit });
    }

    /// Fails everything, now and from now on: the controller could not be brought back.
    fn give_up(&mut self, error: &dyn std::fmt::Display) {
        tracing::error!("the export is out of order: {error}");
        self.dead = true;
        self.turns.clear();
        // Their memory stays with the controller, which may still write to it.
        self.pieces.clear();
        self.free.clear();
        for i in 0..self.active.len() {
            if let Some(active) = &mut self.active[i] {
                active.pending = 0;
                self.fail(i, errno::EIO);
            }
        }
    }
}

/// The NBD error of a failed command.
fn number(failure: Failure) -> u32 {
    match failure {
        Failure::Status(s) => match s.code() {
            status::LBA_OUT_OF_RANGE | status::CAPACITY_EXCEEDED => errno::ENOSPC,
            status::READ_ONLY | status::WRITE_PROTECTED | status::ACCESS_DENIED => errno::EPERM,
            _ => errno::EIO,
        },
        Failure::Aborted | Failure::Reset => errno::EIO,
    }
}
