//! How much memory a connection may hold: requests that were read and replies that were not yet sent.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that a connection may hold. More than the longest request, or that one could never be served.
const LIMIT: u64 = 2 * super::wire::MAX_LENGTH as u64;
/// What a request costs beside its data, so that their number is bounded, too.
const OVERHEAD: u64 = 4096;

#[derive(Default)]
struct Shared {
    held: Mutex<u64>,
    freed: Condvar,
}

/// The budget of a connection.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<Shared>);

/// A part of a budget, given back when dropped: when the reply has been sent, or can not be.
pub(super) struct Permit {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Budget {
    /// Waits until there is room for a request of `len` bytes.
    pub fn take(&self, len: u64) -> Permit {
        let bytes = len + OVERHEAD;
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        // A request that is longer than the limit goes alone.
        while *held != 0 && *held + bytes > LIMIT {
            held = self.0.freed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        *held += bytes;
        Permit { shared: self.0.clone(), bytes }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.shared.held.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.shared.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread, time::Duration};

    #[test]
    fn a_request_waits_until_there_is_room() {
        let budget = Budget::default();
        let first = budget.take(LIMIT - OVERHEAD);
        let (sent, got) = mpsc::channel();
        let waiter = thread::spawn(move || {
            let _second = budget.take(1);
            sent.send(()).unwrap();
        });
        assert!(got.recv_timeout(Duration::from_millis(50)).is_err());
        drop(first);
        got.recv_timeout(Duration::from_secs(5)).unwrap();
        waiter.join().unwrap();
    }
}
