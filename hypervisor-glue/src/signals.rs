//! Signals as events of the main loop: SIGUSR1 prints counters, SIGINT and SIGTERM end the guest.

use std::{
    fs::File,
    io::{self, Read},
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, RawFd},
    ptr,
};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Print the counters.
    Counters,
    /// End the guest.
    End,
}

/// The signals that are taken.
const TAKEN: [libc::c_int; 4] = [libc::SIGUSR1, libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// A descriptor from which they are read.
#[derive(Debug)]
pub struct Signals(File);

impl Signals {
    /// Blocks them in this thread and in those that it makes, and takes them here.
    pub fn take() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set; the other calls read or change what is initialised then.
        let fd = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in TAKEN {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            if libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else has.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// The next one, if there is one.
    pub fn next(&self) -> Option<Request> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        (&self.0).read_exact(&mut info).ok()?;
        // The signal's number is the first field.
        let number = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        Some(if number == libc::SIGUSR1 { Request::Counters } else { Request::End })
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A handler that does nothing, for the signal that takes a processor out of the guest: that the system call is
/// interrupted is all that is wanted.
pub extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
