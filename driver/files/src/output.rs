//! Outputs: a new file beside its place, which it takes when it is whole.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};
use tempfile::{Builder, NamedTempFile};

use crate::pending::{Pending, Place};
use crate::place::{self, There};
use crate::{Error, Inputs, Result};

/// A file that is being made. Until [`Output::finish`] its place holds what it held before; if it is dropped without that,
/// it is gone.
///
/// - The file that is written has a name of its own in the same folder (`.NAME.XXXXXX.part`), made anew: no existing file
///   is opened and no link is followed. A link at the output's place is replaced, not what it leads to.
/// - An output that is one of the command's [`Inputs`], by device and inode, is refused; so are two outputs of a process
///   for one place. Of two processes with one place the later one's whole file stays.
/// - A FIFO, a socket, a block device or a folder in its place is refused; so are a file that nobody may write, and one that
///   somebody has locked as QEMU does (an image in use), also if that was done meanwhile. The new file has the mode of the one
///   that it replaces, and its owner where the process may give it.
/// - A character device (`/dev/null`, a terminal) and a name that leads through procfs to a descriptor (`/dev/stdout`) are written
///   as streams by [`Output::stream`], and never replaced.
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
        let existing = match place::examine(path)? {
            There::Nothing => None,
            There::File(meta) => Some(meta),
            There::Device if stream => return Self::device(path),
            There::Device => return Err(Self::no_file(path, "character device")),
            There::Descriptor(descriptor) if stream => {
                let file = place::open_descriptor(path, &descriptor)?;
                return Self::written_through(file, path);
            }
            There::Descriptor(_) => return Err(Self::no_file(path, "link to a descriptor")),
        };
        let Some(name) = path.file_name() else { return Err(Self::no_file(path, "directory")) };
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
        let mode = existing.as_ref().map_or(0o666, |m| m.permissions().mode() & 0o777);
        let temp = Builder::new()
            .prefix(&format!(".{short}."))
            .suffix(".part")
            // The system takes the process's mask from it.
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
            .map_err(Error::io("create a file beside", path))?;
        if let Some(existing) = existing {
            keep_owner(temp.as_file(), &existing);
        }
        let meta = temp.as_file().metadata().map_err(Error::io("examine", path))?;
        let pending = Pending::new(temp.path(), &meta, Some(place));
        Ok(Self(Kind::Beside { temp, path: path.to_owned(), pending }))
    }

    fn no_file(path: &Path, kind: &'static str) -> Error {
        Error::Kind { path: path.to_owned(), kind, hint: "give a file" }
    }

    fn device(path: &Path) -> Result<Self> {
        let opened = OpenOptions::new().write(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path);
        let file = opened.map_err(Error::io("open", path))?;
        if !file.metadata().map_err(Error::io("examine", path))?.file_type().is_char_device() {
            return Err(Self::no_file(path, "changing file"));
        }
        // It was opened without waiting; it is written with waiting, as a terminal is.
        wait(&file, path)?;
        Self::written_through(file, path)
    }

    fn written_through(file: File, path: &Path) -> Result<Self> {
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

    /// A writer that opens by name has put a file of its own at [`Output::working_path`]: that is the output's from now on.
    pub fn adopt(self) -> Result<Self> {
        let (temp, path, pending) = match self.0 {
            Kind::Beside { temp, path, pending } => (temp, path, pending),
            stream @ Kind::Stream { .. } => return Ok(Self(stream)),
        };
        let (begun, name) = temp.into_parts();
        let opened = OpenOptions::new().read(true).write(true).custom_flags(O_NOFOLLOW).open(&name);
        let file = opened.map_err(Error::io("open what was begun beside", &path))?;
        let meta = file.metadata().map_err(Error::io("examine", &path))?;
        // Its mode and owner are still those of the output's place.
        let begun = begun.metadata().map_err(Error::io("examine", &path))?;
        file.set_permissions(begun.permissions()).map_err(Error::io("set the mode of", &path))?;
        keep_owner(&file, &begun);
        let pending = pending.became(&meta);
        Ok(Self(Kind::Beside { temp: NamedTempFile::from_parts(file, name), path, pending }))
    }

    /// The file is whole: it is made durable and takes its place, at once for everybody who looks.
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Kind::Stream { .. } => Ok(()),
            Kind::Beside { temp, path, pending } => {
                temp.as_file().sync_all().map_err(Error::io("write", &path))?;
                // Looked at once more: it may have become a folder or a device meanwhile, or somebody has it locked.
                match place::examine(&path)? {
                    There::Nothing | There::File(_) => {}
                    There::Device => return Err(Self::no_file(&path, "character device")),
                    There::Descriptor(_) => return Err(Self::no_file(&path, "link to a descriptor")),
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

/// As far as this process may. Who may not has a file of its own, as everywhere.
fn keep_owner(file: &File, of: &Metadata) {
    // The group alone is what a user may often give.
    let owned = fchown(file, Some(of.uid()), Some(of.gid()));
    let _ = owned.or_else(|_| fchown(file, None, Some(of.gid())));
}

/// Has writes wait, to a file that was opened without waiting.
fn wait(file: &File, path: &Path) -> Result<()> {
    let waiting = FcntlArg::F_SETFL(nix::fcntl::OFlag::empty());
    fcntl(file, waiting).map(drop).map_err(|e| Error::io("prepare", path)(e.into()))
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
    use crate::{Image, Use};

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
    fn a_writer_that_opens_by_name_may_put_its_own_file_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waves");
        let output = Output::create(&path, &Inputs::new()).unwrap();
        let working = output.working_path().to_owned();
        std::fs::remove_file(&working).unwrap();
        std::fs::write(&working, "its own").unwrap();
        let output = output.adopt().unwrap();
        assert!(Output::create(&path, &Inputs::new()).is_err(), "still one output");
        output.finish().unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names(folder.path()).len()), (b"its own".into(), 1));
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

    #[test]
    fn a_name_that_leads_to_a_descriptor_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, far] = ["file", "link", "far"].map(|n| folder.path().join(n));
        std::fs::write(&file, "precious").unwrap();
        let opened = OpenOptions::new().write(true).open(&file).unwrap();
        let descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&opened));
        std::os::unix::fs::symlink(descriptor, &link).unwrap();
        std::os::unix::fs::symlink("link", &far).unwrap();
        for path in [&link, &far] {
            for made in [Output::create(path, &Inputs::new()), Output::stream(path, &Inputs::new())] {
                let e = made.unwrap_err();
                assert!(matches!(e, Error::Kind { kind: "link to a descriptor", .. }), "{e}");
            }
            assert!(std::fs::symlink_metadata(path).unwrap().is_symlink());
        }
        // What has no place in it is opened anew.
        let (mut read, write) = io::pipe().unwrap();
        std::fs::remove_file(&link).unwrap();
        let descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&write));
        std::os::unix::fs::symlink(descriptor, &link).unwrap();
        let mut stream = Output::stream(&link, &Inputs::new()).unwrap();
        stream.write_all(b"through").unwrap();
        stream.finish().unwrap();
        drop(write);
        let mut text = String::new();
        io::Read::read_to_string(&mut read, &mut text).unwrap();
        assert_eq!((text.as_str(), std::fs::read(&file).unwrap()), ("through", b"precious".into()));
    }

    #[test]
    fn a_file_that_is_in_use_is_not_replaced_even_if_that_began_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        std::fs::write(&path, vec![7; 4096]).unwrap();
        for usage in [Use::default(), Use { read_only: true, ..Use::default() }] {
            let output = Output::create(&path, &Inputs::new()).unwrap();
            let image = Image::open(&path, usage).unwrap();
            let e = output.finish().unwrap_err();
            assert!(matches!(e, Error::Locked { .. }) && e.to_string().contains("this command itself"), "{e}");
            let e = Output::create(&path, &Inputs::new()).unwrap_err();
            assert!(matches!(e, Error::Locked { .. }), "{e}");
            assert_eq!(image.file().metadata().unwrap().nlink(), 1, "it is still there");
        }
        assert_eq!((std::fs::read(&path).unwrap(), names(folder.path()).len()), (vec![7; 4096], 1));
        Output::create(&path, &Inputs::new()).unwrap().finish().unwrap();
    }

    #[test]
    fn a_file_that_nobody_may_write_is_not_replaced_and_an_owner_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        std::fs::write(&path, "precious").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        let e = Output::create(&path, &Inputs::new()).unwrap_err();
        assert!(matches!(e, Error::NotWritable { .. }), "{e}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let begun = Output::create(&path, &Inputs::new()).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        assert!(begun.finish().is_err(), "it was protected meanwhile");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        if std::os::unix::fs::chown(&path, Some(1234), Some(1235)).is_err() {
            eprintln!("only root gives files away: the owner is not looked at");
        }
        let was = std::fs::metadata(&path).unwrap();
        let output = Output::create(&path, &Inputs::new()).unwrap();
        let working = output.working_path().to_owned();
        std::fs::remove_file(&working).unwrap();
        std::fs::write(&working, "its own").unwrap();
        output.adopt().unwrap().finish().unwrap();
        let now = std::fs::metadata(&path).unwrap();
        assert_eq!((now.uid(), now.gid(), now.mode()), (was.uid(), was.gid(), was.mode()));
    }

    #[test]
    fn a_name_that_can_only_be_a_folders_is_refused_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["new/", "new/."] {
            let e = Output::create(&folder.path().join(name), &Inputs::new()).unwrap_err();
            assert!(matches!(e, Error::Kind { kind: "directory", .. }), "{e}");
        }
        // A file that something is mounted on; containers have some.
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let file = mounts.lines().filter_map(|l| l.split(' ').nth(4)).find(|p| Path::new(p).is_file());
        match file {
            Some(path) => assert!(Output::create(Path::new(path), &Inputs::new()).is_err(), "{path}"),
            None => eprintln!("no file is a mount point here: not tried"),
        }
    }
}
