//! Where the lab keeps what it downloads, makes and writes down.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// How messages call it.
pub const NAME: &str = "target/lab";

/// The lab's folder: `AZOTE_LAB`, or `lab` in the `target` folder that this program was built into.
pub fn root() -> Result<PathBuf> {
    let folder = match std::env::var_os("AZOTE_LAB") {
        Some(folder) => PathBuf::from(folder),
        None => target().join("lab"),
    };
    make(&folder)?;
    folder.canonicalize().map_err(Error::io("find", &folder))
}

/// The `target` folder that this program was built into.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().ok();
    let target = exe.and_then(|exe| Some(exe.ancestors().find(|f| f.join("CACHEDIR.TAG").exists())?.to_owned()));
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}

/// Makes a folder and those above it.
pub fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))
}
