//! The files behind a space's windows: each mapped into this process once, and none in a way that its owner can turn
//! against us.
//!
//! A file that shrinks under a mapping is a SIGBUS for whoever touches it, and its owner may be a hostile guest's
//! hypervisor. So only a file that is sealed against shrinking (as QEMU's and our own memory is) is mapped; any other is
//! read and written by system calls, which cannot fault.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use crate::memory::Remote;
use crate::{Error, Mapping};

/// Files that a space may have open: a guest's memory is one, or one for each NUMA node.
const FILES: usize = 32;
/// Address space that the mapped files of a space may take. Sixty functions with as much fit in 47 bits.
const MAPPED: u64 = 1 << 40;

/// What is behind a window.
#[derive(Clone)]
pub(crate) enum Backing {
    /// Memory in our address space.
    Mapped(Arc<Mapping>),
    /// A file that could shrink.
    File(Arc<File>),
    /// Memory at the other end of something.
    Remote(Arc<dyn Remote>),
}

impl Backing {
    pub fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        match self {
            Backing::Mapped(mapping) => {
                mapping.read(offset, out);
                true
            }
            Backing::File(file) => file.read_exact_at(out, offset).is_ok(),
            Backing::Remote(_) => false,
        }
    }

    pub fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        match self {
            Backing::Mapped(mapping) => {
                mapping.write(offset, bytes);
                true
            }
            Backing::File(file) => {
                // What a device writes last (a phase bit) must be seen last, which one copy of the kernel's does not
                // promise.
                let (first, last) = bytes.split_at(bytes.len().saturating_sub(4));
                file.write_all_at(first, offset).is_ok() && file.write_all_at(last, offset + first.len() as u64).is_ok()
            }
            Backing::Remote(remote) => {
                remote.write(offset, bytes);
                true
            }
        }
    }
}

/// The files of one space, by device and inode. Never shared between spaces: what a client can make look like another's
/// file must not become that file.
#[derive(Default)]
pub(crate) struct Files {
    open: HashMap<(u64, u64, bool), Backing>,
}

impl Files {
    /// The backing of `len` bytes from `offset` of `file`: the whole file's, made now or before.
    pub fn open(&mut self, file: BorrowedFd<'_>, offset: u64, len: u64, write: bool) -> Result<Backing, Error> {
        let failed = |source| Error::Memory { what: "map", len, source };
        let owned = File::from(file.try_clone_to_owned().map_err(failed)?);
        let meta = owned.metadata().map_err(failed)?;
        if !offset.is_multiple_of(4096) {
            return Err(failed(std::io::Error::other("the offset is no multiple of 4096")));
        }
        if !meta.is_file() {
            return Err(failed(std::io::Error::other("no memory and no regular file")));
        }
        if offset.checked_add(len).is_none_or(|end| end > meta.len()) {
            return Err(failed(std::io::Error::other("the file ends before that")));
        }
        let key = (meta.dev(), meta.ino(), write);
        if let Some(backing) = self.open.get(&key) {
            // A file may have grown since it was mapped.
            if !matches!(backing, Backing::Mapped(m) if m.len() < offset + len) {
                return Ok(backing.clone());
            }
        }
        self.open.retain(|k, backing| *k != key && backing.used());
        if self.open.len() >= FILES {
            return Err(failed(std::io::Error::other("too many files; map windows of fewer")));
        }
        let size = meta.len() & !0xfff;
        let backing = if sealed(&owned) && self.mapped().saturating_add(size) <= MAPPED {
            Backing::Mapped(Arc::new(Mapping::with(file, 0, size, write)?))
        } else {
            Backing::File(Arc::new(owned))
        };
        self.open.insert(key, backing.clone());
        Ok(backing)
    }

    fn mapped(&self) -> u64 {
        let size = |backing: &Backing| if let Backing::Mapped(m) = backing { m.len() } else { 0 };
        self.open.values().map(size).sum()
    }
}

impl Backing {
    /// Is there any window on it? A file is kept while windows come and go, until another one is opened.
    fn used(&self) -> bool {
        match self {
            Backing::Mapped(m) => Arc::strong_count(m) > 1,
            Backing::File(f) => Arc::strong_count(f) > 1,
            Backing::Remote(_) => true,
        }
    }
}

/// Can the file never become shorter?
fn sealed(file: &File) -> bool {
    // SAFETY: an open descriptor; the call takes no pointer. It fails on what cannot be sealed.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    seals >= 0 && seals & libc::F_SEAL_SHRINK != 0
}
