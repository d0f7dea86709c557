//! A server's socket: it takes the place of nothing but a socket that is dead, and is gone at the end.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};

use crate::pending::Pending;
use crate::{Error, Result, input};

/// A socket that this process listens at. Dropped, its file is gone, unless another's is in its place.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    pending: Pending,
}

/// How often, and how long between, another process's claim in the same folder is waited for. A claim takes microseconds.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

impl Socket {
    /// Listens at `path`. What is there is left as it is and refused, unless it is a socket that nobody listens at any more
    /// (a connection is refused). Two processes that claim one path at once do so one after the other, under a lock of
    /// its folder.
    pub fn claim(path: &Path) -> Result<Self> {
        Self::new(path, SockType::Stream)
    }

    /// The same with a socket of packets (SOCK_SEQPACKET); what is accepted there keeps them apart.
    pub fn claim_packets(path: &Path) -> Result<Self> {
        Self::new(path, SockType::SeqPacket)
    }

    fn new(path: &Path, kind: SockType) -> Result<Self> {
        let refused = |reason: String| Err(Error::Socket { path: path.to_owned(), reason });
        let Ok(address) = UnixAddr::new(path) else {
            return refused("is too long for a socket's path (107 bytes); give a shorter one".into());
        };
        let lock = lock_folder(path)?;
        match std::fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io("examine", path)(source)),
            Ok(meta) if !meta.file_type().is_socket() => {
                let kind = input::name(meta.file_type());
                return refused(format!("a {kind} is there, and stays; remove it, or give another path"));
            }
            Ok(_) if !is_dead(path)? => {
                return refused("already in use: somebody listens there; end that, or give another path".into());
            }
            Ok(_) => std::fs::remove_file(path).map_err(Error::io("remove the dead socket", path))?,
        }
        let failed = |e: Errno| Error::io("listen at", path)(e.into());
        let listener = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
        bind(listener.as_raw_fd(), &address).and_then(|()| listen(&listener, Backlog::MAXCONN)).map_err(failed)?;
        let listener = UnixListener::from(listener);
        let meta = std::fs::symlink_metadata(path).map_err(Error::io("examine", path))?;
        let pending = Pending::new(path, &meta, None);
        drop(lock);
        Ok(Self { listener, path: path.to_owned(), pending })
    }

    /// The socket to accept from.
    #[must_use]
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Under the lock: between the look and the removal nobody puts a socket of theirs there.
        let _lock = lock_folder(&self.path);
        if self.pending.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn lock_folder(path: &Path) -> Result<File> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = File::open(folder).map_err(Error::io("find the folder of", path))?;
    for _ in 0..TRIES {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(std::fs::TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(std::fs::TryLockError::Error(source)) => return Err(Error::io("lock the folder of", path)(source)),
        }
    }
    Err(Error::Socket { path: path.to_owned(), reason: "another process keeps its folder locked".into() })
}

/// Whether nobody listens there any more. Never waits: a server that is too busy to take a connection is not dead.
fn is_dead(path: &Path) -> Result<bool> {
    let failed = |e: Errno| Error::io("look at the socket", path)(e.into());
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(failed)?;
    let address = UnixAddr::new(path).map_err(failed)?;
    let answer = connect(probe.as_raw_fd(), &address);
    Ok(answer == Err(Errno::ECONNREFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn a_dead_socket_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let live = Socket::claim(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        let e = Socket::claim(&path).unwrap_err().to_string();
        assert!(e.contains("in use"), "{e}");
        UnixStream::connect(&path).unwrap();
        drop(live);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        let e = Socket::claim(&path).unwrap_err().to_string();
        assert!(e.contains("a file is there"), "{e}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(Socket::claim(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        let _datagrams = UnixDatagram::bind(&path).unwrap();
        assert!(Socket::claim(&path).is_err(), "somebody's, of another kind");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no lock file");
    }

    #[test]
    fn a_server_that_takes_nobody_any_more_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let flags = SockFlag::SOCK_CLOEXEC;
        let server = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&server), &UnixAddr::new(&path).unwrap()).unwrap();
        nix::sys::socket::listen(&server, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let _first = UnixStream::connect(&path).unwrap();
        assert!(Socket::claim(&path).unwrap_err().to_string().contains("in use"));
    }

    #[test]
    fn the_last_owner_leaves_the_next_ones_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = Socket::claim(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _second = Socket::claim(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn of_many_who_claim_a_dead_socket_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let claims: Vec<_> = thread::scope(|scope| {
            let claims: Vec<_> = (0..8).map(|_| scope.spawn(|| Socket::claim(&path))).collect();
            claims.into_iter().map(|c| c.join().unwrap()).collect()
        });
        assert_eq!(claims.iter().filter(|c| c.is_ok()).count(), 1);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_claim_waits_for_another_in_its_folder_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let claiming = File::open(folder.path()).unwrap();
        claiming.lock().unwrap();
        assert!(Socket::claim(&path).unwrap_err().to_string().contains("locked"));
        drop(claiming);
        Socket::claim(&path).unwrap();
    }

    #[test]
    fn a_path_that_is_too_long_is_said_to_be() {
        let path = Path::new("/tmp").join("x".repeat(120));
        assert!(Socket::claim(&path).unwrap_err().to_string().contains("too long"));
    }
}
