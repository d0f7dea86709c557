//! Frames from a descriptor: a thread reads them, so that the simulation asks no system in any clock.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe;

use super::inbox::Inbox;

/// A thread that is told to end by the end of a pipe, and waited for.
pub(super) struct Reader {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Runs `work` on a thread of its own until [`Until::ended`] says so there.
    pub fn start(name: &str, work: impl FnOnce(Until) + Send + 'static) -> io::Result<Reader> {
        let (read, write) = pipe()?;
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || work(Until { stop: read }))?;
        Ok(Reader { stop: Some(write), thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own end of it.
pub(super) struct Until {
    stop: OwnedFd,
}

impl Until {
    /// Waits until there is something to read, or so long; false when the thread is to end.
    pub fn readable(&self, other: Option<BorrowedFd<'_>>, most: PollTimeout) -> bool {
        let mut wanted = vec![PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        wanted.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
        match poll(&mut wanted, most) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => wanted[0].revents().is_none_or(|seen| seen.is_empty()),
            Err(_) => false,
        }
    }

    /// Reads frames until the thread is to end, or `read` says that nothing comes any more.
    pub fn read(&self, from: BorrowedFd<'_>, inbox: &Arc<Inbox>, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) {
        // One more than the longest, so that what is too long is seen to be.
        let mut buffer = vec![0; super::port::LONGEST + 1];
        while self.readable(Some(from), PollTimeout::NONE) {
            match read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => {
                    inbox.push(buffer[..length].to_vec());
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => return,
            }
        }
    }
}
