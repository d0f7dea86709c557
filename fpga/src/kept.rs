//! What the core took when it was synthesized last, kept in the repository (`fpga/kept`) under the hash of all that went in:
//! Verilog, script and the version of yosys. As long as these are the same, so is the netlist, and nobody on a new machine has
//! to wait twelve minutes to be told what is known. `cargo xtask fpga --core` synthesizes what is not known and keeps it.

use std::io::Write;
use std::path::{Path, PathBuf};

use azote_files::{Inputs, Output};
use azote_rtl::Part;
use serde::{Deserialize, Serialize};

use crate::cells::Netlist;
use crate::{Error, synth};

/// One file of the folder.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The hash of all that it was made from.
    key: String,
    /// yosys and its version, for a reader.
    tool: String,
    netlist: Netlist,
}

/// What the card core with `vfs` VFs a kind takes, part by part: from here if it is known, and synthesized if it is not.
///
/// # Errors
/// If yosys is not there or fails, or a file can not be read.
pub fn core(vfs: usize) -> Result<Netlist, Error> {
    parts(vfs, |_, _| Ok(()))
}

/// The same, and keeps it for all who come after: what the command does, and a test does not.
///
/// # Errors
/// As [`core`], or if the file can not be written.
pub fn keep(vfs: usize) -> Result<Netlist, Error> {
    parts(vfs, |part, kept| {
        let path = path(part, vfs);
        let text = serde_json::to_string_pretty(kept).map_err(|e| Error::format(&path, e))?;
        replace(&path, &(text + "\n"))
    })
}

/// All parts, which are synthesized by themselves: what changes in one is not waited for in the others.
fn parts(vfs: usize, found: impl Fn(Part, &Kept) -> Result<(), Error>) -> Result<Netlist, Error> {
    let mut whole = Netlist::default();
    for part in Part::ALL {
        let kept = find(part, vfs)?;
        found(part, &kept)?;
        whole.add(part.name(), &kept.netlist);
    }
    Ok(whole)
}

/// Puts a text in a file's place when it is whole: what was known stays until then.
///
/// # Errors
/// If it can not be written.
pub fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let mut output = Output::create(path, &Inputs::new())?;
    output.write_all(text.as_bytes()).map_err(Error::io("write", path))?;
    Ok(output.finish()?)
}

fn find(part: Part, vfs: usize) -> Result<Kept, Error> {
    let design = azote_rtl::part(part, vfs)?;
    let (tool, key) = (synth::version()?, synth::key(&design)?);
    if let Some(kept) = read(&path(part, vfs))?.filter(|kept| kept.key == key) {
        return Ok(kept);
    }
    let what = format!("synthesis of {} with {vfs} VFs a kind", called(part));
    Ok(Kept { key, tool, netlist: synth::synthesize(&design, &what)?.netlist })
}

fn path(part: Part, vfs: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("kept/{}-{vfs}.json", called(part)))
}

/// What people call a part.
fn called(part: Part) -> &'static str {
    if part.name().is_empty() { "core" } else { part.name() }
}

/// A file that is not there, or that another version of this program wrote, is nothing known.
fn read(path: &Path) -> Result<Option<Kept>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_is_kept_is_replaced_by_a_whole_file_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("core-4.json");
        std::fs::write(&path, "what was known").unwrap();
        // A reader that has it open goes on with what it has.
        let reader = std::fs::File::open(&path).unwrap();
        super::replace(&path, "what is known now").unwrap();
        assert_eq!(std::io::read_to_string(&reader).unwrap(), "what was known");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "what is known now");
        assert_eq!((std::fs::read_dir(folder.path()).unwrap().count(), reader.metadata().unwrap().nlink()), (1, 0));
    }
}
