//! The socket's end in the hypervisor: part of its main loop, and never waits for a client.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read, Write},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use super::{LINE_MAX, Request};

/// Clients at once.
const CLIENTS_MAX: usize = 16;

/// Who answers.
pub trait Handler {
    /// Does what is asked.
    fn handle(&mut self, request: Request) -> serde_json::Value;
}

/// The listener and its clients.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    clients: BTreeMap<RawFd, Client>,
    leave: bool,
}

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Server {
    /// Listens. A socket that a hypervisor which was killed has left is taken over; one that somebody listens on is not.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                if UnixStream::connect(path).is_ok() {
                    return Err(io::Error::new(e.kind(), "somebody listens there: another guest?"));
                }
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            other => other?,
        };
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned(), clients: BTreeMap::new(), leave: false })
    }

    /// Leaves the socket in its folder at the end: behind the jail nothing can be removed. The next one takes it over.
    pub fn leave_behind(&mut self) {
        self.leave = true;
    }

    /// What the main loop waits for.
    pub fn listener(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// Takes a client; its descriptor is to be waited for. `None` if there was none, or one too many.
    pub fn accept(&mut self) -> Option<RawFd> {
        let (stream, _) = self.listener.accept().ok()?;
        if self.clients.len() >= CLIENTS_MAX || stream.set_nonblocking(true).is_err() {
            return None;
        }
        let fd = stream.as_raw_fd();
        self.clients.insert(fd, Client { stream, received: Vec::new() });
        Some(fd)
    }

    /// Serves a client that has sent something or gone. Closing its descriptor ends the wait for it.
    pub fn serve(&mut self, fd: RawFd, handler: &mut dyn Handler) {
        let Some(client) = self.clients.get_mut(&fd) else { return };
        if !client.serve(handler) {
            self.clients.remove(&fd);
        }
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
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::BufRead, time::Duration};

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
}
