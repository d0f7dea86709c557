//! The host's threads, and which task of a volume may run beside which.
//!
//! Tasks of one volume that meet (one changes what the other touches) run in the order in which they came, also behind one whose
//! request was cancelled: it is done before anything later at the same blocks, or not at all. Tasks of different
//! volumes have nothing in common, not even threads that one could take from the other: each has a few at most.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::work::{Outcome, Span, Task};

/// Tasks of a volume that run at once. So many keep a disk or a server busy for as fast as cards are simulated; with all volumes
/// dead at once there are still threads left below the pool's 500.
const AT_ONCE: usize = 8;

/// A volume's tasks.
#[derive(Debug, Default)]
struct Lane {
    running: Vec<Span>,
    parked: VecDeque<(Span, Task)>,
}

impl Lane {
    /// Starts what nothing is in the way of any more.
    fn start(&mut self, sender: &Sender<Outcome>) {
        let mut at = 0;
        while at < self.parked.len() && self.running.len() < AT_ONCE {
            let span = &self.parked[at].0;
            let before = self.running.iter().chain(self.parked.iter().take(at).map(|(before, _)| before));
            if before.into_iter().any(|before| before.meets(span)) {
                at += 1;
            } else if let Some((span, task)) = self.parked.remove(at) {
                self.running.push(span);
                begin(task, sender.clone());
            }
        }
    }
}

/// Hands a task to the pool.
fn begin(task: Task, sender: Sender<Outcome>) {
    let lost = task.lost();
    let work = move || {
        // Whatever happens there: who waits for it hears of its end. Nobody hears of it when the medium is gone.
        let outcome = catch_unwind(AssertUnwindSafe(|| task.run())).unwrap_or(lost);
        let _ = sender.send(outcome);
    };
    blocking::unblock(work).detach();
}

/// All tasks.
#[derive(Debug)]
pub(super) struct Host {
    lanes: Vec<Lane>,
    sender: Sender<Outcome>,
    ended: Receiver<Outcome>,
    /// Tasks that have not ended, parked ones included.
    tasks: usize,
}

impl Host {
    pub fn new() -> Self {
        let (sender, ended) = channel();
        Host { lanes: (0..256).map(|_| Lane::default()).collect(), sender, ended, tasks: 0 }
    }

    pub fn is_idle(&self) -> bool {
        self.tasks == 0
    }

    /// Whether a volume has none.
    pub fn has_none(&self, volume: u8) -> bool {
        let lane = &self.lanes[usize::from(volume)];
        lane.running.is_empty() && lane.parked.is_empty()
    }

    /// Has a task done. `here`: by this thread and now, if nothing is in its way.
    pub fn submit(&mut self, task: Task, here: bool) -> Option<Outcome> {
        let (lane, span) = (&mut self.lanes[usize::from(task.volume)], task.span());
        let free = lane.parked.is_empty() && !lane.running.iter().any(|before| before.meets(&span));
        if here && free {
            return Some(task.run());
        }
        self.tasks += 1;
        lane.parked.push_back((span, task));
        lane.start(&self.sender);
        None
    }

    /// What has ended, if anything has.
    pub fn poll(&mut self) -> Option<Outcome> {
        if self.tasks == 0 {
            return None;
        }
        let outcome = self.ended.try_recv().ok()?;
        Some(self.took(outcome))
    }

    /// What ends next, within this time.
    pub fn wait(&mut self, most: Option<Duration>) -> Option<Outcome> {
        if self.tasks == 0 {
            return None;
        }
        let outcome = match most {
            None => self.ended.recv().ok()?,
            Some(most) => match self.ended.recv_timeout(most) {
                Ok(outcome) => outcome,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            },
        };
        Some(self.took(outcome))
    }

    fn took(&mut self, outcome: Outcome) -> Outcome {
        self.tasks -= 1;
        let lane = &mut self.lanes[usize::from(outcome.volume)];
        lane.running.retain(|span| span.id != outcome.id);
        lane.start(&self.sender);
        outcome
    }

    /// Forgets what was not begun, but for blocks of the cache: the card was reset.
    pub fn forget(&mut self) {
        for lane in &mut self.lanes {
            let before = lane.parked.len();
            lane.parked.retain(|(_, task)| !task.keep.is_empty());
            self.tasks -= before - lane.parked.len();
            lane.start(&self.sender);
        }
    }

    /// Forgets one if it was not begun. One that keeps blocks of the cache is the only one that has them.
    pub fn drop_parked(&mut self, volume: u8, id: u64) {
        let lane = &mut self.lanes[usize::from(volume)];
        if let Some(at) = lane.parked.iter().position(|(span, task)| span.id == id && task.keep.is_empty()) {
            lane.parked.remove(at);
            self.tasks -= 1;
            lane.start(&self.sender);
        }
    }

    /// How many of a volume run and are parked.
    #[cfg(test)]
    pub fn at_work(&self, volume: u8) -> (usize, usize) {
        let lane = &self.lanes[usize::from(volume)];
        (lane.running.len(), lane.parked.len())
    }

    /// Whether a task that has not ended changes this block.
    pub fn changes(&self, volume: u8, lba: u64) -> bool {
        let lane = &self.lanes[usize::from(volume)];
        lane.running.iter().chain(lane.parked.iter().map(|(span, _)| span)).any(|span| span.changes_block(lba))
    }
}
