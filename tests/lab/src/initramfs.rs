//! A small Linux user space: a shell, some modules, some programs of the host's, a script.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use cpio::newc;

use crate::pieces::{Pieces, closure};
use crate::{Error, Result};

/// The first program of every machine; it calls the case's own script.
const INIT: &str = include_str!("../guest/init.sh");
/// What scripts share.
const LIBRARY: &str = include_str!("../guest/lib.sh");

/// An archive in the making.
pub struct Initramfs<'a> {
    pieces: &'a Pieces,
    folders: BTreeSet<String>,
    entries: Vec<(String, u32, Content)>,
}

enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl<'a> Initramfs<'a> {
    /// A shell, and modules that are loaded in this order before the script runs.
    pub fn new(pieces: &'a Pieces, modules: &[&str], script: &str) -> Result<Self> {
        let mut made = Initramfs { pieces, folders: BTreeSet::new(), entries: Vec::new() };
        made.file("bin/busybox", &pieces.busybox());
        // busybox makes links to itself under `--install`; the script needs them before /proc is there.
        made.text("init", 0o755, INIT);
        made.text("lib.sh", 0o644, LIBRARY);
        made.text("run.sh", 0o644, script);
        let mut order = String::new();
        for (name, bytes) in pieces.kernel.modules(modules)? {
            order.push_str(&format!("{name}\n"));
            made.add(&format!("modules/{name}.ko"), 0o644, Content::Bytes(bytes));
        }
        made.text("modules/order", 0o644, &order);
        for folder in ["dev", "proc", "sys", "tmp", "mnt", "q", "run"] {
            made.folders.insert(folder.into());
        }
        Ok(made)
    }

    /// A file that is not a program.
    pub fn copy(mut self, name: &str, from: PathBuf) -> Self {
        self.add(name, 0o644, Content::File(from));
        self
    }

    /// A program of the host's under `/bin`, with its shared libraries where it looks for them.
    pub fn program(self, path: &Path) -> Result<Self> {
        let name = path.file_name().and_then(|n| n.to_str());
        let name = name.ok_or_else(|| Error::Piece(format!("{} is no program", path.display())))?;
        self.library(path, &format!("bin/{name}"))
    }

    /// A program or shared object at this place, with the shared libraries that it needs where it looks for them.
    pub fn library(mut self, path: &Path, place: &str) -> Result<Self> {
        self.file(place, path);
        for library in closure(path)? {
            let at = library.to_string_lossy().trim_start_matches('/').to_owned();
            self.file(&at, &library);
        }
        Ok(self)
    }

    fn text(&mut self, name: &str, mode: u32, text: &str) {
        self.add(name, mode, Content::Bytes(text.into()));
    }

    fn file(&mut self, name: &str, path: &Path) {
        self.add(name, 0o755, Content::File(path.to_owned()));
    }

    fn add(&mut self, name: &str, mode: u32, content: Content) {
        if self.entries.iter().any(|(other, ..)| other == name) {
            return;
        }
        for (i, _) in name.match_indices('/') {
            self.folders.insert(name[..i].to_owned());
        }
        self.entries.push((name.to_owned(), mode, content));
    }

    /// Writes the archive. Machines that are the same share it, by its name.
    pub fn write(self, name: &str) -> Result<PathBuf> {
        let path = self.pieces.root.join(format!("{name}.cpio"));
        let failed = || Error::io("write", &path);
        let file = File::create(&path).map_err(failed())?;
        let mut out = std::io::BufWriter::new(file);
        let mut inode = 1;
        let mut entry = |name: &str, mode: u32, bytes: &[u8]| -> std::io::Result<()> {
            inode += 1;
            let builder = newc::Builder::new(name).ino(inode).mode(mode).nlink(1);
            let mut writer = builder.write(&mut out, bytes.len() as u32);
            writer.write_all(bytes)?;
            writer.finish().map(drop)
        };
        for folder in &self.folders {
            entry(folder, 0o040_755, &[]).map_err(failed())?;
        }
        for (name, mode, content) in &self.entries {
            let bytes = match content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::File(path) => std::fs::read(path).map_err(Error::io("read", path))?,
            };
            entry(name, 0o100_000 | mode, &bytes).map_err(failed())?;
        }
        let out = newc::trailer(out).map_err(failed())?;
        out.into_inner().map_err(|e| failed()(e.into_error()))?;
        Ok(path)
    }
}
