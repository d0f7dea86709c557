//! The images: a file system made of a real tree, the same every time, and one of seeded noise.

use std::path::Path;
use std::process::Command;

use azote_tests::{Error, Result};
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

use crate::{io, tools};

/// A demonstration of fewer files would show little.
const FEWEST: u64 = 100;

/// Counts the files of a tree and their bytes.
fn count(path: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(path).map_err(io("list", path))? {
        let entry = entry.map_err(io("list", path))?;
        let kind = entry.file_type().map_err(io("examine", &entry.path()))?;
        if kind.is_dir() {
            let below = count(&entry.path())?;
            (files, bytes) = (files + below.0, bytes + below.1 + 4096);
        } else if kind.is_file() {
            let size = entry.metadata().map_err(io("examine", &entry.path()))?.len();
            (files, bytes) = (files + 1, bytes + size.next_multiple_of(4096));
        }
    }
    Ok((files, bytes))
}

/// Is it a tree worth showing? Returns its number of files.
pub fn check_tree(tree: &Path) -> Result<u64> {
    let (files, _) = count(tree)?;
    if files < FEWEST {
        let text = format!("{} has {files} files; give --tree one with at least {FEWEST}", tree.display());
        return Err(Error::Wrong(text));
    }
    Ok(files)
}

/// Makes an ext4 image with the tree in it.
pub fn make_ext4(tree: &Path, image: &Path) -> Result<()> {
    // Metadata and journal beside the files; whole MiB.
    let (_, bytes) = count(tree)?;
    let size = (bytes + bytes / 8 + (6 << 20)).next_multiple_of(1 << 20);
    let mut command = Command::new("mkfs.ext4");
    command.args(["-q", "-F", "-b", "4096", "-J", "size=4", "-m", "0", "-U", "a207e000-0000-4000-8000-00000000a207"]);
    command.args(["-E", "hash_seed=a207e000-0000-4000-8000-00000000a207,root_owner=0:0", "-d"]).arg(tree).arg(image);
    command.arg(format!("{}K", size >> 10));
    // Without a clock, the same tree gives the same image.
    command.env("E2FSPROGS_FAKE_TIME", "1700000000").env("SOURCE_DATE_EPOCH", "1700000000");
    tools::run(command)
}

/// Makes an image of noise, the same every time.
pub fn make_raw(path: &Path, bytes: u64) -> Result<()> {
    let mut data = vec![0; bytes as usize];
    SmallRng::seed_from_u64(0xa207e).fill_bytes(&mut data);
    std::fs::write(path, data).map_err(io("write", path))
}

/// Makes an empty image.
pub fn make_empty(path: &Path, bytes: u64) -> Result<()> {
    let file = std::fs::File::create_new(path).map_err(io("create", path))?;
    file.set_len(bytes).map_err(io("extend", path))
}

/// A file's size.
pub fn size(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(io("examine", path))?.len())
}
