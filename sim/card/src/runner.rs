//! A thread that clocks the card for drivers that do not: those of a guest's, which wait by doing something else.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::Card;
use crate::card::TURN;

/// Clocks the card while something is in flight, and sleeps while nothing is. Ends when dropped.
pub struct Runner {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

/// How others wake the runner.
#[derive(Default)]
pub struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    asleep: bool,
    ended: bool,
}

/// How long the card stands still for memory that comes by message, while nothing else is in flight. A process elsewhere
/// answers in real time, and the card's completion time-out is a tenth of a second of it.
const PATIENCE: Duration = Duration::from_millis(5);

impl Runner {
    /// Starts the thread.
    pub fn start(card: &Card) -> std::io::Result<Runner> {
        let bell = Arc::new(Bell::default());
        card.root().ethernet().wake(bell.clone());
        let (card, heard) = (card.clone(), bell.clone());
        let thread = std::thread::Builder::new().name("card".into()).spawn(move || {
            while heard.wait(None) {
                run(&card, &heard);
            }
        })?;
        Ok(Runner { bell, thread: Some(thread) })
    }

    /// What wakes it: to be rung after everything that may set the card in motion.
    pub fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    /// Wakes it.
    pub fn kick(&self) {
        self.bell.ring();
    }
}

/// Clocks until nothing is in flight.
fn run(card: &Card, bell: &Bell) {
    let mut root = card.root();
    while !root.is_idle() && !bell.is_ended() {
        if root.is_waiting() {
            drop(root);
            bell.wait(Some(PATIENCE));
            root = card.root();
        }
        root.advance(TURN);
        // Whoever wants the card gets it now: a register access waits for one turn, not for many.
        MutexGuard::bump(&mut root);
    }
}

impl Bell {
    /// Wakes the runner, or keeps it from falling asleep once more.
    pub fn ring(&self) {
        let mut state = self.lock();
        state.rung = true;
        if state.asleep {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// Sleeps until it is rung, or for so long; false at the end.
    fn wait(&self, most: Option<Duration>) -> bool {
        let until = most.map(|most| Instant::now() + most);
        let mut state = self.lock();
        while !state.rung && !state.ended {
            state.asleep = true;
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.asleep = false;
        state.rung = false;
        !state.ended
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.bell.lock().ended = true;
        self.bell.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            // A check of the card's that failed there must not pass for an idle card.
            if let (Err(panic), false) = (ended, std::thread::panicking()) {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
