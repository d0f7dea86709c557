//! Programs of this repository and of the host that machines of the lab run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pieces::Pieces;
use crate::{Error, Result, command, folder};

/// The command line, built now if need be.
pub fn azote() -> Result<PathBuf> {
    built("azote-cli", "azote")
}

/// The hypervisor's own program, which `azote run` wants beside itself.
pub fn vmm() -> Result<PathBuf> {
    built("azote-hypervisor", "azote-vmm")
}

/// The card's RTL as a model that runs on any processor.
pub fn model(pieces: &Pieces) -> Result<PathBuf> {
    let path = pieces.root.join("card.so");
    command::output(Command::new(azote()?).args(["model", "--portable", "--output"]).arg(&path))?;
    Ok(path)
}

/// What cases do with a function that no user would.
pub fn probe() -> Result<PathBuf> {
    built("azote-lab-probe", "probe")
}

/// Builds a program of this workspace and says where it is. Cargo does nothing if it is up to date.
fn built(package: &str, program: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--package", package]);
    cargo.arg("--target-dir").arg(folder::target()).current_dir(env!("CARGO_MANIFEST_DIR"));
    command::output(&mut cargo)?;
    Ok(folder::target().join("release").join(program))
}

/// A program of the host's, from where administrators' programs are too.
pub fn host(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&path).chain(system).map(|folder| folder.join(name));
    let found = places.find(|path: &PathBuf| Path::is_file(path));
    found.ok_or_else(|| Error::Piece(format!("this machine has no {name}; `cargo xtask setup` installs it")))
}
