//! Every byte, compared: images with images, and the files in the copy with the files on this machine.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use azote_tests::{Error, Result};

use crate::{io, tools};

/// Are two files the same?
pub fn same(a: &Path, b: &Path) -> Result<()> {
    let mut files = [a, b].map(|path| File::open(path).map_err(io("open", path)));
    let mut at = 0u64;
    loop {
        let mut pieces = [vec![], vec![]];
        for (i, path) in [a, b].into_iter().enumerate() {
            if let Ok(file) = &mut files[i] {
                file.take(1 << 20).read_to_end(&mut pieces[i]).map_err(io("read", path))?;
            }
        }
        for file in &mut files {
            if file.is_err() {
                return std::mem::replace(file, Err(Error::Wrong(String::new()))).map(drop);
            }
        }
        if pieces[0] != pieces[1] {
            let differ = pieces[0].iter().zip(&pieces[1]).position(|(x, y)| x != y);
            let place = at + differ.unwrap_or(pieces[0].len().min(pieces[1].len())) as u64;
            return Err(Error::Wrong(format!("{} and {} differ from byte {place} on", a.display(), b.display())));
        }
        if pieces[0].is_empty() {
            return Ok(());
        }
        at += pieces[0].len() as u64;
    }
}

/// Checks the file system in `image` with e2fsck, takes its files out with debugfs, and compares them with `tree`.
/// Returns how many there are.
pub fn tree(image: &Path, tree: &Path, out: &Path) -> Result<u64> {
    let mut check = Command::new("e2fsck");
    check.arg("-fn").arg(image);
    tools::run(check)?;
    std::fs::create_dir(out).map_err(io("create the folder", out))?;
    let mut dump = Command::new("debugfs");
    dump.arg("-R").arg(format!("rdump / \"{}\"", out.display())).arg(image);
    tools::run(dump)?;
    folder(tree, out)
}

fn folder(here: &Path, there: &Path) -> Result<u64> {
    let mut files = 0;
    for entry in std::fs::read_dir(here).map_err(io("list", here))? {
        let entry = entry.map_err(io("list", here))?;
        let (here, there) = (entry.path(), there.join(entry.file_name()));
        let kind = entry.file_type().map_err(io("examine", &here))?;
        if kind.is_dir() {
            files += folder(&here, &there)?;
        } else if kind.is_symlink() {
            let wanted = std::fs::read_link(&here).map_err(io("read the link", &here))?;
            let got = std::fs::read_link(&there).map_err(io("read the link", &there))?;
            if wanted != got {
                return Err(Error::Wrong(format!("{} is not the link that {} is", there.display(), here.display())));
            }
        } else if kind.is_file() {
            same(&here, &there)?;
            files += 1;
        }
    }
    Ok(files)
}
