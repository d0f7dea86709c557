//! The socket's end in the hypervisor: part of its main loop, and never waits for a client.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    mem::ManuallyDrop,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use azote_files::Socket;

use super::{LINE_MAX, Request};
use crate::{Error, Result, caretaker, descriptors::Reserve};

/// Clients at once.
const CLIENTS_MAX: usize = 16;

/// Who answers.
pub trait Handler {
    /// Does what is asked.
    fn handle(&mut self, request: Request) -> serde_json::Value;
}

/// The listener and its clients.
pub struct Server {
    socket: ManuallyDrop<Socket>,
    clients: BTreeMap<RawFd, Client>,
    /// Descriptors for clients: without one a client could not even be turned away, and the listener would stay ready for ever.
    reserve: Reserve,
    /// The caretaker removes the socket.
    leave: bool,
}

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Server {
    /// Listens. A socket that nobody listens on any more is taken over; anything else that is there stays, and is an error.
    pub fn bind(path: &Path) -> Result<Self> {
        let socket = Socket::claim(path)?;
        let leave = caretaker::has_socket(path);
        socket.listener().set_nonblocking(true).map_err(Error::io("preparing the API's socket"))?;
        // One more than there are clients, to turn the next one away.
        let reserve = Reserve::new(socket.listener().as_fd(), CLIENTS_MAX + 1);
        let reserve = reserve.map_err(Error::io("putting descriptors by for the API's clients"))?;
        Ok(Self { socket: ManuallyDrop::new(socket), clients: BTreeMap::new(), reserve, leave })
    }

    /// What the main loop waits for.
    pub fn listener(&self) -> RawFd {
        self.socket.listener().as_raw_fd()
    }

    /// Takes a client; its descriptor is to be waited for. `None` if there was none, or one too many.
    pub fn accept(&mut self) -> Option<RawFd> {
        self.reserve.give();
        match self.socket.listener().accept() {
            Ok((stream, _)) if self.clients.len() < CLIENTS_MAX && stream.set_nonblocking(true).is_ok() => {
                let fd = stream.as_raw_fd();
                self.clients.insert(fd, Client { stream, received: Vec::new() });
                Some(fd)
            }
            other => {
                // Whoever it was is turned away here.
                drop(other);
                self.put_by();
                None
            }
        }
    }

    /// Serves a client that has sent something or gone. Closing its descriptor ends the wait for it.
    pub fn serve(&mut self, fd: RawFd, handler: &mut dyn Handler) {
        let Some(client) = self.clients.get_mut(&fd) else { return };
        if !client.serve(handler) {
            self.clients.remove(&fd);
            self.put_by();
        }
    }

    fn put_by(&mut self) {
        let listener: BorrowedFd<'_> = self.socket.listener().as_fd();
        self.reserve.take(listener);
    }
}

impl Client {
    /// False when it is over.
    fn serve(&mut self, handler: &mut dyn Handler) -> bool {
        let mut bytes = [0; 512];
        match self.stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) => self.received.extend_from_slice(&bytes[..count]),
            Err(e) => return [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&e.kind()),
        }
        while let Some(end) = self.received.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            let answer = match serde_json::from_slice(&line) {
                Ok(request) => handler.handle(request),
                Err(e) => serde_json::json!({ "error": format!("no such request: {e}") }),
            };
            // A client that does not read its answers is none.
            if self.stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
                return false;
            }
        }
        self.received.len() <= LINE_MAX
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.leave {
            // SAFETY: dropped once, here, and not used any more.
            unsafe { ManuallyDrop::drop(&mut self.socket) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::BufRead, os::unix::net::UnixListener, time::Duration};

    struct Echo;
    impl Handler for Echo {
        fn handle(&mut self, request: Request) -> serde_json::Value {
            serde_json::json!({ "got": request })
        }
    }

    fn answers(send: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api");
        let mut server = Server::bind(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let fd = server.accept().unwrap();
        let mut lines = Vec::new();
        for chunk in send.chunks(512) {
            if client.write_all(chunk).is_err() {
                break;
            }
            server.serve(fd, &mut Echo);
        }
        client.shutdown(std::net::Shutdown::Write).unwrap();
        server.serve(fd, &mut Echo);
        server.clients.clear();
        for line in io::BufReader::new(client).lines() {
            match line {
                Ok(line) => lines.push(line),
                Err(_) => break,
            }
        }
        lines
    }

    #[test]
    fn requests_are_answered_line_by_line() {
        let got = answers(b"{\"command\":\"state\"}\n{\"command\":\"power-button\"}\n");
        assert_eq!(got, [r#"{"got":{"command":"state"}}"#, r#"{"got":{"command":"power-button"}}"#]);
    }

    #[test]
    fn what_is_no_request_gets_an_error_and_what_never_ends_is_cut_off() {
        for bad in ["\n", "{}\n", "{\"command\":\"explode\"}\n", "state\n", "\u{0}\n"] {
            let got = answers(bad.as_bytes());
            assert!(got.len() == 1 && got[0].contains("\"error\""), "{bad:?}: {got:?}");
        }
        assert_eq!(answers(&[b'x'; 3 * LINE_MAX]), [""; 0]);
    }

    #[test]
    fn a_socket_left_behind_is_taken_over_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api");
        drop(UnixListener::bind(&path).unwrap());
        let server = Server::bind(&path).unwrap();
        assert!(Server::bind(&path).is_err());
        drop(server);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_at_its_place_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        std::fs::write(&path, "precious").unwrap();
        let e = Server::bind(&path).err().unwrap().to_string();
        assert!(e.contains("disk.img") && std::fs::read(&path).unwrap() == b"precious", "{e}");
    }

    #[test]
    fn one_client_too_many_is_turned_away_and_the_next_finds_the_place_of_one_that_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api");
        let mut server = Server::bind(&path).unwrap();
        let mut clients: Vec<_> = (0..CLIENTS_MAX).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let fds: Vec<_> = clients.iter().map(|_| server.accept().unwrap()).collect();
        let mut late = UnixStream::connect(&path).unwrap();
        assert_eq!(server.accept(), None);
        assert_eq!(late.read(&mut [0]).unwrap(), 0);
        drop(clients.remove(0));
        server.serve(fds[0], &mut Echo);
        let _next = UnixStream::connect(&path).unwrap();
        assert!(server.accept().is_some());
    }
}
