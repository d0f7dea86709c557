//! Where the server listens: a loopback port or a unix socket. NBD has no authentication here, so nothing else.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::{ffi::OsStrExt, net::UnixStream},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use azote_files::Socket;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_encode};

use crate::{Error, number};

/// Where to listen: `unix:PATH`, `ADDRESS:PORT` or a port alone; port 0 takes a free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A loopback port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err("`unix:` wants a path".into()) } else { Ok(Self::Unix(path.into())) };
        }
        let address = match number::whole(text).and_then(|port| u16::try_from(port).map_err(|e| e.to_string())) {
            Ok(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            Err(_) => text.parse().map_err(|_| "expected unix:PATH, PORT or ADDRESS:PORT".to_owned())?,
        };
        if address.ip().is_loopback() {
            Ok(Self::Tcp(address))
        } else {
            Err(format!("{} is not a loopback address; NBD has no passwords, forward the port with ssh", address.ip()))
        }
    }
}

impl fmt::Display for Listen {
    /// As an NBD URI, without an export name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "nbd://{address}"),
            Self::Unix(path) => write!(f, "nbd+unix:///?socket={}", encoded(path.as_os_str().as_bytes())),
        }
    }
}

/// What stands for itself in an NBD URI: unreserved characters (RFC 3986, 2.3) and the slash, which separates nothing there.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

fn encoded(bytes: &[u8]) -> PercentEncode<'_> {
    percent_encode(bytes, PLAIN)
}

impl Listen {
    /// The NBD URI of an export.
    #[must_use]
    pub fn uri(&self, export: &str) -> String {
        match self {
            Self::Tcp(address) => format!("nbd://{address}/{}", encoded(export.as_bytes())),
            Self::Unix(path) => {
                format!("nbd+unix:///{}?socket={}", encoded(export.as_bytes()), encoded(path.as_os_str().as_bytes()))
            }
        }
    }
}

/// A bound socket. A unix socket is removed when it is dropped.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(Socket),
}

impl Listener {
    /// Binds the socket.
    pub fn bind(listen: &Listen) -> Result<Self, Error> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => Error::Busy { address: listen.to_string() },
            _ => Error::Listen { address: listen.to_string(), source },
        };
        let this = match listen {
            Listen::Tcp(address) => Self::Tcp(TcpListener::bind(address).map_err(failed)?),
            Listen::Unix(path) => Self::Unix(Socket::claim(path)?),
        };
        // Looked at between other things: see `Server::serve`.
        match &this {
            Self::Tcp(l) => l.set_nonblocking(true),
            Self::Unix(socket) => socket.listener().set_nonblocking(true),
        }
        .map_err(failed)?;
        Ok(this)
    }

    /// Where it listens: with the port that was taken.
    pub fn address(&self) -> io::Result<Listen> {
        Ok(match self {
            Self::Tcp(l) => Listen::Tcp(l.local_addr()?),
            Self::Unix(socket) => Listen::Unix(socket.path().to_owned()),
        })
    }

    /// Takes a connection if one waits.
    pub(super) fn accept(&self) -> io::Result<Option<Stream>> {
        let stream = match self {
            Self::Tcp(l) => l.accept().map(|(s, _)| Stream::Tcp(s)),
            Self::Unix(socket) => socket.listener().accept().map(|(s, _)| Stream::Unix(s)),
        };
        match stream {
            Ok(stream) => {
                stream.prepare()?;
                Ok(Some(stream))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Tcp(s) => {
                s.set_nonblocking(false)?;
                s.set_nodelay(true)
            }
            Self::Unix(s) => s.set_nonblocking(false),
        }
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(s) => Self::Tcp(s.try_clone()?),
            Self::Unix(s) => Self::Unix(s.try_clone()?),
        })
    }

    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(s) => s.set_read_timeout(timeout),
            Self::Unix(s) => s.set_read_timeout(timeout),
        }
    }

    /// Ends the connection, for all of its clones.
    pub fn close(&self) {
        let _ = match self {
            Self::Tcp(s) => s.shutdown(Shutdown::Both),
            Self::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.read(data),
            Self::Unix(s) => s.read(data),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.write(data),
            Self::Unix(s) => s.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn uris_are_percent_encoded() {
        let unix = Listen::Unix("/tmp/a b?c&d%e/ü".into());
        assert_eq!(unix.uri("vf 0/#"), "nbd+unix:///vf%200/%23?socket=/tmp/a%20b%3Fc%26d%25e/%C3%BC");
        assert_eq!(unix.to_string(), "nbd+unix:///?socket=/tmp/a%20b%3Fc%26d%25e/%C3%BC");
        let tcp: Listen = "[::1]:5".parse().unwrap();
        assert_eq!(tcp.uri("0000:01:00.4"), "nbd://[::1]:5/0000%3A01%3A00.4");
    }

    #[test]
    fn addresses_are_loopback_or_unix() {
        assert_eq!("10809".parse(), Ok(Listen::Tcp(([127, 0, 0, 1], 10809).into())));
        assert_eq!("0x2a39".parse(), Ok(Listen::Tcp(([127, 0, 0, 1], 10809).into())));
        assert_eq!("unix:/a/b".parse(), Ok(Listen::Unix("/a/b".into())));
        assert!("[::1]:5".parse::<Listen>().is_ok());
        assert!("0.0.0.0:5".parse::<Listen>().unwrap_err().contains("loopback"));
        assert!("host:x".parse::<Listen>().is_err() && "unix:".parse::<Listen>().is_err());
    }

    #[test]
    fn a_busy_port_is_named() {
        let first = Listener::bind(&"0".parse().unwrap()).unwrap();
        let e = Listener::bind(&first.address().unwrap()).unwrap_err();
        assert!(matches!(e, Error::Busy { .. }), "{e}");
    }

    #[test]
    fn a_stale_socket_is_taken_over_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listen = Listen::Unix(path.clone());
        drop(UnixListener::bind(&path).unwrap());
        let live = Listener::bind(&listen).unwrap();
        assert!(Listener::bind(&listen).unwrap_err().to_string().contains("in use"));
        drop(live);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&listen).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
