//! A submission queue with its completion queue (NVMe 4.1): rings, doorbells and what is in flight.
//!
//! A command's identifier is the number of its slot, so that a completion finds its slot by indexing and one that names
//! none is noticed. There is one slot fewer than entries: the ring is full then, whatever the head pointer says.

use std::{
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    time::Duration,
};

use azote_dma::{Buffer, Dma, Slice};
use azote_regs::nvme::{
    controller::{cq_head, sq_tail},
    entry::{CQE_DW0, CQE_DW2, CQE_DW3, CQE_SIZE, DW3_PHASE, SQE_SIZE},
    limits,
};
use azote_seam::Mmio;

use crate::{
    Error, Result,
    entry::{Cqe, Sqe},
    prp,
};

/// What is known of a command in flight.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slot {
    /// The name for messages; `None` marks a free slot.
    pub command: Option<&'static str>,
    /// The caller's own mark.
    pub user: u64,
    /// When it is late.
    pub deadline: Duration,
    /// An Abort was sent for it.
    pub aborting: bool,
    /// Its sender waits for it by its identifier, so it is not to be reported when it fails with all the others.
    pub waited_for: bool,
}

/// A queue pair.
pub(crate) struct Queue {
    pub id: u16,
    depth: u16,
    function: Arc<str>,
    registers: Arc<dyn Mmio>,
    sq_doorbell: u64,
    cq_doorbell: u64,
    sq: Buffer,
    cq: Buffer,
    lists: Buffer,
    list_size: u64,
    tail: u16,
    /// Entries were written that the controller has not been told of.
    unrung: bool,
    head: u16,
    phase: bool,
    /// Completions taken that the controller has not been told of.
    untold: u16,
    slots: Vec<Slot>,
    free: Vec<u16>,
}

impl Queue {
    /// A queue pair with its memory; the controller does not know of it yet.
    pub fn new(
        id: u16,
        depth: u16,
        function: Arc<str>,
        registers: Arc<dyn Mmio>,
        stride: u64,
        dma: &Dma,
        max_transfer: u64,
    ) -> Result<Self> {
        let list_size = prp::list_size(max_transfer);
        let slots = u64::from(depth) - 1;
        // The doorbells' places at stride 0, spread by the controller's own (NVMe 3.1.24).
        let spread = |at: u64| limits::PAGE_SIZE + ((at - limits::PAGE_SIZE) << stride);
        Ok(Self {
            id,
            depth,
            function,
            registers,
            sq_doorbell: spread(sq_tail(id.into())),
            cq_doorbell: spread(cq_head(id.into())),
            sq: dma.alloc(u64::from(depth) * SQE_SIZE, limits::PAGE_SIZE)?,
            cq: dma.alloc(u64::from(depth) * CQE_SIZE, limits::PAGE_SIZE)?,
            lists: dma.alloc(slots * list_size, list_size)?,
            list_size,
            tail: 0,
            unrung: false,
            head: 0,
            phase: true,
            untold: 0,
            slots: vec![Slot::default(); usize::from(depth) - 1],
            free: (0..depth - 1).rev().collect(),
        })
    }

    pub fn depth(&self) -> u16 {
        self.depth
    }

    pub fn sq_iova(&self) -> u64 {
        self.sq.iova()
    }

    pub fn cq_iova(&self) -> u64 {
        self.cq.iova()
    }

    /// The number of commands that the controller has.
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Forgets everything, as the controller did when it was reset.
    pub fn clear(&mut self) {
        self.sq.fill(0);
        self.cq.fill(0);
        (self.tail, self.unrung, self.head, self.phase, self.untold) = (0, false, 0, true, 0);
        self.slots.fill(Slot::default());
        self.free.clear();
        self.free.extend((0..self.depth - 1).rev());
    }

