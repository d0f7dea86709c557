//! The end of a command that is asked for from elsewhere: by a signal, by another thread.
//!
//! | when | what the first signal does |
//! |---|---|
//! | a server serves ([`Stop::set_orderly`]) | it ends in order: what has arrived is done, and the status is 0 |
//! | anything else | the simulated card answers no more, so that the command unwinds: partial outputs are gone, waves and logs whole |
//!
//! SIGHUP, SIGINT and SIGQUIT that the parent has had ignored stay so (`nohup`, a script's background): they are nobody's then, and
//! what this program becomes by `exec` finds them as they were.
//!
//! `run` gives its functions back, however often it is told to end; everything else is ended at the second time, too.
//! Who does not get to its end so in a while (it waits for a server, for a compiler, for a terminal) is ended at once: what
//! was begun is removed, and the process dies of the signal. That clock does not run while volumes are made durable
//! ([`Stop::is_at_the_end`]).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use nix::sys::signal::SigSet;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::{emulate_default_handler, signal_name},
};

use crate::{Error, Result};

/// Ends a command from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    orderly: AtomicBool,
    unhurried: AtomicBool,
    at_the_end: AtomicBool,
    /// What a simulated card looks at.
    interrupted: Arc<AtomicBool>,
    signal: AtomicI32,
}

impl Stop {
    /// Asks for the end.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// From now on the command looks at [`Stop::is_stopped`] by itself, and ends in its own order.
    pub fn set_orderly(&self) {
        self.0.orderly.store(true, Ordering::SeqCst);
    }

    /// The same, and whoever says it a second time does not hurry it: it has something to give back.
    pub fn set_unhurried(&self) {
        self.0.unhurried.store(true, Ordering::SeqCst);
        self.set_orderly();
    }

    /// The command has done its work or failed, and what it has written is made durable: however long a disk takes for that, only
    /// a second signal ends it.
    pub fn is_at_the_end(&self) {
        self.0.at_the_end.store(true, Ordering::SeqCst);
    }

    /// Set when a simulated card is to answer no more.
    #[must_use]
    pub fn interrupted(&self) -> Arc<AtomicBool> {
        self.0.interrupted.clone()
    }

    /// The signal that the command did not end in order for.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        let interrupted = self.0.interrupted.load(Ordering::SeqCst);
        interrupted.then(|| self.0.signal.load(Ordering::SeqCst))
    }

    /// Has signals ask for the end, and end what does not within `patience`. Signals that the parent had blocked are
    /// taken, too.
    pub fn watch(&self, patience: Duration) -> Result<()> {
        let failed = |source| Error::Io { what: "setting up the signal handler".into(), source };
        // Before any other thread is there, which would inherit the mask.
        SigSet::all().thread_unblock().map_err(|e| failed(e.into()))?;
        let ignored = ignored().map_err(failed)?;
        let taken = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().filter(|s| *s == SIGTERM || !ignored.contains(*s));
        let mut signals = Signals::new(taken).map_err(failed)?;
        if !ignored.contains(SIGXFSZ) {
            // A limit for files is an error of the write (EFBIG), like a full disk. Handled and not ignored: another program in
            // our place should have it as it was.
            flag::register(SIGXFSZ, Arc::default()).map_err(failed)?;
        }
        let stop = self.clone();
        let watch = move || {
            for signal in &mut signals {
                if stop.is_stopped() && !stop.0.unhurried.load(Ordering::SeqCst) {
                    die(signal);
                }
                stop.0.signal.store(signal, Ordering::SeqCst);
                stop.stop();
                if !stop.0.orderly.load(Ordering::SeqCst) {
                    stop.0.interrupted.store(true, Ordering::SeqCst);
                    let stop = stop.clone();
                    let _ = std::thread::Builder::new().name("patience".into()).spawn(move || {
                        std::thread::sleep(patience);
                        if !stop.0.at_the_end.load(Ordering::SeqCst) {
                            die(signal);
                        }
                    });
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(watch).map(drop).map_err(failed)
    }
}

/// A set of signals, bit n - 1 for signal n, as the kernel writes it.
struct Set(u64);

impl Set {
    fn contains(&self, signal: i32) -> bool {
        self.0 >> (signal - 1) & 1 != 0
    }
}

/// The signals that are ignored.
fn ignored() -> io::Result<Set> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    set.map(Set).ok_or_else(|| io::Error::other("/proc/self/status does not say which signals are ignored"))
}

/// Ends the process at once, by the signal that asked for it.
fn die(signal: i32) -> ! {
    azote_verilate::abandon();
    azote_files::abandon();
    let _: io::Result<()> = emulate_default_handler(signal);
    std::process::exit(128 + signal)
}

/// The name of a signal, for people.
#[must_use]
pub fn name(signal: i32) -> &'static str {
    signal_name(signal).unwrap_or("a signal")
}
