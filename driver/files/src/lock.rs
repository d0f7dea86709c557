//! Locks on images, as QEMU takes them (`block/file-posix.c`), so that it and its tools and we know of each other.
//!
//! QEMU gives each permission of its block layer two bytes of the file: a shared lock on byte 100 + *p* says "I use *p*", one
//! on byte 200 + *p* says "I do not let others use *p*". Nobody ever holds an exclusive lock: who wants *p* asks whether
//! an exclusive lock on the byte against it would be refused. The locks belong to the open file description, so that two
//! openings in one process exclude each other, too, and they end with it, however the process ends.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, flock};

/// The first byte of the permissions in use, and of those that are not shared.
const USED: i64 = 100;
const UNSHARED: i64 = 200;

/// Permissions of QEMU's block layer, by their bits there (`include/block/block-common.h`).
const CONSISTENT_READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

/// Takes the locks of a disk's owner: it reads, unless it is read-only it writes, and nobody else may write or resize. False
/// if somebody already does, or does not let us.
pub(crate) fn take(file: &File, read_only: bool) -> io::Result<bool> {
    let used = if read_only { &[CONSISTENT_READ][..] } else { &[CONSISTENT_READ, WRITE][..] };
    let unshared = [WRITE, RESIZE];
    // Ours first, then the look at the others': of two who come at once, at least one sees the other.
    let ours = used.iter().map(|p| USED + p).chain(unshared.iter().map(|p| UNSHARED + p));
    for byte in ours {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&range(libc::F_RDLCK, byte))) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
    }
    let against = used.iter().map(|p| UNSHARED + p).chain(unshared.iter().map(|p| USED + p));
    for byte in against {
        let mut asked = range(libc::F_WRLCK, byte);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked))?;
        if i32::from(asked.l_type) != libc::F_UNLCK {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether anybody else has a lock on any permission of the file.
pub(crate) fn is_held(file: &File) -> io::Result<bool> {
    let mut asked = flock { l_len: 2 * (UNSHARED - USED), ..range(libc::F_WRLCK, USED) };
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked))?;
    Ok(i32::from(asked.l_type) != libc::F_UNLCK)
}

fn range(kind: i32, byte: i64) -> flock {
    flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: byte, l_len: 1, l_pid: 0 }
}
