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

/// A file or folder that [`abandon`] removes, until this is dropped. Its owner removes it by itself otherwise.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    inode: (u64, u64),
}

impl Pending {
    /// What is at `path` now, and is this process's alone.
    pub fn at(path: &Path) -> std::io::Result<Self> {
        Ok(Self::new(path, &std::fs::symlink_metadata(path)?, None))
    }

    pub(crate) fn new(path: &Path, meta: &Metadata, place: Option<Place>) -> Self {
        let inode = (meta.dev(), meta.ino());
        entries().push(Entry { path: path.to_owned(), inode, place });
        Self { path: path.to_owned(), inode }
    }

    /// Whether an output of this process is already to take this place.
    pub(crate) fn is_taken(place: &Place) -> bool {
        entries().iter().any(|e| e.place.as_ref() == Some(place))
    }

    /// Another file is at its path now, which is ours as well.
    pub(crate) fn became(mut self, meta: &Metadata) -> Self {
        let inode = (meta.dev(), meta.ino());
        for entry in entries().iter_mut().filter(|e| (&e.path, e.inode) == (&self.path, self.inode)) {
            entry.inode = inode;
        }
        self.inode = inode;
        self
    }

    /// Whether its path still leads to it.
    pub(crate) fn is_there(&self) -> bool {
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
            let is_folder = std::fs::symlink_metadata(&entry.path).is_ok_and(|m| m.is_dir());
            let remove = if is_folder { std::fs::remove_dir_all } else { std::fs::remove_file::<&Path> };
            let _ = remove(&entry.path);
        }
    }
}
