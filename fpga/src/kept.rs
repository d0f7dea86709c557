//! What the core took when it was synthesized last, kept in the repository (`fpga/kept`) under the hash of all that went in:
//! Verilog, script and the version of yosys. As long as these are the same, so is the netlist, and nobody on a new machine has
//! to wait twelve minutes to be told what is known. `cargo xtask fpga --core` synthesizes what is not known and keeps it.

use std::path::PathBuf;

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

/// What the card core with `vfs` VFs a kind takes: from here if it is known, and synthesized if it is not.
///
/// # Errors
/// If yosys is not there or fails, or a file can not be read.
pub fn core(vfs: usize) -> Result<Netlist, Error> {
    Ok(find(vfs)?.netlist)
}

/// The same, and keeps it for all who come after: what the command does, and a test does not.
///
/// # Errors
/// As [`core`], or if the file can not be written.
pub fn keep(vfs: usize) -> Result<Netlist, Error> {
    let (kept, path) = (find(vfs)?, path(vfs));
    let text = serde_json::to_string_pretty(&kept).map_err(|e| Error::format(&path, e))?;
    std::fs::write(&path, text + "\n").map_err(Error::io("keep the result in", &path))?;
    Ok(kept.netlist)
}

fn find(vfs: usize) -> Result<Kept, Error> {
    let design = azote_rtl::card(vfs)?;
    let (tool, key) = (synth::version()?, synth::key(&design)?);
    if let Some(kept) = read(&path(vfs))?.filter(|kept| kept.key == key) {
        return Ok(kept);
    }
    let what = format!("synthesis of the core with {vfs} VFs a kind");
    Ok(Kept { key, tool, netlist: synth::synthesize(&design, &what)?.netlist })
}

fn path(vfs: usize) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("kept/core-{vfs}.json"))
}

/// A file that is not there, or that another version of this program wrote, is nothing known.
fn read(path: &std::path::Path) -> Result<Option<Kept>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}
