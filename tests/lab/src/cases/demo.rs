//! The demonstration's end: a guest of our hypervisor reads a file system off a virtual function of the RTL.

use std::path::Path;

use super::nested;
use crate::machine::{Outcome, silent};
use crate::pieces::Pieces;
use crate::server::Server;
use crate::{Error, Initramfs, Result};

/// What the guest found.
#[derive(Debug)]
pub struct Found {
    /// What it measured: files, interrupts, KiB read.
    pub outcome: Outcome,
    /// MD5 of the list of its files' MD5s, in the order of their names.
    pub digest: String,
    /// What the card's server reports of itself.
    pub report: String,
}

/// Gives an image to a VF, the VF to a guest, and lets the guest read every file. `step` hears of each step.
pub fn read_tree(pieces: &Pieces, volume: &Path, step: &mut dyn FnMut(&str)) -> Result<Found> {
    let name = "demo";
    let mut read_only = volume.to_owned().into_os_string();
    read_only.push(":ro");
    let server = Server::start(&pieces.root, name, &[read_only.into()])?;
    let guest = Initramfs::new(pieces, &[], include_str!("../../guest/demo-guest.sh"))?.write("demo-guest")?;
    let script = include_str!("../../guest/demo-host.sh");
    let machine = nested::host(pieces, name, script, guest, &[])?;
    let machine = machine.with_port("rp0", 0).with(&["-device", &server.device(0, "rp0")]);
    let outcome = machine.on_step(step).run(&mut silent)?;
    let digest = outcome.digest.clone().ok_or_else(|| Error::Piece("the guest reported no digest".into()))?;
    let report = server.stop()?;
    Ok(Found { outcome, digest, report })
}

/// The same digest of a folder on this machine.
pub fn digest(folder: &Path) -> Result<String> {
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(folder)
        .args(["-c", "find . -type f | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 md5sum | md5sum | cut -d' ' -f1"]);
    Ok(crate::command::output(&mut shell)?.trim().to_owned())
}
