//! Frames that wait for the card, put there by another thread or by another card.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Bell;

/// Frames that wait at most; more are lost, as in the queue of any network card.
pub(super) const DEPTH: usize = 1024;

#[derive(Default)]
struct State {
    frames: VecDeque<Vec<u8>>,
    bell: Option<Arc<Bell>>,
}

/// A queue of frames.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// How many there are, for whoever looks in every clock.
    waiting: AtomicUsize,
    arrived: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame behind the others; false if it is full.
    pub fn push(&self, frame: Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.frames.len() >= DEPTH {
            return false;
        }
        state.frames.push_back(frame);
        self.waiting.store(state.frames.len(), Ordering::Release);
        self.arrived.notify_all();
        if let Some(bell) = &state.bell {
            bell.ring();
        }
        true
    }

    pub fn pop(&self) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let mut state = self.lock();
        let frame = state.frames.pop_front();
        self.waiting.store(state.frames.len(), Ordering::Release);
        frame
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    pub fn ring(&self, bell: Arc<Bell>) {
        let mut state = self.lock();
        if !state.frames.is_empty() {
            bell.ring();
        }
        state.bell = Some(bell);
    }

    /// Waits for a frame, so long at most.
    pub fn rest(&self, most: Duration) {
        let state = self.lock();
        if state.frames.is_empty() {
            drop(self.arrived.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner));
        }
    }
}
