//! Outputs: a new file beside its place, which it takes when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use tempfile::{Builder, NamedTempFile};

use crate::pending::{Pending, Place};
use crate::{Error, Inputs, Result, input};

/// A file that is being made. Until [`Output::finish`] its place holds what it held before; if it is dropped without that,
/// it is gone.
///
/// - The file that is written has a name of its own in the same folder (`.NAME.XXXXXX.part`), made anew: no existing file
///   is opened and no link is followed. A link at the output's place is replaced, not what it leads to.
/// - An output that is one of the command's [`Inputs`], by device and inode, is refused; so are two outputs of a process
///   for one place. Of two processes with one place the later one's whole file stays.
/// - A FIFO, a socket, a block device or a folder in its place is refused. A character device (`/dev/null`, a terminal) is
///   written as a stream by [`Output::stream`], and never replaced.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write;
/// use azote_files::{Inputs, Output};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("out");
/// let mut output = Output::create(&path, &Inputs::new())?;
/// output.write_all(b"whole")?;
/// assert!(!path.exists());
/// output.finish()?;
/// assert_eq!(std::fs::read(&path)?, b"whole");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Output(Kind);

#[derive(Debug)]
enum Kind {
    Beside { temp: NamedTempFile, path: PathBuf, pending: Pending },
    Stream { file: File, path: PathBuf },
}

impl Output {
    /// Begins a file.
    pub fn create(path: &Path, inputs: &Inputs) -> Result<Self> {
        Self::new(path, inputs, false)
    }

    /// Begins a file that is written from its beginning to its end, and so may be a character device, too.
    pub fn stream(path: &Path, inputs: &Inputs) -> Result<Self> {
        Self::new(path, inputs, true)
    }

    fn new(path: &Path, inputs: &Inputs, stream: bool) -> Result<Self> {
        inputs.refuse(path)?;
        // Where the name leads to says what is meant: /dev/stdout is a link.
        let existing = match std::fs::metadata(path) {
            Ok(meta) => Some(meta),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::io("examine", path)(source)),
        };
        let kind = existing.as_ref().map(|m| m.file_type());
        match kind {
            Some(kind) if kind.is_char_device() && stream => return Self::device(path),
            Some(kind) if !kind.is_file() => {
                let hint = if stream { "give a file, or a terminal or /dev/null" } else { "give a file" };
                return Err(Error::Kind { path: path.to_owned(), kind: input::name(kind), hint });
            }
            _ => {}
        }
        let Some(name) = path.file_name() else {
            return Err(Error::Kind { path: path.to_owned(), kind: "directory", hint: "give a file" });
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let at = std::fs::metadata(folder).map_err(Error::io("find the folder of", path))?;
        let place = Place { folder: (at.dev(), at.ino()), name: name.to_owned() };
        if Pending::is_taken(&place) {
            return Err(Error::SameOutput { path: path.to_owned() });
        }
        // A name may be as long as the file system takes; ours must fit, too.
        let short: String = name.to_string_lossy().chars().take(40).collect();
        let mode = existing.map_or(0o666, |m| m.permissions().mode() & 0o777);
        let temp = Builder::new()
            .prefix(&format!(".{short}."))
            .suffix(".part")
            // The system takes the process's mask from it.
            .permissions(std::fs::Permissions::from_mode(mode))
            .tempfile_in(folder)
            .map_err(Error::io("create a file beside", path))?;
        let meta = temp.as_file().metadata().map_err(Error::io("examine", path))?;
        let pending = Pending::new(temp.path(), &meta, Some(place));
        Ok(Self(Kind::Beside { temp, path: path.to_owned(), pending }))
    }

