//! What a compiled model says of itself, and whether it is whole.
//!
//! A shared object that is cut short kills whoever loads it (SIGBUS), and one that is made for another processor does so in
//! the middle of its work (SIGILL). So the facts of its build and a checksum stand behind its own bytes, where a loader does
//! not look, and are read before it is loaded: bytes of the object, facts as JSON, length of the facts (8 bytes,
//! little-endian), SHA-256 of all before it, [`MAGIC`].

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, tools};

/// The end of every model.
const MAGIC: &[u8; 16] = b"azote model 0001";
/// Length and checksum before it.
const LENGTH: usize = 8;
const SUM: usize = 32;

/// More than the facts of any model.
const FACTS_MAX: usize = 16 << 20;
/// So much of a file is in memory at a time.
const PIECE: usize = 1 << 20;

/// The checksum of the first `len` bytes of a file.
fn sha256(file: &File, len: u64) -> io::Result<impl AsRef<[u8]> + use<>> {
    let (mut sum, mut piece, mut at) = (Sha256::new(), vec![0; PIECE], 0);
    while at < len {
        let piece = &mut piece[..PIECE.min(usize::try_from(len - at).unwrap_or(PIECE))];
        file.read_exact_at(piece, at)?;
        sum.update(&*piece);
        at += piece.len() as u64;
    }
    Ok(sum.finalize())
}

/// The facts of a model's build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Who made it: this package and its version.
    pub made_by: String,
    /// The top module.
    pub top: String,
    /// Hash of the Verilog text.
    pub verilog: String,
    /// Hash of the C++ between the model and us: another one has other calls.
    pub shim: String,
    /// First line of `verilator --version`.
    pub verilator: String,
    /// First line of `g++ --version`.
    pub compiler: String,
    /// What the processor says of itself that it was made for; none if it is for any.
    pub processor: Option<String>,
    /// It can write waves.
    pub waves: bool,
    /// Paths of its blocks below the top, as the Verilog has them: `u_storage.u_front`.
    pub blocks: Vec<String>,
}

impl Facts {
    /// Writes the facts behind a shared object that has just been linked.
    pub(crate) fn seal(&self, path: &Path) -> Result<(), Error> {
        let mut bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let object = bytes.len();
        let facts = serde_json::to_vec(self).unwrap_or_default();
        bytes.extend(&facts);
        bytes.extend((facts.len() as u64).to_le_bytes());
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        bytes.extend(MAGIC);
        let file = OpenOptions::new().append(true).open(path);
        let written = file.and_then(|mut file| {
            file.write_all(&bytes[object..])?;
            file.sync_all()
        });
        written.map_err(Error::io("write", path))
    }

    /// Reads the facts of a model.
    ///
    /// # Errors
    /// If the file is no model, or not all of it is as it was made.
    pub fn read(path: &Path) -> Result<Facts, Error> {
        let failed = || Error::io("read the model", path);
        let file = azote_files::open(path, azote_files::Access::Read)?;
        let wrong = |reason: &str| Error::Model { path: path.to_owned(), reason: reason.to_owned() };
        let no_model = || wrong("it is no model, or its end is missing; `azote model` makes one");
        // The end of a block device is its size, too.
        let len = (&file).seek(SeekFrom::End(0)).map_err(failed())?;
        // The end first: what is no model may be of any size.
        let summed = len.checked_sub((SUM + MAGIC.len()) as u64).ok_or_else(no_model)?;
        let mut end = [0; SUM + MAGIC.len()];
        file.read_exact_at(&mut end, summed).map_err(failed())?;
        let sum = end.strip_suffix(MAGIC).ok_or_else(no_model)?;
        if sha256(&file, summed).map_err(failed())?.as_ref() != sum {
            return Err(wrong("it is damaged: its checksum is another; make or copy it again"));
        }
        // The checksum holds, so that what is wrong from here on is another version's and no damage.
        let facts = || {
            let at = summed.checked_sub(LENGTH as u64)?;
            let mut length = [0; LENGTH];
            file.read_exact_at(&mut length, at).ok()?;
            let length = u64::from_le_bytes(length);
            let mut facts = vec![0; usize::try_from(length).ok().filter(|length| *length <= FACTS_MAX)?];
            file.read_exact_at(&mut facts, at.checked_sub(length)?).ok()?;
            serde_json::from_slice(&facts).ok()
        };
        facts().ok_or_else(|| wrong("another version made it; compile it again with `azote model`"))
    }

