//! What is at an output's place, and whether a new file may take it. Asked before the work, so that nobody waits for what
//! cannot be kept, and once more before the new file takes its place.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, PROC_SUPER_MAGIC, StatxAttributes, StatxFlags, fstatfs, openat, statx};

use crate::{Error, Result, holder, input, lock};

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// Where a name leads to.
pub(crate) enum There {
    /// Nothing is there, or a link that leads to nothing.
    Nothing,
    /// A file, or a link to one: a new file may take the name.
    File(Metadata),
    /// What is written from its beginning to its end, and never replaced: a character device.
    Device,
    /// One of a process's descriptors, by its name in procfs.
    Descriptor(PathBuf),
}

/// What is at `path`. An error if no output may be there, of whatever kind.
pub(crate) fn examine(path: &Path) -> Result<There> {
    let kind = |kind| Err(Error::Kind { path: path.to_owned(), kind, hint: "give a file" });
    let name = path.as_os_str().as_bytes();
    if path.file_name().is_none() || name.ends_with(b"/") || name.ends_with(b"/.") {
        return kind("directory");
    }
    if let Some(descriptor) = descriptor(path)? {
        return Ok(There::Descriptor(descriptor));
    }
    // Where the name leads to says what is meant.
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
        Err(source) => return Err(Error::io("examine", path)(source)),
    };
    match meta.file_type() {
        file if file.is_char_device() => Ok(There::Device),
        file if !file.is_file() => kind(input::name(file)),
        _ => {
            replaceable(path)?;
            Ok(There::File(meta))
        }
    }
}

/// The name in procfs that `path` leads through. Such a link (`/dev/stdout` ends on one) says which open file is meant and not
/// which name: nothing can take its place, and what it leads to has a name only by chance.
fn descriptor(path: &Path) -> Result<Option<PathBuf>> {
    let mut at = path.to_owned();
    for _ in 0..LINKS {
        let is_link = std::fs::symlink_metadata(&at).is_ok_and(|meta| meta.file_type().is_symlink());
        if !is_link {
            return Ok(None);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let on = openat(CWD, &at, flags, Mode::empty()).and_then(fstatfs);
        if on.map_err(|e| Error::io("examine", path)(e.into()))?.f_type == PROC_SUPER_MAGIC {
            return Ok(Some(at));
        }
        let target = std::fs::read_link(&at).map_err(Error::io("examine", path))?;
        at = at.parent().unwrap_or(Path::new("")).join(target);
    }
    Ok(None)
}

/// That a new file may take the place of the file at `path`. A link there is replaced and not what it leads to, so that nothing
/// is lost with it.
fn replaceable(path: &Path) -> Result<()> {
    let meta = std::fs::symlink_metadata(path).map_err(Error::io("examine", path))?;
    if !meta.is_file() {
        return Ok(());
    }
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    if meta.permissions().mode() & 0o222 == 0 {
        // A mode without any write bit says what its owner wants, even to root.
        return Err(Error::NotWritable { path: path.to_owned(), source: refused() });
    }
    // A kernel without statx (before 4.11) or without the bit (5.8) says so at the rename.
    let there = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS);
    if there.is_ok_and(|there| there.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)) {
        return Err(Error::Kind { path: path.to_owned(), kind: "mount point", hint: "give a file" });
    }
    let mut either = OpenOptions::new();
    either.custom_flags(O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    let file = either.read(true).open(path).or_else(|_| either.read(false).write(true).open(path));
    let file = match file {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Neither read nor written: another's, of whom it cannot be known who uses it.
        Err(source) => return Err(Error::NotWritable { path: path.to_owned(), source }),
    };
    unused(path, &file)
}

/// That nobody has the file locked: who has it open would go on with a file that has no name any more.
fn unused(path: &Path, file: &File) -> Result<()> {
    match lock::is_held(file) {
        Ok(false) => Ok(()),
        Ok(true) => {
            let meta = file.metadata().map_err(Error::io("examine", path))?;
            let holders = holder::holders(&meta, file.as_raw_fd());
            let hint = "it would go on with a file that nobody sees any more; end it, or give the output another name";
            Err(Error::Locked { path: path.to_owned(), holders, hint })
        }
        // A file system without locks has no holders either.
        Err(_) => Ok(()),
    }
}

/// The open file of a name in procfs, to be written to. What this process has as its standard output and standard error
/// is written where they are (`>>` appends); of other descriptors only what has no place in it can be opened anew.
pub(crate) fn open_descriptor(path: &Path, in_procfs: &Path) -> Result<File> {
    let folder = in_procfs.parent().and_then(|folder| folder.canonicalize().ok());
    let ours = Path::new("/proc").join(std::process::id().to_string()).join("fd");
    let number = in_procfs.file_name().and_then(|name| name.to_str());
    let standard = match number.filter(|_| folder.as_deref() == Some(&ours)) {
        Some("1") => Some(io::stdout().as_fd().try_clone_to_owned()),
        Some("2") => Some(io::stderr().as_fd().try_clone_to_owned()),
        _ => None,
    };
    if let Some(standard) = standard {
        return Ok(File::from(standard.map_err(Error::io("open", path))?));
    }
    let meta = std::fs::metadata(in_procfs).map_err(Error::io("open", path))?;
    let kind = meta.file_type();
    if kind.is_char_device() || kind.is_fifo() {
        let opened = OpenOptions::new().write(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(in_procfs);
        let file = opened.map_err(Error::io("open", path))?;
        // As it is a description of its own, nobody else's writes begin to wait by this.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty())).map_err(|e| Error::io("prepare", path)(e.into()))?;
        return Ok(file);
    }
    let hint = "give the file's own name, or /dev/stdout";
    Err(Error::Kind { path: path.to_owned(), kind: "link to a descriptor", hint })
}
