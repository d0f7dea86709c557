//! A thread that clocks the card for drivers that do not: those of a guest's, which wait by doing something else.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

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
    ended: bool,
}

/// How often the runner lets others go first before it takes the next turn.
const COURTESY: u32 = 200;

impl Runner {
    /// Starts the thread.
    pub fn start(card: &Card) -> std::io::Result<Runner> {
        let bell = Arc::new(Bell::default());
        let (card, heard) = (card.clone(), bell.clone());
        let thread = std::thread::Builder::new().name("card".into()).spawn(move || {
            while heard.wait() {
                run(&card);
            }
        })?;
        Ok(Runner { bell, thread: Some(thread) })
    }

    /// What wakes it: to be rung after everything that may set the card in motion.
    pub fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }
}

/// Clocks until nothing is in flight, or only messages of others are waited for.
fn run(card: &Card) {
    loop {
        {
            let mut root = card.root();
            if root.is_idle() || root.is_waiting() {
                return;
            }
            root.advance(TURN);
        }
        // The lock is not fair. A register access must not wait for many turns.
        for _ in 0..COURTESY {
            if !card.is_wanted() {
                break;
            }
            std::thread::yield_now();
        }
    }
}

impl Bell {
    /// Wakes the runner, or keeps it from falling asleep once more.
    pub fn ring(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).rung = true;
        self.changed.notify_one();
    }

    /// Sleeps until it is rung; false at the end.
    fn wait(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.rung && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.rung = false;
        !state.ended
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.bell.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.bell.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
