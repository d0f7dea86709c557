//! Programs of the host's that a machine of the lab runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result, command};

/// The shared libraries of a program, its dynamic linker included, each where the program looks for it.
pub fn closure(program: &Path) -> Result<Vec<PathBuf>> {
    let text = command::output(Command::new("ldd").arg(program))?;
    let mut files = Vec::new();
    for line in text.lines() {
        // `libc.so.6 => /lib/… (0x…)` or `/lib64/ld-linux-x86-64.so.2 (0x…)`; the vdso has no file.
        let right = line.split("=>").last().unwrap_or(line);
        match right.split_whitespace().next() {
            Some(path) if path.starts_with('/') => files.push(PathBuf::from(path)),
            Some("not") => return Err(Error::Piece(format!("{}: {}", program.display(), line.trim()))),
            _ => {}
        }
    }
    Ok(files)
}
