//! An MSI-X vector as an eventfd.

use std::{io, os::fd::AsRawFd, sync::Arc, time::Duration};

use azote_seam::{Error, Result, Vector};
use vmm_sys_util::eventfd::EventFd;

/// The eventfd that the kernel counts a vector's interrupts in.
pub(crate) struct EventVector(EventFd);

impl EventVector {
    pub fn new() -> Result<Arc<Self>> {
        let fd = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).map_err(|e| Error::io("eventfd", e))?;
        Ok(Arc::new(Self(fd)))
    }

    pub fn fd(&self) -> &EventFd {
        &self.0
    }
}

impl Vector for EventVector {
    fn take(&self) -> Result<u64> {
        match self.0.read() {
            Ok(n) => Ok(n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(e) => Err(Error::io("reading an interrupt's eventfd", e)),
        }
    }

    fn wait(&self, timeout: Duration) -> Result<u64> {
        // Rounded up, or the last millisecond would be spent spinning.
        let ms = i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        let mut fd = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid structure, for as long as the call takes.
        if unsafe { libc::poll(&mut fd, 1, ms) } < 0 {
            let e = io::Error::last_os_error();
            // A signal: the caller's loop looks at its time and comes back.
            return if e.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(Error::io("poll", e)) };
        }
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn interrupts_are_counted_and_waiting_ends() {
        let v = EventVector::new().unwrap();
        assert_eq!(v.take().unwrap(), 0);
        v.fd().write(2).unwrap();
        v.fd().write(1).unwrap();
        assert_eq!(v.wait(Duration::from_secs(10)).unwrap(), 3);
        let before = Instant::now();
        assert_eq!(v.wait(Duration::from_millis(20)).unwrap(), 0);
        assert!(before.elapsed() >= Duration::from_millis(20));
        let other = v.clone();
        let t = std::thread::spawn(move || other.wait(Duration::from_secs(10)).unwrap());
        v.fd().write(1).unwrap();
        assert_eq!(t.join().unwrap(), 1);
    }
}
