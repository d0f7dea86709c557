//! The engine of an export: the one thread that owns its controller.
//!
//! It splits requests into commands no longer than the controller takes, keeps as many in flight as the queue holds, and
//! answers a request when its last command is done. While nothing is asked it sleeps; while it waits for the controller
//! it is what clocks a simulated card.

use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use azote_dma::Buffer;
use azote_nvme::{Completion, Controller, Failure, Io};
use azote_regs::nvme::status;

use super::{
    budget::Permit,
    session::Reply,
    stats::Stats,
    wire::{errno, transmission},
};
use crate::Error;

/// The most commands in flight.
const SLOTS: usize = 32;
/// The longest piece that a read or write is split into.
const PIECE: u64 = 128 << 10;
/// The longest piece of a write-zeroes, in blocks: below the 65536 of the command, for media with 16-bit counts.
const ZERO_BLOCKS: u64 = 1 << 15;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Read,
    Write,
    WriteZeroes,
    Flush,
}

/// A checked request.
pub(super) struct Job {
    pub op: Op,
    pub cookie: u64,
    pub offset: u64,
    pub len: u64,
    /// What is written, or room for what is read.
    pub data: Vec<u8>,
    pub permit: Permit,
    pub replies: Sender<Reply>,
}

/// A namespace that clients can take.
pub struct Export {
    /// Its name.
    pub name: String,
    /// Text for people.
    pub description: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its block size.
    pub block: u32,
    /// It can not be written.
    pub read_only: bool,
    pub(super) jobs: Sender<Job>,
}

impl Export {
    /// Starts the engine of a controller's namespace. It ends when the export is dropped and gives the controller back.
    pub fn start(name: &str, description: &str, controller: Controller) -> Result<(Self, Engine), Error> {
        let ns = controller.require_namespace()?;
        let (size, block, read_only) = (ns.bytes(), ns.block_size() as u32, ns.read_only);
        let (jobs, inbox) = channel();
        let mut worker = Worker::new(controller)?;
        let thread = std::thread::Builder::new()
            .name(format!("nbd {name}"))
            .spawn(move || {
                worker.run(&inbox);
                (worker.controller, worker.stats)
            })
            .map_err(|source| Error::Io { what: "starting a thread".into(), source })?;
        let export = Self { name: name.into(), description: description.into(), size, block, read_only, jobs };
        Ok((export, Engine(thread)))
    }

    /// Its transmission flags.
    pub(super) fn flags(&self) -> u16 {
        use transmission::*;
        let writable = if self.read_only { READ_ONLY } else { SEND_WRITE_ZEROES };
        HAS_FLAGS | SEND_FLUSH | CAN_MULTI_CONN | writable
    }
}

/// A running engine.
pub struct Engine(JoinHandle<(Controller, Stats)>);

impl Engine {
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
}

/// A command in flight.
#[derive(Clone, Copy, Default)]
struct Piece {
    active: usize,
    at: u64,
    len: u64,
    since: Duration,
}

struct Worker {
    controller: Controller,
    buffer: Buffer,
    piece: u64,
    block: u64,
    pieces: Vec<Piece>,
    free: Vec<usize>,
    active: Vec<Option<Active>>,
    /// Jobs with something left to issue, oldest first.
    queue: VecDeque<usize>,
    /// The controller is beyond recovery.
    dead: bool,
    stats: Stats,
}

impl Worker {
    fn new(controller: Controller) -> Result<Self, Error> {
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
            queue: VecDeque::new(),
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
        let active = Active { job, issued: 0, pending: 0, error: 0, complete };
        let i = self.active.iter().position(Option::is_none).unwrap_or_else(|| {
            self.active.push(None);
            self.active.len() - 1
        });
        self.active[i] = Some(active);
        if complete || self.dead {
            self.fail(i, if self.dead { errno::EIO } else { 0 });
        } else {
            self.queue.push_back(i);
        }
    }

    /// Makes commands while there is room.
    fn issue(&mut self) {
        while let Some(&i) = self.queue.front()
            && let Some(&slot) = self.free.last()
            && !self.controller.is_full(0)
        {
            match self.issue_piece(i, slot) {
                Ok(more) => {
                    self.free.pop();
                    if !more {
                        self.queue.pop_front();
                    }
                }
                Err(e) => {
                    tracing::error!("{e}");
                    self.queue.pop_front();
                    self.fail(i, errno::EIO);
                }
            }
        }
        if let Err(e) = self.controller.ring(0) {
            self.give_up(&e);
        }
    }

    /// Makes the next command of a job; whether there are more.
    fn issue_piece(&mut self, i: usize, slot: usize) -> Result<bool, Error> {
        let Some(active) = self.active.get_mut(i).and_then(Option::as_mut) else {
            return Err(Error::Bug("a queued job that does not exist"));
        };
        let job = &active.job;
        let left = job.len - active.issued;
        let len = match job.op {
            Op::Read | Op::Write => left.min(self.piece),
            Op::WriteZeroes => left.min(ZERO_BLOCKS * self.block),
            Op::Flush => 0,
        };
        let lba = (job.offset + active.issued) / self.block;
        let place = slot as u64 * self.piece;
        let io = match job.op {
            Op::Read => Io::Read { lba, data: self.buffer.slice(place, len)? },
            Op::Write => {
                let from = active.issued as usize;
                self.buffer.write(place, &job.data[from..from + len as usize])?;
                Io::Write { lba, data: self.buffer.slice(place, len)? }
            }
            Op::WriteZeroes => Io::WriteZeroes { lba, blocks: len / self.block },
            Op::Flush => Io::Flush,
        };
        self.controller.push(0, io, slot as u64)?;
        let since = self.controller.function().now();
        self.pieces[slot] = Piece { active: i, at: active.issued, len, since };
        active.issued += len;
        active.pending += 1;
        active.complete = active.issued == active.job.len || active.job.op == Op::Flush;
        Ok(!active.complete)
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
                Op::WriteZeroes | Op::Flush => {}
            },
            Err(failure) => {
                tracing::warn!("{:?} at {:#x}: {failure}", active.job.op, active.job.offset + piece.at);
                active.error = number(failure);
            }
        }
        if active.pending == 0 && (active.complete || active.error != 0) {
            self.queue.retain(|&i| i != piece.active);
            self.reply(piece.active);
        }
    }

    /// Ends a job of which nothing is in flight; of one with commands in flight, issues no more.
    fn fail(&mut self, i: usize, error: u32) {
        if let Some(active) = self.active.get_mut(i).and_then(Option::as_mut) {
            active.error = if error == 0 { active.error } else { error };
            active.complete = true;
            if active.pending == 0 {
                self.reply(i);
            }
        }
    }

    fn reply(&mut self, i: usize) {
        let Some(Active { job, error, .. }) = self.active.get_mut(i).and_then(Option::take) else { return };
        self.stats.errors += u64::from(error != 0);
        let data = if job.op == Op::Read { job.data } else { Vec::new() };
        // A client that went away does not hear it.
        let _ = job.replies.send(Reply { cookie: job.cookie, error, data, permit: job.permit });
    }

    /// Fails everything, now and from now on: the controller could not be brought back.
    fn give_up(&mut self, error: &dyn std::fmt::Display) {
        tracing::error!("the export is out of order: {error}");
        self.dead = true;
        self.queue.clear();
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
