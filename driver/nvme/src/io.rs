//! I/O: submission, completion and waiting.
//!
//! What `submit` and `poll` go through is inlined into them: a result that can hold an error is as large as the error, and
//! at every call it would go through memory. That is half of an I/O's instructions (`cargo xtask bench driver`).

use std::{collections::VecDeque, fmt, sync::Arc};

use azote_dma::Slice;
use azote_regs::nvme::{command as dw, opcode, status};
use azote_seam::Vector;

use crate::{
    Controller, Error, Result, Status, command,
    entry::{Cqe, Sqe},
    queue::{Queue, Slot},
};

/// An I/O command on the controller's namespace. Data is whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// Read blocks into memory.
    Read {
        /// The first block.
        lba: u64,
        /// Where to.
        data: Slice,
    },
    /// Write blocks from memory.
    Write {
        /// The first block.
        lba: u64,
        /// Where from.
        data: Slice,
    },
    /// Write blocks from memory, past every cache: they are durable when the command completes (Force Unit Access).
    WriteFua {
        /// The first block.
        lba: u64,
        /// Where from.
        data: Slice,
    },
    /// Make blocks zero, without data.
    WriteZeroes {
        /// The first block.
        lba: u64,
        /// How many, at most 65536.
        blocks: u64,
        /// The medium may give their space back.
        deallocate: bool,
        /// They are durably so when the command completes.
        fua: bool,
    },
    /// Give blocks back: what they read as from then on is the controller's to say (zero, on an Azote card). For controllers
    /// with [`crate::Identity::dataset`].
    Deallocate {
        /// The first block.
        lba: u64,
        /// How many, at most 2^32 - 1.
        blocks: u64,
        /// The memory of [`Range::SIZE`] bytes that holds [`Range::bytes`] of the same blocks.
        list: Slice,
    },
    /// Make what was written durable.
    Flush,
}

impl Io {
    const fn name(self) -> &'static str {
        match self {
            Self::Read { .. } => "Read",
            Self::Write { .. } | Self::WriteFua { .. } => "Write",
            Self::WriteZeroes { .. } => "Write Zeroes",
            Self::Deallocate { .. } => "Dataset Management",
            Self::Flush => "Flush",
        }
    }
}

/// A range of Dataset Management, as it lies in memory (NVMe 1.4 §6.7): context attributes, length, first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first block.
    pub lba: u64,
    /// How many.
    pub blocks: u32,
}

impl Range {
    /// Bytes of a range.
    pub const SIZE: u64 = dw::RANGE_SIZE;

    /// It, as the controller reads it.
    #[must_use]
    pub fn bytes(self) -> [u8; Self::SIZE as usize] {
        let first = dw::RANGE_LENGTH.put(self.blocks.into());
        (u128::from(first) | u128::from(self.lba) << (8 * dw::RANGE_SLBA)).to_le_bytes()
    }
}

/// The data pointer of a [`Command`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// None.
    None,
    /// Memory; the driver makes its PRPs.
    Slice(Slice),
    /// PRP1 and PRP2 as they are.
    Prps(u64, u64),
}

/// Any command, unchecked: for tests of a controller and for tools that know more than this driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Its opcode.
    pub opcode: u8,
    /// Its namespace.
    pub nsid: u32,
    /// CDW10 to CDW15.
    pub cdw: [u32; 6],
    /// Its data pointer.
    pub data: Data,
}

impl Command {
    pub(crate) fn into_parts(self) -> (Sqe, Option<Slice>) {
        let mut sqe = Sqe::new(self.opcode.into(), self.nsid.into());
        sqe.cdw = self.cdw.map(Into::into);
        match self.data {
            Data::None => (sqe, None),
            Data::Slice(slice) => (sqe, Some(slice)),
            Data::Prps(a, b) => (sqe.prp(a, b), None),
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The controller says so.
    Status(Status),
    /// It took too long and was aborted.
    Aborted,
    /// The controller was reset while it was in flight; it may or may not have been done.
    Reset,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Aborted => f.write_str("it took too long and was aborted"),
            Self::Reset => f.write_str("the controller was reset while it was in flight"),
        }
    }
}

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// The caller's mark.
    pub user: u64,
    /// DW 0 of the completion, or why there is none.
    pub result: Result<u32, Failure>,
}

/// An I/O queue pair and what it has for the caller.
pub(crate) struct IoQueue {
    pub queue: Queue,
    pub vector: Option<Arc<dyn Vector>>,
    /// Completions that were come upon while something else was done. Never more than the queue has slots and the caller
    /// has not collected, so it grows once at most.
    pub done: VecDeque<Completion>,
}

impl IoQueue {
    pub fn new(queue: Queue) -> Self {
        let done = VecDeque::with_capacity(queue.depth().into());
        Self { queue, vector: None, done }
    }

