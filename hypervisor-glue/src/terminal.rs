//! The terminal on stdin: every key goes to the guest, and at the end it is as it was found, whatever ends this process.

use std::{
    io,
    mem::MaybeUninit,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

const STDIN: libc::c_int = libc::STDIN_FILENO;

/// How it was found.
static FOUND: OnceLock<libc::termios> = OnceLock::new();
/// It is ours now.
static RAW: AtomicBool = AtomicBool::new(false);

/// How the terminal on stdin is set up; `None` if there is none.
pub(crate) fn settings() -> Option<libc::termios> {
    let mut settings = MaybeUninit::uninit();
    // SAFETY: the call fills the structure, or fails.
    (unsafe { libc::tcgetattr(STDIN, settings.as_mut_ptr()) } == 0).then(|| {
        // SAFETY: filled, as the call has succeeded.
        unsafe { settings.assume_init() }
    })
}

/// Sets it up. A system call or two: also for a handler of signals.
pub(crate) fn set(settings: &libc::termios) -> io::Result<()> {
    // SAFETY: a valid structure, which is only read.
    match unsafe { libc::tcsetattr(STDIN, libc::TCSANOW, settings) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether we are who the terminal listens to. In the background it is somebody else's: a shell's.
pub(crate) fn is_ours() -> bool {
    // SAFETY: calls without pointers. A terminal that is not our session's has no such group, and nobody else's it is.
    unsafe { [-1, libc::getpgrp()].contains(&libc::tcgetpgrp(STDIN)) }
}

/// The terminal while keys go to the guest; put back when this is dropped.
pub(crate) struct Raw(());

impl Raw {
    /// Takes it, if there is one and it is ours.
    pub fn take() -> Option<Self> {
        let found = settings().filter(|_| is_ours())?;
        let mut raw = *FOUND.get_or_init(|| found);
        raw.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ISIG);
        crate::caretaker::has_terminal();
        RAW.store(true, Ordering::SeqCst);
        if set(&raw).is_err() {
            restore();
            return None;
        }
        Some(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts it back, if it was taken. May be called from anywhere, also from a handler of signals.
pub(crate) fn restore() {
    if RAW.swap(false, Ordering::SeqCst)
        && let Some(found) = FOUND.get()
    {
        // A terminal that is gone needs nothing.
        let _ = set(found);
        crate::caretaker::terminal_is_back();
    }
}
