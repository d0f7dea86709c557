//! Where compiled models are kept, and how two builds of the same one keep out of each other's way. Other tools' results
//! are kept the same way.

use std::fs::File;
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
    once_or(folder, name, make, drop)
}

/// The same, but what `make` has left when it fails is kept: there is a tool's log in it, which the error names.
///
/// # Errors
/// As [`once`].
pub fn once_or_keep<E: From<Error>>(
    folder: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    once_or(folder, name, make, |work| drop(work.keep()))
}

fn once_or<E: From<Error>>(
    folder: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), E>,
    failed: impl FnOnce(TempDir),
) -> Result<PathBuf, E> {
    let done = folder.join(name);
    if done.exists() {
        return Ok(done);
    }
    let lock = Lock::take(&folder.join(format!("{name}.lock")))?;
    if done.exists() {
        return Ok(done);
    }
    let work = tempfile::Builder::new().prefix("making-").tempdir_in(folder);
    let work = work.map_err(Error::io("create a work folder in", folder))?;
    let pending = Pending::at(work.path()).map_err(Error::io("find", work.path()))?;
    if let Err(error) = make(work.path()) {
        drop(pending);
        failed(work);
        return Err(error);
    }
    let made = work.keep();
    std::fs::rename(&made, &done).map_err(Error::io("move what was made to", &done))?;
    drop((pending, lock));
    Ok(done)
}

/// Saves the second process its work, no more: what keeps a half-made folder from being seen is the rename. So its file may
/// go while another waits for it.
struct Lock {
    path: PathBuf,
    _file: File,
    _pending: Option<Pending>,
}

impl Lock {
    fn take(path: &Path) -> Result<Lock, Error> {
        let file = File::create(path).map_err(Error::io("create the lock", path))?;
        file.lock().map_err(Error::io("lock", path))?;
        // Who had it before us may have removed it.
        let pending = Pending::at(path).ok();
        Ok(Lock { path: path.to_owned(), _file: file, _pending: pending })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
