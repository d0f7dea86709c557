//! Descriptors: as many as the system gives, and some put by for those who come later.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use crate::Error;

/// Raises this process's limit to what it may have: shells start programs with 1024, and a device can have 2048 vectors.
pub(crate) fn raise() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid structure, which is filled and then read. Where it fails, the limit is what it was.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// The error that says so, if it was a descriptor that was missing.
pub(crate) fn missing(what: &'static str, error: &io::Error) -> Option<Error> {
    if error.raw_os_error() != Some(libc::EMFILE) {
        return None;
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid structure to be filled; zeros, should it fail.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    Some(Error::Descriptors { what, limit: limit.rlim_cur })
}

/// Descriptors that hold places: given up one by one, and taken again.
#[derive(Debug)]
pub(crate) struct Reserve(Vec<OwnedFd>);

impl Reserve {
    /// Takes so many, as copies of one that is open.
    pub fn new(of: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        Ok(Self((0..count).map(|_| of.try_clone_to_owned()).collect::<io::Result<_>>()?))
    }

    /// Lets one go for somebody else to take; false if there is none.
    pub fn give(&mut self) -> bool {
        self.0.pop().is_some()
    }

    /// Takes one back.
    pub fn take(&mut self, of: BorrowedFd<'_>) {
        // It was let go a moment ago; should another thread have it by now, there is one less.
        self.0.extend(of.try_clone_to_owned());
    }
}
