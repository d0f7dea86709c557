//! Interrupts: the card's MSI-X messages become eventfds of the client's.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a function's vectors go. Shared by the session, which sets it, and the card, which fires.
#[derive(Default)]
pub struct Irqs {
    state: Mutex<State>,
    fired: AtomicU64,
}

#[derive(Default)]
struct State {
    vectors: Vec<Vector>,
    /// Writes to the client's memory that it has not confirmed; until then no interrupt may tell of them.
    unconfirmed: u64,
    /// Vectors that wait for that.
    held: Vec<u16>,
}

#[derive(Default)]
struct Vector {
    eventfd: Option<OwnedFd>,
    masked: bool,
    /// It fired while it was masked.
    pending: bool,
}

impl Irqs {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything; there are `count` vectors from now on.
    pub fn clear(&self, count: u32) {
        let mut state = self.lock();
        *state = State::default();
        state.vectors.resize_with(count as usize, Vector::default);
    }

    /// Vectors from `start` on go to these eventfds; `None` is nowhere. The caller has checked the range.
    pub fn set(&self, start: u32, eventfds: impl IntoIterator<Item = Option<OwnedFd>>) {
        let mut state = self.lock();
        for (vector, eventfd) in state.vectors.iter_mut().skip(start as usize).zip(eventfds) {
            vector.eventfd = eventfd;
        }
    }

    /// Masks or unmasks; what fired meanwhile is told then.
    pub fn mask(&self, start: u32, count: u32, masked: bool) {
        let mut state = self.lock();
        for vector in state.vectors.iter_mut().skip(start as usize).take(count as usize) {
            vector.masked = masked;
            if !masked && std::mem::take(&mut vector.pending) {
                vector.tell();
            }
        }
    }

    /// Is any vector connected?
    pub fn any(&self) -> bool {
        self.lock().vectors.iter().any(|v| v.eventfd.is_some())
    }

    /// A vector fires.
    pub fn fire(&self, vector: u16) {
        self.fired.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        if state.unconfirmed > 0 {
            state.held.push(vector);
        } else if let Some(vector) = state.vectors.get_mut(usize::from(vector)) {
            vector.fire();
        }
    }

    /// A write to the client's memory is on its way.
    pub fn write_sent(&self) {
        self.lock().unconfirmed += 1;
    }

    /// The client has it.
    pub fn write_confirmed(&self) {
        let mut state = self.lock();
        state.unconfirmed = state.unconfirmed.saturating_sub(1);
        if state.unconfirmed == 0 {
            for vector in std::mem::take(&mut state.held) {
                if let Some(vector) = state.vectors.get_mut(usize::from(vector)) {
                    vector.fire();
                }
            }
        }
    }

    /// How many fired so far.
    pub fn count(&self) -> u64 {
        self.fired.load(Ordering::Relaxed)
    }
}

impl Vector {
    fn fire(&mut self) {
        if self.masked {
            self.pending = true;
        } else {
            self.tell();
        }
    }

    fn tell(&self) {
        if let Some(eventfd) = &self.eventfd {
            // A counter that is full has told enough; one that is closed has nobody to tell. It came over the socket and may
            // be any file: `session` has made sure that writing to it does not wait.
            let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
        }
    }
}

/// What the card calls when a vector fires.
pub fn sink(irqs: &Arc<Irqs>) -> azote_sim::Sink {
    let irqs = irqs.clone();
    Box::new(move |vector| irqs.fire(vector))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    fn connected() -> (Irqs, OwnedFd) {
        let irqs = Irqs::default();
        irqs.clear(2);
        let fd = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        irqs.set(1, [Some(fd.try_clone().unwrap())]);
        (irqs, fd)
    }

    fn count(fd: &OwnedFd) -> u64 {
        let mut bytes = [0; 8];
        rustix::io::read(fd, &mut bytes).map_or(0, |_| u64::from_ne_bytes(bytes))
    }

    #[test]
    fn a_masked_vector_tells_when_it_is_unmasked() {
        let (irqs, fd) = connected();
        irqs.fire(1);
        assert_eq!(count(&fd), 1);
        irqs.mask(0, 2, true);
        irqs.fire(1);
        assert_eq!(count(&fd), 0);
        irqs.mask(1, 1, false);
        assert_eq!(count(&fd), 1);
        irqs.fire(0);
        irqs.fire(77);
        assert_eq!(irqs.count(), 4);
    }

    #[test]
    fn no_interrupt_overtakes_the_data_that_it_announces() {
        let (irqs, fd) = connected();
        irqs.write_sent();
        irqs.write_sent();
        irqs.fire(1);
        irqs.write_confirmed();
        assert_eq!(count(&fd), 0);
        irqs.write_confirmed();
        assert_eq!(count(&fd), 1);
    }
}