    /// Reads the facts, and checks that this machine and the shim `shim` can do with the model.
    ///
    /// # Errors
    /// As [`Facts::read`], or if it is for another processor or another version of this program.
    pub fn fit(path: &Path, shim: &str) -> Result<Facts, Error> {
        let facts = Self::read(path)?;
        let wrong = |reason: String| Err(Error::Model { path: path.to_owned(), reason });
        if facts.shim != shim_hash(shim) {
            return wrong(format!("{} made it, with other calls; compile it again with `azote model`", facts.made_by));
        }
        if facts.processor.as_ref().is_some_and(|processor| *processor != tools::processor()) {
            return wrong("it is made for another processor; `azote model --portable` makes one for any".into());
        }
        Ok(facts)
    }
}

/// The hash of a shim's text, before the names of a model are put in.
pub(crate) fn shim_hash(text: &str) -> String {
    crate::cache::Key::new().mix(text).name()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            made_by: "a test".into(),
            top: "t".into(),
            verilog: "v".into(),
            shim: shim_hash("shim"),
            verilator: "5".into(),
            compiler: "12".into(),
            processor: None,
            waves: false,
            blocks: vec!["u_a".into()],
        }
    }

    fn sealed(facts: &Facts) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.so");
        std::fs::write(&path, b"the object's own bytes").unwrap();
        facts.seal(&path).unwrap();
        (folder, path)
    }

    #[test]
    fn facts_are_read_as_they_were_written() {
        let (_folder, path) = sealed(&facts());
        assert_eq!(Facts::read(&path).unwrap(), facts());
        assert!(std::fs::read(&path).unwrap().starts_with(b"the object's own bytes"));
    }

    #[test]
    fn any_byte_that_is_missing_or_changed_is_noticed() {
        let (_folder, path) = sealed(&facts());
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(matches!(Facts::read(&path), Err(Error::Model { .. })), "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert!(matches!(Facts::read(&path), Err(Error::Model { .. })), "changed at {at}");
        }
    }

    #[test]
    fn what_is_no_model_is_refused_by_its_end_whatever_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        // More than any memory holds.
        File::create(&path).unwrap().set_len(1 << 42).unwrap();
        let said = Facts::read(&path).unwrap_err().to_string();
        assert!(said.contains("it is no model"), "{said}");
    }

    #[test]
    fn an_object_of_more_than_one_piece_is_summed_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.so");
        std::fs::write(&path, vec![5; 2 * PIECE + 17]).unwrap();
        facts().seal(&path).unwrap();
        assert_eq!(Facts::read(&path).unwrap(), facts());
        for at in [0, PIECE, 2 * PIECE + 16] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(&[6], at as u64).unwrap();
            assert!(Facts::read(&path).unwrap_err().to_string().contains("damaged"), "changed at {at}");
            file.write_all_at(&[5], at as u64).unwrap();
        }
    }

    #[test]
    fn another_processor_and_another_shim_are_refused() {
        let (_folder, path) = sealed(&facts());
        Facts::fit(&path, "shim").unwrap();
        let said = Facts::fit(&path, "another").unwrap_err().to_string();
        assert!(said.contains("a test made it, with other calls"), "{said}");
        let (_folder, path) = sealed(&Facts { processor: Some("of tomorrow".into()), ..facts() });
        let said = Facts::fit(&path, "shim").unwrap_err().to_string();
        assert!(said.contains("--portable"), "{said}");
    }
}
