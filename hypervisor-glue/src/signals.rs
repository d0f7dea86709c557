//! Signals as events of the main loop: SIGUSR1 prints counters, SIGINT, SIGTERM, SIGQUIT and SIGHUP end the guest.
//!
//! Nothing of what the parent has set is relied on: a signal that it has blocked would never come, and one that it ignores
//! could not end a guest.

use std::{
    fs::File,
    io::{self, Read},
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, RawFd},
    ptr,
    thread::{self, JoinHandle},
};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::log;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Print the counters.
    Counters,
    /// End the guest.
    End,
}

/// The signals that are taken.
const TAKEN: [libc::c_int; 5] = [libc::SIGUSR1, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];
/// Those of them that stay ignored if they were: nohup means it, and so does a script that starts us in the background.
const LEFT_IGNORED: [libc::c_int; 3] = [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];
/// Blocked and never looked at: a terminal stops whoever reads it or sets it up from the background, and who is stopped does not
/// end. With these blocked, such a call fails or is let through.
const FROM_TERMINALS: [libc::c_int; 2] = [libc::SIGTTIN, libc::SIGTTOU];

/// A set of signals.
fn set_of(signals: impl IntoIterator<Item = libc::c_int>) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set; `sigaddset` changes what is initialised then.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

fn block_exactly(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: reads one valid set; the old one is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks; an action of zeros is one, should the call fail.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Lets a write beyond the limit of a file's size (RLIMIT_FSIZE) fail, and not end the process: an output that takes no more is
/// treated like any other.
pub(crate) fn let_large_writes_fail() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

fn set_default(signal: libc::c_int) {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// For a process that has a hypervisor as its child: no signal is blocked, and its child's end is told to it. The machine that it hands
/// over is a file, too.
pub fn as_a_parent() -> io::Result<()> {
    let_large_writes_fail();
    if is_ignored(libc::SIGCHLD) {
        set_default(libc::SIGCHLD);
    }
    block_exactly(&set_of([]))
}

/// Lets the end of our parent end us, as SIGTERM does; false if it is gone already. Forgotten by the kernel when the user changes.
pub(crate) fn end_with(parent: u32) -> bool {
    // SAFETY: calls with numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0);
        u32::try_from(libc::getppid()) == Ok(parent)
    }
}

/// Closes every descriptor but stdin, stdout and stderr. For the start of a program, which has no others of its own yet.
pub(crate) fn close_inherited() {
    /// As many as a process has without having asked for more, for kernels without `close_range` (before 5.9).
    const USUAL: libc::c_int = 1024;
    // SAFETY: nothing in this process owns one of these: it has opened nothing, and what it was handed has no owner here.
    unsafe {
        if libc::close_range(3, libc::c_uint::MAX, 0) != 0 {
            for fd in 3..USUAL {
                libc::close(fd);
            }
        }
    }
}

/// A descriptor from which they are read.
#[derive(Debug)]
pub struct Signals(File);

impl Signals {
    /// Blocks them in this thread and in those that it makes, and takes them here. All others get through.
    pub fn take() -> io::Result<Self> {
        // One that is ignored comes all the same, since it is blocked.
        let taken = TAKEN.into_iter().filter(|s| !(LEFT_IGNORED.contains(s) && is_ignored(*s)));
        let taken: Vec<_> = taken.collect();
        block_exactly(&set_of(taken.iter().copied().chain(FROM_TERMINALS)))?;
        // SAFETY: a new descriptor is asked for; the set is valid.
        let fd = unsafe { libc::signalfd(-1, &set_of(taken), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
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

    /// Until the main loop runs: a thread that ends the process when a signal says so, whatever the others wait for then (a server
    /// that is silent, a device that is slow).
    pub fn guard(&self) -> io::Result<Guard> {
        let signals = Self(self.0.try_clone()?);
        let over = EventFd::new(EFD_NONBLOCK)?;
        let stop = over.try_clone()?;
        let thread = thread::Builder::new().name("start".into()).stack_size(GUARD_STACK).spawn(move || {
            if signals.end_comes_before(&stop) {
                azote_files::abandon();
                log::drain();
                // SAFETY: ends the process. No destructor runs, which could wait for what the others wait for.
                unsafe { libc::_exit(0) };
            }
        })?;
        Ok(Guard { over, thread: Some(thread) })
    }

    fn end_comes_before(&self, over: &EventFd) -> bool {
        loop {
            let poll = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            let mut both = [poll(self.as_raw_fd()), poll(over.as_raw_fd())];
            // SAFETY: two valid `pollfd`s of descriptors that are open as long as these borrows.
            unsafe { libc::poll(both.as_mut_ptr(), 2, -1) };
            if both[1].revents != 0 {
                return false;
            }
            match self.next() {
                Some(Request::End) => return true,
                Some(Request::Counters) => log::line("the guest has not started yet"),
                None => {}
            }
        }
    }
}

/// It writes a line and ends the process.
const GUARD_STACK: usize = 64 << 10;

/// The thread of [`Signals::guard`], as long as this is there.
pub struct Guard {
    over: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Its count is 0: there is always room for one.
        let _ = self.over.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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
