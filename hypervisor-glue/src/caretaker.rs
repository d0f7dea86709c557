//! A second process that waits for the end of this one and clears up behind it: the API's socket, which nobody can remove
//! from inside the jail, and the terminal, which a process that was killed leaves without echo.
//!
//! It is made before there are threads and before the jail, holds no descriptor but a pipe and the terminal, and does nothing until the
//! pipe's other end is gone, which the kernel sees to whatever has ended the hypervisor. What it may touch is fixed when
//! it is made: of the hypervisor, which a guest may have taken over by then, it takes numbers only.

use std::{
    fs::{self, File, TryLockError},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::Duration,
};

use crate::terminal;

/// How often, and how long between, a lock that another has is waited for.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// The pipe to it.
static PIPE: OnceLock<File> = OnceLock::new();

/// What it may clear up.
struct Charge {
    socket: Option<PathBuf>,
    terminal: Option<libc::termios>,
}

/// Makes it, if there is anything that could need it. The process must have one thread.
pub(crate) fn start(socket: Option<&Path>, with_terminal: bool) -> io::Result<()> {
    let charge = Charge {
        // From any folder: ours may not be its.
        socket: socket.map(std::path::absolute).transpose()?,
        terminal: if with_terminal { terminal::settings() } else { None },
    };
    if charge.socket.is_none() && charge.terminal.is_none() {
        return Ok(());
    }
    let (reader, writer) = io::pipe()?;
    // SAFETY: there is one thread, so the child finds no lock held by another and may do what any process may.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(writer);
            care(OwnedFd::from(reader), &charge);
            // SAFETY: ends the child; what its parent had is not its to give back.
            unsafe { libc::_exit(0) }
        }
        _ => {
            let _ = PIPE.set(File::from(OwnedFd::from(writer)));
            Ok(())
        }
    }
}

/// The child.
fn care(pipe: OwnedFd, charge: &Charge) {
    // What is sent to all processes of a terminal or of a service is for the hypervisor.
    for signal in
        [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGTTOU, libc::SIGTSTP]
    {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: calls without pointers but a C string. Descriptor 0 stays if it is the terminal; the pipe becomes 3, and what is above
    // is closed, so that nobody waits for an end of file that this process holds up.
    let pipe = unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, c"azote-caretaker".as_ptr());
        if libc::dup2(pipe.as_raw_fd(), 3) != 3 {
            return;
        }
        std::mem::forget(pipe);
        if charge.terminal.is_none() {
            libc::close(0);
        }
        libc::close(1);
        libc::close(2);
        libc::close_range(4, libc::c_uint::MAX, 0);
        File::from_raw_fd(3)
    };
    let (mut socket, mut raw) = (None, false);
    for line in BufReader::new(pipe).lines().map_while(io::Result::ok) {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["socket", device, inode] => socket = device.parse().ok().zip(inode.parse().ok()),
            ["terminal", "raw"] => raw = true,
            ["terminal", "found"] => raw = false,
            _ => {}
        }
    }
    if let (true, Some(settings)) = (raw, &charge.terminal) {
        let _ = terminal::set(settings);
    }
    if let (Some(path), Some(is)) = (&charge.socket, socket) {
        remove(path, is);
    }
}

/// Removes a socket, if it still is the one that was made.
fn remove(path: &Path, is: (u64, u64)) {
    let _lock = path.parent().and_then(|folder| lock(File::open(folder).ok()?));
    let same = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket() && (m.dev(), m.ino()) == is);
    if same {
        let _ = fs::remove_file(path);
    }
}

/// Locks a folder, as everybody does who puts a socket into it (`azote_files::Socket`): between the look and the removal no other comes
/// there. That takes others microseconds. Whoever keeps the lock puts no socket there, and is not waited for.
fn lock(folder: File) -> Option<File> {
    for _ in 0..TRIES {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(_)) => return None,
        }
    }
    None
}

fn tell(what: &str) -> bool {
    // A few bytes into a pipe that nobody fills: it does not wait.
    PIPE.get().is_some_and(|mut pipe| pipe.write_all(what.as_bytes()).is_ok())
}

/// The socket is there. Whether somebody will remove it.
pub(crate) fn has_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| tell(&format!("socket {} {}\n", m.dev(), m.ino())))
}

/// The terminal's keys go to the guest now.
pub(crate) fn has_terminal() {
    tell("terminal raw\n");
}

/// The terminal is as it was found. From a handler of signals, too.
pub(crate) fn terminal_is_back() {
    tell("terminal found\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_the_socket_that_was_made_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api");
        let _first = UnixListener::bind(&path).unwrap();
        let is = |path: &Path| fs::symlink_metadata(path).map(|m| (m.dev(), m.ino())).unwrap();
        let first = is(&path);
        // Another took its place; both exist, so that they cannot have one number.
        fs::rename(&path, dir.path().join("old")).unwrap();
        let _second = UnixListener::bind(&path).unwrap();
        remove(&path, first);
        assert!(path.exists());
        remove(&path, is(&path));
        assert!(!path.exists());
        fs::write(&path, "a file").unwrap();
        remove(&path, is(&path));
        assert!(path.exists());
    }

    #[test]
    fn whoever_keeps_the_folder_locked_keeps_no_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api");
        let _listener = UnixListener::bind(&path).unwrap();
        let is = fs::symlink_metadata(&path).map(|m| (m.dev(), m.ino())).unwrap();
        let folder = File::open(dir.path()).unwrap();
        folder.lock().unwrap();
        let (sender, removed) = std::sync::mpsc::channel();
        let theirs = path.clone();
        thread::spawn(move || {
            remove(&theirs, is);
            sender.send(())
        });
        removed.recv_timeout(Duration::from_secs(300)).unwrap();
        assert!(!path.exists());
    }
}
