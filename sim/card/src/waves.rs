//! The wave file: written by the compiled model under a name of its own, it takes its place when it is whole.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use azote_files::{Inputs, Output, Pending};

use crate::Error;
use crate::device::{TlpDevice, WaveScope};

/// A wave file that is being written.
#[derive(Debug)]
pub(crate) struct Waves {
    output: Output,
    /// What the writer keeps beside it until it is complete.
    _beside: Option<Pending>,
}

impl Waves {
    /// Has `device` write its waves to what becomes `path`.
    pub fn begin(device: &mut dyn TlpDevice, path: &Path, scope: &WaveScope, inputs: &Inputs) -> Result<Waves, Error> {
        let output = Output::create(path, inputs)?;
        for folder in [output.working_path().parent().unwrap_or(Path::new(".")), Path::new(SCRATCH)] {
            let failed =
                |e: nix::Error| Error::Io { what: "ask for the room in", path: folder.to_owned(), source: e.into() };
            let room = nix::sys::statvfs::statvfs(folder).map_err(failed)?;
            if room.blocks_available() * room.fragment_size() < ROOM {
                let reason = format!("{} has less than {} MiB free", folder.display(), ROOM >> 20);
                return Err(Error::Trace { path: path.to_owned(), reason });
            }
        }
        device.trace(output.working_path(), scope)?;
        let mut beside = output.working_path().as_os_str().to_owned();
        beside.push(".hier");
        let beside = Pending::at(Path::new(&beside)).ok();
        Ok(Waves { output: output.adopt()?, _beside: beside })
    }

    /// Has `device` complete the file, and puts it in its place. The model's writer does not say whether the disk was full; the
    /// file does.
    pub fn finish(self, device: &mut dyn TlpDevice) -> Result<(), Error> {
        device.trace_end();
        let path = self.output.path().to_owned();
        match is_whole(self.output.file()) {
            Ok(true) => Ok(self.output.finish()?),
            Ok(false) => {
                let reason = "the file came out incomplete and was removed; is the disk full?".into();
                Err(Error::Trace { path, reason })
            }
            Err(source) => Err(Error::Io { what: "check the wave file", path, source }),
        }
    }
}

/// What must be free where the file is, and where the model's writer has its scratch files (C's `tmpfile`), before it begins. It
/// maps some of these into memory, and a page of theirs for which there is no room would end the process; they have
/// their size from the first clocks on. A disk that fills up later is an error.
const ROOM: u64 = 16 << 20;
const SCRATCH: &str = "/tmp";

/// Bytes of a block's type and length.
const HEAD: u64 = 9;
/// The block that a file begins with and its length, the blocks that are the hierarchy of signals, and one that is not yet
/// written.
const HEADER: u8 = 0;
const HEADER_LENGTH: u64 = 329;
const HIERARCHY: [u8; 3] = [4, 6, 7];
const SKIP: u8 = 255;

/// Whether an FST file is complete: blocks, each a type and a length that counts itself, follow each other from a header
/// to the end of the file, and one of them is the hierarchy, which is written last. (The format is that of GTKWave's
/// `fstapi`.)
fn is_whole(file: &std::fs::File) -> io::Result<bool> {
    let size = file.metadata()?.len();
    let (mut at, mut hierarchy) = (0, false);
    while at < size {
        let mut head = [0; HEAD as usize];
        if at + HEAD > size {
            return Ok(false);
        }
        file.read_exact_at(&mut head, at)?;
        let [kind, length @ ..] = head;
        let length = u64::from_be_bytes(length);
        if (at == 0 && (kind, length) != (HEADER, HEADER_LENGTH)) || kind == SKIP || length < 8 {
            return Ok(false);
        }
        hierarchy |= HIERARCHY.contains(&kind);
        at = match at.checked_add(1 + length) {
            Some(next) if next <= size => next,
            _ => return Ok(false),
        };
    }
    Ok(hierarchy)
}
