//! What this process has begun and not finished: files beside their places, sockets. A program that is told to end and
//! cannot unwind (a thread of it waits for a compiler, for a server) calls [`abandon`] and then goes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Entry {
    path: PathBuf,
    inode: (u64, u64),
    /// The place that it is to take: its folder's device and inode, and its name there.
    place: Option<Place>,
}

/// A name in a folder, however the folder is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub folder: (u64, u64),
    pub name: std::ffi::OsString,
}

static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

fn entries() -> MutexGuard<'static, Vec<Entry>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that is removed if its owner does not get to it.
#[derive(Debug)]
pub(crate) struct Pending {
    path: PathBuf,
    inode: (u64, u64),
}

impl Pending {
    pub fn new(path: &Path, meta: &Metadata, place: Option<Place>) -> Self {
        let inode = (meta.dev(), meta.ino());
        entries().push(Entry { path: path.to_owned(), inode, place });
        Self { path: path.to_owned(), inode }
    }

    /// Whether an output of this process is already to take this place.
    pub fn is_taken(place: &Place) -> bool {
        entries().iter().any(|e| e.place.as_ref() == Some(place))
    }

    /// Whether its path still leads to it.
    pub fn is_there(&self) -> bool {
        leads_to(&self.path, self.inode)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        entries().retain(|e| (&e.path, e.inode) != (&self.path, self.inode));
    }
}

fn leads_to(path: &Path, inode: (u64, u64)) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == inode)
}

/// Removes everything that this process has begun and not finished. To be called when the process is about to end without
/// dropping its values; what another has put in the place of ours stays.
pub fn abandon() {
    for entry in entries().drain(..) {
        if leads_to(&entry.path, entry.inode) {
            let _ = std::fs::remove_file(&entry.path);
        }
    }
}