    /// Ends every command in flight.
    pub fn fail_all(&mut self) {
        for (_, slot) in self.queue.slots().filter(|(_, s)| !s.waited_for) {
            self.done.push_back(Completion { user: slot.user, result: Err(Failure::Reset) });
        }
        self.queue.clear();
    }
}

/// That blocks are the namespace's, and no more than a command takes.
#[inline(always)]
fn inside(size: u64, lba: u64, blocks: u64, most: u64) -> Result<()> {
    if lba.checked_add(blocks).is_some_and(|end| end <= size) && blocks != 0 && blocks <= most {
        Ok(())
    } else {
        Err(Error::OutOfRange { lba, blocks, size })
    }
}

#[inline(always)]
pub(crate) fn completion(cqe: Cqe, slot: Slot) -> Completion {
    let result = if cqe.status.is_success() {
        Ok(cqe.dw0)
    } else if slot.aborting && cqe.status.code() == status::ABORT_REQUESTED {
        Err(Failure::Aborted)
    } else {
        Err(Failure::Status(cqe.status))
    };
    Completion { user: slot.user, result }
}

impl Controller {
    #[inline]
    pub(crate) fn io_queue(&mut self, queue: usize) -> Result<&mut IoQueue> {
        let count = self.queues.len();
        // Not `ok_or`: the error would be made, and dropped, each time.
        match self.queues.get_mut(queue) {
            Some(found) => Ok(found),
            None => Err(Error::NoQueue { queue, count }),
        }
    }

    /// Gives a command to the controller. `user` comes back with its completion.
    ///
    /// The memory behind `io` must be left alone, and its buffer kept, until then.
    pub fn submit(&mut self, queue: usize, io: Io, user: u64) -> Result<()> {
        let (sqe, data) = self.encode(io)?;
        self.push_sqe(queue, sqe, data, Slot { command: Some(io.name()), user, ..Slot::default() })?;
        self.io_queue(queue)?.queue.ring()
    }

    /// Puts a command in the queue without telling the controller: several can share a [`Self::ring`].
    pub fn push(&mut self, queue: usize, io: Io, user: u64) -> Result<()> {
        let (sqe, data) = self.encode(io)?;
        self.push_sqe(queue, sqe, data, Slot { command: Some(io.name()), user, ..Slot::default() }).map(drop)
    }

    /// Tells the controller of what was pushed.
    pub fn ring(&mut self, queue: usize) -> Result<()> {
        self.require_up()?;
        self.io_queue(queue)?.queue.ring()
    }

    /// Gives any command to the controller, unchecked.
    pub fn submit_command(&mut self, queue: usize, command: Command, user: u64) -> Result<()> {
        let (sqe, data) = command.into_parts();
        self.push_sqe(queue, sqe, data, Slot { command: Some("command"), user, ..Slot::default() })?;
        self.ring(queue)
    }

    #[inline(always)]
    fn push_sqe(&mut self, queue: usize, sqe: Sqe, data: Option<Slice>, slot: Slot) -> Result<u16> {
        self.require_up()?;
        let deadline = self.function.now() + self.options.timeout;
        self.io_queue(queue)?.queue.push(sqe, data, Slot { deadline, ..slot })
    }

    /// Checks a command against the namespace and encodes it.
    #[inline(always)]
    fn encode(&self, io: Io) -> Result<(Sqe, Option<Slice>)> {
        let ns = self.require_namespace()?;
        let nsid = u64::from(ns.id);
        let fua = |on: bool| dw::RW_FUA.put(on.into());
        let (op, lba, blocks, data, flags) = match io {
            Io::Flush => return Ok((command::flush(nsid), None)),
            Io::Deallocate { lba, blocks, list } => {
                if list.len != Range::SIZE {
                    return Err(Error::Transfer { iova: list.iova, len: list.len, why: "it is not one range" });
                }
                inside(ns.blocks, lba, blocks, u32::MAX.into())?;
                return Ok((command::deallocate(nsid), Some(list)));
            }
            Io::WriteZeroes { lba, blocks, deallocate, fua: through } => {
                (opcode::WRITE_ZEROES, lba, blocks, None, fua(through) | dw::RW_DEAC.put(deallocate.into()))
            }
            Io::Read { lba, data } | Io::Write { lba, data } | Io::WriteFua { lba, data } => {
                let refuse = |why| Error::Transfer { iova: data.iova, len: data.len, why };
                if data.len == 0 || !data.len.is_multiple_of(ns.block_size()) {
                    return Err(refuse("it is not a number of whole blocks"));
                }
                if data.len > self.max_transfer {
                    return Err(refuse("it is longer than the controller transfers at once (MDTS)"));
                }
                let op = if matches!(io, Io::Read { .. }) { opcode::READ } else { opcode::WRITE };
                (op, lba, data.len >> ns.block_shift, Some(data), fua(matches!(io, Io::WriteFua { .. })))
            }
        };
        inside(ns.blocks, lba, blocks, 0x1_0000)?;
        Ok((command::blocks(op, nsid, lba, blocks, flags), data))
    }

