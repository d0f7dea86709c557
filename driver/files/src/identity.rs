//! Which file a name leads to: two names are the same file if device and inode are. Of a device node it is the device that
//! counts, whatever node leads to it.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Device and inode.
    Inode(u64, u64),
    /// A block device's own number.
    Block(u64),
}

impl Identity {
    pub fn of(meta: &Metadata) -> Self {
        if meta.file_type().is_block_device() {
            Identity::Block(meta.rdev())
        } else {
            Identity::Inode(meta.dev(), meta.ino())
        }
    }
}

/// The files that a command uses, which none of its outputs may replace.
#[derive(Debug, Clone, Default)]
pub struct Inputs(Vec<(PathBuf, Identity)>);

impl Inputs {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. One that is not there is none: whoever opens it says so.
    pub fn add(&mut self, path: &Path) {
        if let Ok(meta) = std::fs::metadata(path) {
            self.0.push((path.to_owned(), Identity::of(&meta)));
        }
    }

    /// That an output at `path` would replace none of them.
    pub(crate) fn refuse(&self, path: &Path) -> Result<()> {
        let Ok(meta) = std::fs::metadata(path) else { return Ok(()) };
        let identity = Identity::of(&meta);
        match self.0.iter().find(|(_, input)| *input == identity) {
            Some((input, _)) => Err(Error::SameAsInput { path: path.to_owned(), input: input.clone() }),
            None => Ok(()),
        }
    }
}

impl<P: AsRef<Path>> FromIterator<P> for Inputs {
    fn from_iter<T: IntoIterator<Item = P>>(paths: T) -> Self {
        let mut inputs = Self::new();
        paths.into_iter().for_each(|path| inputs.add(path.as_ref()));
        inputs
    }
}
