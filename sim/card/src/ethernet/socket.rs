//! A Unix socket to another simulated card: a frame a packet. Whoever comes first listens, the other connects; when one goes, the
//! other waits for a new one.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azote_files::Socket;
use nix::errno::Errno;
use nix::poll::PollTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::Wire;
use super::descriptor::{Reader, Until};
use super::inbox::Inbox;
use crate::{Bell, Error};

/// How long between two attempts to find a peer or to become the one that listens, in milliseconds.
const PAUSE: u16 = 100;

/// Who is at the other end. A `UnixStream` by its type alone: it is a socket of packets, each `read` and `write` is one.
type Peer = Arc<Mutex<Option<Arc<UnixStream>>>>;

/// One end of a Unix socket of packets (SOCK_SEQPACKET). Frames are lost while nobody is at the other end, or while that one does not
/// read what it has.
pub struct PeerSocket {
    inbox: Arc<Inbox>,
    peer: Peer,
    _reader: Reader,
}

impl PeerSocket {
    /// Connects to who listens at `path`; if nobody does, listens there.
    pub fn open(path: &Path) -> Result<PeerSocket, Error> {
        let first = Seat::take(path)?;
        let (inbox, peer) = (Arc::new(Inbox::default()), Peer::default());
        if let Seat::Connected(socket) = &first {
            *lock(&peer) = Some(socket.clone());
        }
        let work = Work { path: path.to_owned(), inbox: inbox.clone(), peer: peer.clone() };
        let reader = Reader::start("peer", move |until| work.run(&until, first));
        let reader =
            reader.map_err(|source| Error::Io { what: "start a thread for", path: path.to_owned(), source })?;
        Ok(PeerSocket { inbox, peer, _reader: reader })
    }

    /// Whether somebody is at the other end.
    pub fn is_connected(&self) -> bool {
        lock(&self.peer).is_some()
    }
}

fn lock(peer: &Peer) -> MutexGuard<'_, Option<Arc<UnixStream>>> {
    peer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this end is.
enum Seat {
    Connected(Arc<UnixStream>),
    Listening(Socket),
}

impl Seat {
    fn take(path: &Path) -> Result<Seat, Error> {
        let io = |what| move |error: Errno| Error::Io { what, path: path.to_owned(), source: error.into() };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let ours = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(io("make a socket for"))?;
        let address = UnixAddr::new(path).map_err(io("use as a socket's path (107 bytes at most)"))?;
        match connect(ours.as_raw_fd(), &address) {
            Ok(()) => Ok(Seat::Connected(Arc::new(ours.into()))),
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => {
                let listening = Socket::claim_packets(path)?;
                let set = listening.listener().set_nonblocking(true);
                set.map_err(|source| Error::Io { what: "listen at", path: path.to_owned(), source })?;
                Ok(Seat::Listening(listening))
            }
            Err(error) => Err(io("connect to")(error)),
        }
    }
}

/// The thread's work.
struct Work {
    path: PathBuf,
    inbox: Arc<Inbox>,
    peer: Peer,
}

impl Work {
    fn run(&self, until: &Until, first: Seat) {
        let mut seat = Some(first);
        loop {
            match seat.take() {
                Some(Seat::Connected(socket)) => self.serve(until, socket),
                Some(Seat::Listening(listener)) => {
                    if !until.readable(Some(listener.listener().as_fd()), PollTimeout::NONE) {
                        return;
                    }
                    let accepted = listener.listener().accept();
                    let ready = accepted.and_then(|(socket, _)| socket.set_nonblocking(true).map(|()| socket));
                    if let Ok(socket) = ready {
                        self.serve(until, Arc::new(socket));
                    }
                    seat = Some(Seat::Listening(listener));
                }
                None => seat = Seat::take(&self.path).ok(),
            }
            // The end is looked for in any case; a peer that comes and goes costs no more than this.
            if !until.readable(None, PollTimeout::from(PAUSE)) {
                return;
            }
        }
    }

    /// Reads what a peer sends until it is gone.
    fn serve(&self, until: &Until, socket: Arc<UnixStream>) {
        *lock(&self.peer) = Some(socket.clone());
        until.read(socket.as_fd(), &self.inbox, |buffer| (&*socket).read(buffer));
        *lock(&self.peer) = None;
    }
}

impl Wire for PeerSocket {
    fn send(&mut self, frame: &[u8]) -> bool {
        let peer = lock(&self.peer).clone();
        peer.is_some_and(|peer| (&*peer).write(frame).is_ok())
    }

    fn receive(&mut self, _now: Duration) -> Option<Vec<u8>> {
        self.inbox.pop()
    }

    fn is_ready(&self, _now: Duration) -> bool {
        !self.inbox.is_empty()
    }

    fn ring(&mut self, bell: Arc<Bell>) {
        self.inbox.ring(bell);
    }

    fn rest(&self, most: Duration) -> bool {
        self.inbox.rest(most);
        true
    }
}
