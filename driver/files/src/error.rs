//! Why a file is not what it should be: each a line that says what, where and what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A file that cannot be used as it was meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("{}: cannot {what}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It is of a kind that does not serve here.
    #[error("{}: is a {kind}; {hint}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// What to give instead.
        hint: &'static str,
    },
    /// It may be read and not written.
    #[error("{}: cannot be written: {source}", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// An image with a structure of its own, whose bytes are not the disk's.
    #[error(
        "{}: is in {format} format, and its bytes are not the disk's; make a raw image of it with `{command}`, or say \
         format=raw if these bytes are the disk", path.display()
    )]
    Format {
        /// The image.
        path: PathBuf,
        /// QEMU's name for its format.
        format: &'static str,
        /// What converts it.
        command: String,
    },
    /// Somebody else uses the image in a way that excludes ours.
    #[error("{}: is in use by {holders}; {hint}", path.display())]
    Locked {
        /// The image.
        path: PathBuf,
        /// Who, as far as it can be seen.
        holders: String,
        /// What would go together.
        hint: &'static str,
    },
    /// An output would replace an input.
    #[error("{}: is also read or written as {}; give the output another name", path.display(), input.display())]
    SameAsInput {
        /// The output.
        path: PathBuf,
        /// The input's name.
        input: PathBuf,
    },
    /// Two outputs of one command have one name.
    #[error("{}: is named for two outputs; give each its own file", path.display())]
    SameOutput {
        /// The name.
        path: PathBuf,
    },
    /// A socket cannot be put there.
    #[error("{}: {reason}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }

    /// The name of the file that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Error::Io { path, .. }
            | Error::Kind { path, .. }
            | Error::NotWritable { path, .. }
            | Error::Format { path, .. }
            | Error::Locked { path, .. }
            | Error::SameAsInput { path, .. }
            | Error::SameOutput { path }
            | Error::Socket { path, .. } => path,
        }
    }
}
