//! Disk images: files and block devices whose bytes are a disk's.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{Access, Error, Result, format, holder, lock, open};

/// What is to be done with an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// It is only read; others may read it, too.
    pub read_only: bool,
    /// Its bytes are the disk's, even if they look like an image format.
    pub raw: bool,
}

/// An image that is open, and locked as long as it is.
#[derive(Debug)]
pub struct Image {
    file: File,
    path: PathBuf,
    len: u64,
    read_only: bool,
}

impl Image {
    /// Opens and locks an image. Nothing of it is changed.
    pub fn open(path: &Path, usage: Use) -> Result<Self> {
        let access = if usage.read_only { Access::Read } else { Access::ReadWrite };
        let file = open(path, access)?;
        let meta = file.metadata().map_err(Error::io("examine", path))?;
        let protected = || std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
        if meta.file_type().is_block_device() {
            if !usage.read_only && is_read_only(meta.rdev()) {
                return Err(Error::NotWritable { path: path.to_owned(), source: protected() });
            }
        } else if !usage.read_only && meta.permissions().mode() & 0o222 == 0 {
            // A mode without any write bit says what its owner wants, even to root, for whom the open succeeds.
            let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
            return Err(Error::NotWritable { path: path.to_owned(), source });
        }
        // The end of a block device is its size.
        let len = (&file).seek(SeekFrom::End(0)).map_err(Error::io("find the size of", path))?;
        if !lock::take(&file, usage.read_only).map_err(Error::io("lock", path))? {
            let hint = if usage.read_only {
                "it can only be read while nobody writes it"
            } else {
                "only one may have it while one writes it; several may read it with :ro"
            };
            let holders = holder::holders(&meta, file.as_raw_fd());
            return Err(Error::Locked { path: path.to_owned(), holders, hint });
        }
        if !usage.raw
            && let Some(format) = format::recognise(&file, len).map_err(Error::io("read", path))?
        {
            return Err(Error::Format { path: path.to_owned(), format, command: format::command(path, format) });
        }
        Ok(Self { file, path: path.to_owned(), len, read_only: usage.read_only })
    }

    /// The open file. The lock lives as long as any descriptor of it.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it was opened only to be read.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.read_only
    }
}

/// Whether the kernel has set a block device read-only. (An open for writing may succeed all the same.)
fn is_read_only(device: u64) -> bool {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/ro")).is_ok_and(|text| text.trim() == "1")
}
