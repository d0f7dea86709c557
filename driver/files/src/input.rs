//! Opening what a user names, without ever waiting for it. Opening a FIFO waits for its other end, opening some devices
//! starts something; so a name is looked at before it is opened, and what it led to once more afterwards.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_NOCTTY, O_NONBLOCK};

use crate::{Error, Result};

/// What is to be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Read and written.
    ReadWrite,
}

/// Opens a regular file or a block device. Anything else is refused at once, with what it is: the call never waits.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let fifo = folder.path().join("fifo");
/// nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)?;
/// let error = azote_files::open(&fifo, azote_files::Access::Read).unwrap_err();
/// assert!(error.to_string().contains("is a FIFO"));
/// # Ok(())
/// # }
/// ```
pub fn open(path: &Path, access: Access) -> Result<File> {
    let kind = std::fs::metadata(path).map_err(Error::io("open", path))?.file_type();
    check(path, kind)?;
    let write = access == Access::ReadWrite;
    let opened = OpenOptions::new().read(true).write(write).custom_flags(O_NONBLOCK | O_NOCTTY).open(path);
    let file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::ExecutableFileBusy
            if write =>
        {
            Error::NotWritable { path: path.to_owned(), source }
        }
        _ => Error::io("open", path)(source),
    })?;
    // It may have become another since.
    check(path, file.metadata().map_err(Error::io("examine", path))?.file_type())?;
    Ok(file)
}

fn check(path: &Path, kind: FileType) -> Result<()> {
    if kind.is_file() || kind.is_block_device() {
        return Ok(());
    }
    Err(Error::Kind { path: path.to_owned(), kind: name(kind), hint: "give a file or a block device" })
}

/// What a file is, for people.
pub(crate) fn name(kind: FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "directory",
        () if kind.is_fifo() => "FIFO",
        () if kind.is_socket() => "socket",
        () if kind.is_char_device() => "character device",
        () if kind.is_block_device() => "block device",
        () if kind.is_symlink() => "symbolic link",
        () => "file",
    }
}