    fn device(path: &Path) -> Result<Self> {
        let opened = OpenOptions::new().write(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path);
        let file = opened.map_err(Error::io("open", path))?;
        if !file.metadata().map_err(Error::io("examine", path))?.file_type().is_char_device() {
            return Err(Error::Kind { path: path.to_owned(), kind: "changing file", hint: "give a file" });
        }
        // It was opened without waiting; it is written with waiting, as a terminal is.
        nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()))
            .map_err(|e| Error::io("prepare", path)(e.into()))?;
        Ok(Self(Kind::Stream { file, path: path.to_owned() }))
    }

    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &File {
        match &self.0 {
            Kind::Beside { temp, .. } => temp.as_file(),
            Kind::Stream { file, .. } => file,
        }
    }

    /// Its name while it is being made, for a writer that opens by name.
    #[must_use]
    pub fn working_path(&self) -> &Path {
        match &self.0 {
            Kind::Beside { temp, .. } => temp.path(),
            Kind::Stream { path, .. } => path,
        }
    }

    /// Its place.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.0 {
            Kind::Beside { path, .. } | Kind::Stream { path, .. } => path,
        }
    }

    /// The file is whole: it is made durable and takes its place, at once for everybody who looks.
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Kind::Stream { .. } => Ok(()),
            Kind::Beside { temp, path, pending } => {
                temp.as_file().sync_all().map_err(Error::io("write", &path))?;
                // Looked at once more: it may have become a folder or a device meanwhile, and none of these is replaced.
                if let Ok(meta) = std::fs::metadata(&path)
                    && !meta.is_file()
                {
                    return Err(Error::Kind { path, kind: input::name(meta.file_type()), hint: "give a file" });
                }
                temp.persist(&path).map_err(|e| Error::io("put what was written in its place at", &path)(e.error))?;
                drop(pending);
                // The name, too; a folder that cannot be synced (some file systems) leaves only this undone.
                let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let _ = File::open(folder).and_then(|folder| folder.sync_all());
                Ok(())
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_there_stays_until_the_output_is_whole_and_an_unfinished_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        std::fs::write(&path, "old").unwrap();
        std::fs::write(folder.path().join("d.part"), "somebody's").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let mut output = Output::create(&path, &Inputs::new()).unwrap();
        output.write_all(b"half").unwrap();
        assert_eq!(names(folder.path()).len(), 3);
        drop(output);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let mut output = Output::create(&path, &Inputs::new()).unwrap();
        output.write_all(b"new").unwrap();
        output.finish().unwrap();
        assert_eq!(
            (std::fs::read(&path).unwrap(), names(folder.path())),
            (b"new".into(), vec!["d".into(), "d.part".into()])
        );
        assert_eq!(std::fs::read(folder.path().join("d.part")).unwrap(), b"somebody's");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn an_input_is_no_output_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let [image, link, hard] = ["image", "link", "hard"].map(|n| folder.path().join(n));
        std::fs::write(&image, "precious").unwrap();
        std::os::unix::fs::symlink(&image, &link).unwrap();
        std::fs::hard_link(&image, &hard).unwrap();
        let inputs: Inputs = [&image].into_iter().collect();
        for path in [&image, &link, &hard, &folder.path().join("./image")] {
            let e = Output::create(path, &inputs).unwrap_err();
            assert!(matches!(e, Error::SameAsInput { .. }), "{e}");
        }
        assert_eq!(std::fs::read(&image).unwrap(), b"precious");
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [other, link] = ["other", "link"].map(|n| folder.path().join(n));
        std::fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let mut output = Output::create(&link, &Inputs::new()).unwrap();
        output.write_all(b"mine").unwrap();
        output.finish().unwrap();
        assert_eq!((std::fs::read(&other).unwrap(), std::fs::read(&link).unwrap()), (b"other".into(), b"mine".into()));
    }

    #[test]
    fn two_outputs_have_two_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        let first = Output::create(&path, &Inputs::new()).unwrap();
        let e = Output::create(&folder.path().join("./d"), &Inputs::new()).unwrap_err();
        assert!(matches!(e, Error::SameOutput { .. }), "{e}");
        drop(first);
        Output::create(&path, &Inputs::new()).unwrap().finish().unwrap();
    }

    #[test]
    fn what_is_no_file_is_refused_at_once_or_written_as_a_stream() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (path, kind) in [(fifo.as_path(), "FIFO"), (folder.path(), "directory"), (Path::new(".."), "directory")] {
            for e in
                [Output::create(path, &Inputs::new()), Output::stream(path, &Inputs::new())].map(Result::unwrap_err)
            {
                assert!(e.to_string().contains(kind), "{e}");
            }
        }
        assert!(Output::create(Path::new("/dev/null"), &Inputs::new()).is_err());
        let mut null = Output::stream(Path::new("/dev/null"), &Inputs::new()).unwrap();
        null.write_all(b"gone").unwrap();
        null.finish().unwrap();
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let mut full = Output::stream(Path::new("/dev/full"), &Inputs::new()).unwrap();
        assert_eq!(full.write_all(b"no room").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
