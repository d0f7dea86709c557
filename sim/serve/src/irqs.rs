//! A client's eventfds, which the card's MSI-X messages become.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Where a function's vectors go. Shared by the session, which sets it, and the thread that delivers.
#[derive(Default)]
pub struct Irqs {
    vectors: Mutex<Vec<Vector>>,
}

#[derive(Default)]
struct Vector {
    eventfd: Option<Arc<OwnedFd>>,
    masked: bool,
    /// It fired while it was masked.
    pending: bool,
}

/// That a descriptor which came over a socket is an eventfd: another file could make whoever writes to it wait, or worse.
pub fn check(fd: &OwnedFd) -> Result<(), Errno> {
    let link = rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new())?;
    if link.as_bytes() == b"anon_inode:[eventfd]" { Ok(()) } else { Err(Errno::INVAL) }
}

impl Irqs {
    fn lock(&self) -> MutexGuard<'_, Vec<Vector>> {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything; there are `count` vectors from now on.
    pub fn clear(&self, count: u32) {
        let mut vectors = self.lock();
        vectors.clear();
        vectors.resize_with(count as usize, Vector::default);
    }

    /// Vectors from `start` on go to these eventfds; `None` is nowhere. The caller has checked the range.
    pub fn set(&self, start: u32, eventfds: impl IntoIterator<Item = Option<OwnedFd>>) {
        for (vector, eventfd) in self.lock().iter_mut().skip(start as usize).zip(eventfds) {
            vector.eventfd = eventfd.map(Arc::new);
        }
    }

    /// Masks or unmasks; what fired meanwhile is told then.
    pub fn mask(&self, start: u32, count: u32, masked: bool) {
        let mut due = Vec::new();
        for vector in self.lock().iter_mut().skip(start as usize).take(count as usize) {
            vector.masked = masked;
            if !masked && std::mem::take(&mut vector.pending) {
                due.extend(vector.eventfd.clone());
            }
        }
        due.iter().for_each(|fd| tell(fd));
    }

    /// Is any vector connected?
    pub fn any(&self) -> bool {
        self.lock().iter().any(|v| v.eventfd.is_some())
    }

    /// A vector fires.
    pub fn fire(&self, vector: u16) {
        let due = match self.lock().get_mut(usize::from(vector)) {
            Some(vector) if vector.masked => {
                vector.pending = true;
                None
            }
            Some(vector) => vector.eventfd.clone(),
            None => None,
        };
        // Not under the lock: a client can make it wait.
        if let Some(fd) = due {
            tell(&fd);
        }
    }
}

/// Adds one to an eventfd. One that is full has told enough.
fn tell(eventfd: &OwnedFd) {
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut [PollFd::new(eventfd, PollFlags::OUT)], Some(&now)) == Ok(1) {
        let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    fn connected() -> (Irqs, OwnedFd) {
        let irqs = Irqs::default();
        irqs.clear(2);
        let fd = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        irqs.set(1, [Some(fd.try_clone().unwrap())]);
        (irqs, fd)
    }

    fn count(fd: &OwnedFd) -> u64 {
        let mut bytes = [0; 8];
        rustix::io::read(fd, &mut bytes).map_or(0, |_| u64::from_ne_bytes(bytes))
    }

    #[test]
    fn a_masked_vector_tells_when_it_is_unmasked() {
        let (irqs, fd) = connected();
        irqs.fire(1);
        assert_eq!(count(&fd), 1);
        irqs.mask(0, 2, true);
        irqs.fire(1);
        assert_eq!(count(&fd), 0);
        irqs.mask(1, 1, false);
        assert_eq!(count(&fd), 1);
        irqs.fire(0);
        irqs.fire(77);
        assert_eq!(count(&fd), 0);
    }

    #[test]
    fn an_eventfd_that_is_full_is_not_waited_for() {
        let irqs = Irqs::default();
        irqs.clear(1);
        let fd = eventfd(0, EventfdFlags::empty()).unwrap();
        rustix::io::write(&fd, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        irqs.set(0, [Some(fd)]);
        irqs.fire(0);
    }

    #[test]
    fn only_eventfds_are_taken() {
        assert_eq!(check(&eventfd(0, EventfdFlags::empty()).unwrap()), Ok(()));
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(check(&ours.into()), Err(Errno::INVAL));
    }
}
