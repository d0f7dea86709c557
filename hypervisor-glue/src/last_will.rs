//! Ends the process when the process does not come to its end: what is taken down in order waits for devices, and a device that does
//! not answer (a server, a disk behind a simulated card) must not keep the guest's other devices for ever.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{log, terminal};

/// It waits and writes a line.
const STACK: usize = 64 << 10;

/// A thread that waits to be armed.
pub(crate) struct LastWill(Arc<(Mutex<Option<Instant>>, Condvar)>);

impl LastWill {
    /// Makes the thread, while threads can be made.
    pub fn new() -> io::Result<Self> {
        Self::with(|| {
            log::line("the end of the guest waits for a device that does not answer; ended without it");
            terminal::restore();
            log::drain();
            // SAFETY: ends the process; no destructor runs, which could wait, too.
            unsafe { libc::_exit(1) };
        })
    }

    fn with(act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let shared: Arc<(Mutex<Option<Instant>>, Condvar)> = Arc::default();
        let theirs = shared.clone();
        thread::Builder::new().name("last-will".into()).stack_size(STACK).spawn(move || {
            wait(&theirs);
            act();
        })?;
        Ok(Self(shared))
    }

    /// From now on there is so much time.
    pub fn arm(&self, time: Duration) {
        self.set(Some(Instant::now() + time));
    }

    /// There is as much as it takes.
    pub fn disarm(&self) {
        self.set(None);
    }

    fn set(&self, deadline: Option<Instant>) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        self.0.1.notify_all();
    }
}

/// Returns when a deadline has passed.
fn wait(shared: &(Mutex<Option<Instant>>, Condvar)) {
    let mut deadline = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        deadline = match *deadline {
            None => shared.1.wait(deadline).unwrap_or_else(PoisonError::into_inner),
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return;
                }
                shared.1.wait_timeout(deadline, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn it_acts_when_it_was_armed_and_not_disarmed_in_time() {
        let (sender, acted) = channel();
        let will = LastWill::with(move || sender.send(()).unwrap()).unwrap();
        will.arm(Duration::from_secs(3600));
        will.disarm();
        assert!(acted.try_recv().is_err());
        will.arm(Duration::from_millis(1));
        acted.recv_timeout(Duration::from_secs(300)).unwrap();
    }
}
