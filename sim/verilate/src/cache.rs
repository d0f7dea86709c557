//! Where compiled models are kept, and how two builds of the same one keep out of each other's way. Other tools' results
//! are kept the same way.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use azote_files::Pending;
use tempfile::TempDir;

use crate::Error;
use crate::tools::Tools;

/// FNV-1a over 128 bits: no cryptography is needed, only that two texts of one project do not collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(pub(crate) u128);

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl Key {
    /// The key of nothing.
    #[must_use]
    pub fn new() -> Self {
        Key(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Mixes in one part; its length goes in first, so that parts cannot run into each other.
    #[must_use]
    pub fn mix(mut self, part: &str) -> Self {
        for byte in (part.len() as u64).to_le_bytes().iter().chain(part.as_bytes()) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        self
    }

    /// The key as a folder's name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{:032x}", self.0)
    }
}

/// The key of the tools that make a model, and of the processor that it is made for.
///
/// # Errors
/// If a tool is not installed.
pub fn tools() -> Result<Key, Error> {
    let tools = Tools::find()?;
    Ok(Key::new().mix(&tools.verilator).mix(&tools.compiler).mix(&tools.processor))
}

/// `target/verilated`: `AZOTE_VERILATED` moves it, and so does `CARGO_TARGET_DIR`.
///
/// # Errors
/// If it cannot be made.
pub fn folder() -> Result<PathBuf, Error> {
    let folder = match (std::env::var_os("AZOTE_VERILATED"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(target)) => Path::new(&target).join("verilated"),
        (None, None) => workspace_target().join("verilated"),
    };
    std::fs::create_dir_all(&folder).map_err(Error::io("create the folder of compiled models", &folder))?;
    folder.canonicalize().map_err(Error::io("find", &folder))
}

/// The `target` folder that this program was built into, or the one of the source tree.
fn workspace_target() -> PathBuf {
    let from_program = std::env::current_exe().ok().and_then(|exe| {
        let target = exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists())?;
        Some(target.to_owned())
    });
    from_program.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}

/// Makes `folder/name` by calling `make` on an empty folder, once, however many processes ask at the same time. If `make`
/// fails its folder is gone.
///
/// # Errors
/// What `make` fails with, or why there can be no folder.
pub fn once<E: From<Error>>(
    folder: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    once_or(folder, name, |_| true, make, drop)
}

/// The same, but what is there already is looked at: what `is_whole` does not call whole (a disk was full, the power went) is
/// removed, and made anew.
///
/// # Errors
/// As [`once`].
pub fn once_whole<E: From<Error>>(
    folder: &Path,
    name: &str,
    is_whole: impl Fn(&Path) -> bool,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    once_or(folder, name, is_whole, make, drop)
}

/// The same as [`once`], but what `make` has left when it fails is kept: there is a tool's log in it, which the error names.
///
/// # Errors
/// As [`once`].
pub fn once_or_keep<E: From<Error>>(
    folder: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    once_or(folder, name, |_| true, make, |work| drop(work.keep()))
}

fn once_or<E: From<Error>>(
    folder: &Path,
    name: &str,
    is_whole: impl Fn(&Path) -> bool,
    make: impl FnOnce(&Path) -> Result<(), E>,
    failed: impl FnOnce(TempDir),
) -> Result<PathBuf, E> {
    let done = folder.join(name);
    let is_done = || done.exists() && is_whole(&done);
    if is_done() {
        return Ok(done);
    }
    let lock = Lock::take(&folder.join(format!("{name}.lock")))?;
    if is_done() {
        return Ok(done);
    }
    // Under the lock these are nobody's any more: of builds that were killed, or failed and were kept to be read.
    let making = format!("making-{name}-");
    left_over(folder, &making);
    let work = tempfile::Builder::new().prefix(&making).tempdir_in(folder);
    let work = work.map_err(Error::io("create a work folder in", folder))?;
    let pending = Pending::at(work.path()).map_err(Error::io("find", work.path()))?;
    if done.exists() {
        // First out of its place, at once for everybody who looks; who has loaded it keeps what it has.
        let damaged = work.path().join("damaged");
        std::fs::rename(&done, &damaged).map_err(Error::io("remove what is damaged at", &done))?;
        std::fs::remove_dir_all(&damaged).map_err(Error::io("remove", &damaged))?;
    }
    if let Err(error) = make(work.path()) {
        drop(pending);
        failed(work);
        return Err(error);
    }
    // A name that outlives a loss of power must not lead to contents that do not.
    sync(work.path()).map_err(Error::io("write", work.path()))?;
    let made = work.keep();
    std::fs::rename(&made, &done).map_err(Error::io("move what was made to", &done))?;
    drop((pending, lock));
    Ok(done)
}

/// Makes all of a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

fn left_over(folder: &Path, prefix: &str) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        // What cannot be removed is only in nobody's way.
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// One process at a time makes what has one name. The file goes with the lock, so that whoever waited looks whether it still has
/// the name.
struct Lock {
    path: PathBuf,
    _file: File,
    _pending: Option<Pending>,
}

impl Lock {
    fn take(path: &Path) -> Result<Lock, Error> {
        loop {
            let file = File::create(path).map_err(Error::io("create the lock", path))?;
            file.lock().map_err(Error::io("lock", path))?;
            let ours = file.metadata().map_err(Error::io("examine the lock", path))?;
            let named = std::fs::symlink_metadata(path);
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                let pending = Pending::at(path).ok();
                return Ok(Lock { path: path.to_owned(), _file: file, _pending: pending });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
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
    fn what_is_damaged_is_made_anew_and_what_killed_builds_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for left in ["making-a-Xy12", "making-b-Xy12"] {
            std::fs::create_dir_all(folder.path().join(left).join("obj")).unwrap();
        }
        let mut times = 0;
        let mut ask = || {
            let is_whole = |made: &Path| std::fs::read(made.join("f")).is_ok_and(|bytes| bytes == b"whole");
            let make = |work: &Path| {
                times += 1;
                assert_eq!(names(work), [""; 0], "an empty folder");
                std::fs::write(work.join("f"), "whole").map_err(Error::io("write", work))
            };
            once_whole(folder.path(), "a", is_whole, make).unwrap();
            assert_eq!(names(folder.path()), ["a", "making-b-Xy12"]);
            times
        };
        assert_eq!((ask(), ask()), (1, 1));
        std::fs::write(folder.path().join("a/f"), "").unwrap();
        assert_eq!((ask(), ask()), (2, 2));
        std::fs::remove_file(folder.path().join("a/f")).unwrap();
        assert_eq!(ask(), 3);
    }

    #[test]
    fn one_at_a_time_makes_what_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("l");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let held = Lock::take(&lock).unwrap();
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
    }
}