    /// Writes a command to the ring; [`Self::ring`] tells the controller. The data's PRPs are made here, in the slot's place.
    #[inline(always)]
    pub fn push(&mut self, sqe: Sqe, data: Option<Slice>, slot: Slot) -> Result<u16> {
        let Some(&cid) = self.free.last() else {
            return Err(Error::QueueFull { queue: usize::from(self.id).saturating_sub(1) });
        };
        let sqe = match data {
            Some(data) => {
                let place = u64::from(cid) * self.list_size;
                let (prp1, prp2) = prp::build(data, &self.lists, place, self.list_size)?;
                sqe.prp(prp1, prp2)
            }
            None => sqe,
        };
        let at = u64::from(self.tail) * SQE_SIZE;
        self.sq.write_words(at, sqe.words(cid))?;
        self.free.pop();
        if let Some(place) = self.slots.get_mut(usize::from(cid)) {
            *place = slot;
        }
        self.tail = if self.tail + 1 == self.depth { 0 } else { self.tail + 1 };
        self.unrung = true;
        Ok(cid)
    }

    /// Tells the controller of what was pushed and of what was taken.
    #[inline(always)]
    pub fn ring(&mut self) -> Result<()> {
        // What is new first: somebody waits for it.
        if self.unrung {
            self.unrung = false;
            // The entries and lists are in memory before the doorbell says so.
            fence(Ordering::Release);
            self.registers.write32(self.sq_doorbell, self.tail.into())?;
        }
        if self.untold != 0 {
            self.untold = 0;
            self.registers.write32(self.cq_doorbell, self.head.into())?;
        }
        Ok(())
    }

    /// Takes the next completion and frees its slot.
    #[inline(always)]
    pub fn pop(&mut self) -> Result<Option<(Cqe, Slot)>> {
        let at = u64::from(self.head) * CQE_SIZE;
        // One word holds the phase, the identifier and the status; the rest is valid once it has been seen.
        let dw3 = self.cq.read_u32(at + CQE_DW3)?;
        if DW3_PHASE.is_set(dw3.into()) != self.phase {
            return Ok(None);
        }
        fence(Ordering::Acquire);
        let cqe = Cqe::new(self.cq.read_u32(at + CQE_DW0)?, self.cq.read_u32(at + CQE_DW2)?, dw3);
        self.head += 1;
        if self.head == self.depth {
            self.head = 0;
            self.phase = !self.phase;
        }
        self.untold += 1;
        // Not at every entry: a register write is the dearest thing here. The controller never runs dry: what was in flight when it was
        // last told had room, each entry that was taken since was one of those, and who pushes tells.
        if self.untold >= self.depth / 4 {
            self.untold = 0;
            self.registers.write32(self.cq_doorbell, self.head.into())?;
        }
        let slot = self.check(cqe)?;
        Ok(Some((cqe, slot)))
    }

    /// Finds the slot of a completion, if it is one that the controller may send.
    #[inline(always)]
    fn check(&mut self, cqe: Cqe) -> Result<Slot> {
        let wrong = |what: String| Error::BadCompletion { function: self.function.to_string(), queue: self.id, what };
        if cqe.sq_id != self.id {
            return Err(wrong(format!("submission queue {}", cqe.sq_id)));
        }
        if cqe.sq_head >= self.depth {
            return Err(wrong(format!("head {} of {} entries", cqe.sq_head, self.depth)));
        }
        match self.slots.get(usize::from(cqe.cid)) {
            Some(&slot) if slot.command.is_some() => {
                self.slots[usize::from(cqe.cid)] = Slot::default();
                self.free.push(cqe.cid);
                Ok(slot)
            }
            _ => Err(wrong(format!("command {:#x} is not in flight", cqe.cid))),
        }
    }

    /// The commands in flight and their identifiers.
    pub fn slots(&self) -> impl Iterator<Item = (u16, &Slot)> {
        (0..).zip(&self.slots).filter(|(_, s)| s.command.is_some())
    }

    /// A command in flight.
    pub fn slot_mut(&mut self, cid: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(cid)).filter(|s| s.command.is_some())
    }
}