    /// Takes a completion if there is one; does not wait and does not look for late commands.
    ///
    /// On [`Error::BadCompletion`] the controller has been reset, and what was in flight follows as [`Failure::Reset`].
    pub fn poll(&mut self, queue: usize) -> Result<Option<Completion>> {
        let q = self.io_queue(queue)?;
        if let Some(done) = q.done.pop_front() {
            return Ok(Some(done));
        }
        match q.queue.pop() {
            Ok(popped) => Ok(popped.map(|(cqe, slot)| completion(cqe, slot))),
            Err(e) => self.recover_from(Err(e)),
        }
    }

    /// Waits for a completion, by polling or by interrupt as the options say. A command that is late is aborted; if that
    /// does not help the controller is reset. So this returns in bounded time.
    pub fn wait(&mut self, queue: usize) -> Result<Completion> {
        let mut turn = 0;
        loop {
            if let Some(done) = self.poll(queue)? {
                return Ok(done);
            }
            if self.in_flight(queue) == 0 {
                return Err(Error::Idle { queue });
            }
            self.wait_turn(queue, &mut turn)?;
        }
    }

    /// One turn of waiting: for late commands, then for the device.
    fn wait_turn(&mut self, queue: usize, turn: &mut u32) -> Result<()> {
        if self.expire(queue)? {
            return Ok(());
        }
        let vector = self.io_queue(queue)?.vector.clone();
        let paused = self.pause(vector.as_deref(), turn, self.options.timeout);
        self.recover_from(paused)
    }

    /// The number of commands in flight on a queue.
    #[must_use]
    pub fn in_flight(&self, queue: usize) -> usize {
        self.queues.get(queue).map_or(0, |q| q.queue.in_flight())
    }

    /// The identifier that a command in flight has, as an Abort names it.
    #[must_use]
    pub fn command_id(&self, queue: usize, user: u64) -> Option<u16> {
        self.queues.get(queue)?.queue.slots().find(|(_, slot)| slot.user == user).map(|(id, _)| id)
    }

    /// Whether a queue takes no more commands before something completes.
    #[must_use]
    pub fn is_full(&self, queue: usize) -> bool {
        self.queues.get(queue).is_none_or(|q| q.queue.is_full())
    }

    /// Does one command on queue 0 and waits for it; what else completes meanwhile is kept for [`Self::poll`].
    pub fn execute(&mut self, io: Io) -> Result<()> {
        let (sqe, data) = self.encode(io)?;
        self.execute_sqe(io.name(), sqe, data).map(drop)
    }

    /// Does any I/O command on queue 0, unchecked, and waits for it.
    pub fn execute_command(&mut self, command: Command) -> Result<u32> {
        let (sqe, data) = command.into_parts();
        self.execute_sqe("command", sqe, data)
    }

    fn execute_sqe(&mut self, command: &'static str, sqe: Sqe, data: Option<Slice>) -> Result<u32> {
        let resets = self.resets;
        let slot = Slot { command: Some(command), waited_for: true, ..Slot::default() };
        let cid = self.push_sqe(0, sqe, data, slot)?;
        self.ring(0)?;
        let mut turn = 0;
        loop {
            let q = self.io_queue(0)?;
            match q.queue.pop() {
                Ok(Some((cqe, slot))) if cqe.cid == cid => {
                    return completion(cqe, slot).result.map_err(|failure| match failure {
                        Failure::Status(status) => Error::Status { command, status },
                        failure => Error::Failed { command, failure },
                    });
                }
                Ok(Some((cqe, slot))) => q.done.push_back(completion(cqe, slot)),
                Ok(None) => self.wait_turn(0, &mut turn)?,
                Err(e) => return self.recover_from(Err(e)),
            }
            if self.resets != resets {
                return Err(Error::Failed { command, failure: Failure::Reset });
            }
        }
    }

    /// Reads blocks.
    pub fn read(&mut self, lba: u64, data: Slice) -> Result<()> {
        self.execute(Io::Read { lba, data })
    }

    /// Writes blocks.
    pub fn write(&mut self, lba: u64, data: Slice) -> Result<()> {
        self.execute(Io::Write { lba, data })
    }

    /// Makes blocks zero.
    pub fn write_zeroes(&mut self, lba: u64, blocks: u64) -> Result<()> {
        self.execute(Io::WriteZeroes { lba, blocks, deallocate: false, fua: false })
    }

    /// Makes what was written durable.
    pub fn flush(&mut self) -> Result<()> {
        self.execute(Io::Flush)
    }
}
