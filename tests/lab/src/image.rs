//! Disk images: volumes for the card, and the disk with tools for a machine that runs machines.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pieces::Pieces;
use crate::{Error, Result, command, folder, programs};

/// A volume of zeros, made anew.
pub fn empty(pieces: &Pieces, name: &str, mib: u64) -> Result<PathBuf> {
    let path = pieces.root.join(format!("{name}.img"));
    let file = std::fs::File::create(&path).map_err(Error::io("create", &path))?;
    file.set_len(mib << 20).map_err(Error::io("extend", &path))?;
    Ok(path)
}

/// The disk that a machine mounts at `/q`: QEMU, to compare with, and the kernel for guests in both forms. Made once.
pub fn tools(pieces: &Pieces) -> Result<PathBuf> {
    let path = pieces.root.join("tools.img");
    if path.exists() {
        return Ok(path);
    }
    let stage = tempfile::tempdir_in(&pieces.root).map_err(Error::io("make a folder in", &pieces.root))?;
    let mut files = pieces.qemu_files()?;
    files.push((pieces.kernel.elf.clone(), "vmlinux".into()));
    files.push((pieces.kernel.image.clone(), "vmlinuz".into()));
    for (from, to) in &files {
        let to = stage.path().join(to);
        folder::make(to.parent().unwrap_or(Path::new("/")))?;
        std::fs::copy(from, &to).map_err(Error::io("copy", from))?;
    }
    let qemu = stage.path().join("qemu");
    let script = "#!/bin/sh\nexec /q/lib/ld.so --library-path /q/lib /q/bin/qemu-system-x86_64 -L /q/share \"$@\"\n";
    std::fs::write(&qemu, script).map_err(Error::io("write", &qemu))?;
    command::output(Command::new("chmod").arg("755").arg(&qemu))?;
    let partial = pieces.root.join("tools.partial");
    let _ = std::fs::remove_file(&partial);
    let mut make = Command::new(programs::host("mke2fs")?);
    make.args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(stage.path()).arg(&partial).arg("240M");
    command::output(&mut make)?;
    std::fs::rename(&partial, &path).map_err(Error::io("rename", &partial))?;
    Ok(path)
}
