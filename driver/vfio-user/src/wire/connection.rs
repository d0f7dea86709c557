//! A socket that carries messages.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use zerocopy::IntoBytes;

use super::{HEADER, Header, MAX_FDS};
use crate::{Error, Result};

/// A message that came.
#[derive(Debug, Default)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// What follows it.
    pub payload: Vec<u8>,
    /// Descriptors that came beside it.
    pub fds: Vec<OwnedFd>,
}

/// A connected socket. Several threads may send, if each sends under a lock of theirs; one receives.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
}

/// How long a message may take from its first byte to its last.
const MESSAGE_TIME: Duration = Duration::from_secs(10);
/// Memory is taken in such steps as data arrives, so that a large size that is only claimed costs nothing.
const STEP: usize = 64 << 10;

impl Connection {
    /// Takes a connected socket.
    pub fn new(stream: UnixStream) -> Result<Connection> {
        let failed = |source| Error::Socket { what: "setting up the socket", source };
        stream.set_nonblocking(true).map_err(failed)?;
        Ok(Connection { stream })
    }

    /// The next message. Waits for its first byte until `deadline`, if there is one; the rest must then come soon.
    pub fn receive(&self, deadline: Option<Instant>) -> Result<Message> {
        let mut fds = Vec::new();
        let mut header = [0; HEADER];
        self.wait(PollFlags::IN, deadline, "waiting for a message")?;
        let deadline = Instant::now() + MESSAGE_TIME;
        self.fill(&mut header, &mut fds, deadline)?;
        let header = Header::parse(&header).map_err(|e| Error::Protocol(e.to_string()))?;
        let mut payload = Vec::new();
        while payload.len() < header.payload() {
            let at = payload.len();
            payload.resize((at + STEP).min(header.payload()), 0);
            self.fill(&mut payload[at..], &mut fds, deadline)?;
        }
        Ok(Message { header, payload, fds })
    }

    /// Fills a buffer, and keeps the descriptors that come with its bytes.
    fn fill(&self, mut buffer: &mut [u8], fds: &mut Vec<OwnedFd>, deadline: Instant) -> Result<()> {
        while !buffer.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut vectors = [IoSliceMut::new(buffer)];
            match recvmsg(&self.stream, &mut vectors, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => {
                    for message in ancillary.drain() {
                        if let RecvAncillaryMessage::ScmRights(rights) = message {
                            // Those beyond the limit are closed as they are dropped.
                            fds.extend(rights.take(MAX_FDS.saturating_sub(fds.len())));
                        }
                    }
                    if received.bytes == 0 {
                        return Err(Error::Closed);
                    }
                    buffer = &mut buffer[received.bytes..];
                }
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::IN, Some(deadline), "the rest of a message")?,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Err(Error::Closed),
                Err(e) => return Err(Error::Socket { what: "receiving", source: e.into() }),
            }
        }
        Ok(())
    }

    /// Sends a message: its header, whose size is filled in, parts of its payload, descriptors beside it.
    pub fn send(&self, mut header: Header, parts: &[&[u8]], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let payload: usize = parts.iter().map(|p| p.len()).sum();
        header.size = (HEADER + payload) as u32;
        let mut bytes = Vec::with_capacity(HEADER + payload);
        bytes.extend_from_slice(header.as_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let deadline = Instant::now() + MESSAGE_TIME;
        let (mut rest, mut fds) = (&bytes[..], fds);
        while !rest.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
                return Err(Error::Protocol(format!("{} descriptors do not fit beside a message", fds.len())));
            }
            match sendmsg(&self.stream, &[IoSlice::new(rest)], &mut ancillary, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    // They go with the first byte.
                    fds = &[];
                    rest = &rest[sent..];
                }
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::OUT, Some(deadline), "room to send")?,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Err(Error::Closed),
                Err(e) => return Err(Error::Socket { what: "sending", source: e.into() }),
            }
        }
        Ok(())
    }

    /// Ends the connection for both ends; whoever waits here wakes.
    pub fn close(&self) {
        // A socket that is closed already is what was wanted.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn wait(&self, for_what: PollFlags, deadline: Option<Instant>, what: &'static str) -> Result<()> {
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::Silent { what, seconds: MESSAGE_TIME.as_secs() });
            }
            // A duration that fits no timespec is as good as none.
            let time = left.and_then(|left| left.try_into().ok());
            let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), for_what)];
            match poll(&mut fds, time.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(e) => return Err(Error::Socket { what, source: io::Error::from(e) }),
            }
        }
    }
}
