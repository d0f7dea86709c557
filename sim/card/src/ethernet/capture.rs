//! What passes the port, as a pcap file with nanoseconds: Wireshark, tcpdump and tshark open it.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use azote_files::{Inputs, Output};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, Endianness, TsResolution};

use super::port::LONGEST;
use crate::Error;

type Writer = PcapWriter<BufWriter<Output>>;

/// A pcap file that is being written. It is in its place when it is whole, by [`Capture::finish`] or at the end of the simulation.
pub struct Capture {
    writer: Option<Writer>,
    path: PathBuf,
    failed: Option<Error>,
}

impl Capture {
    /// Begins one; `inputs` are files that it must not replace. A character device is written as it comes, for a viewer that
    /// reads while frames pass.
    pub fn create(path: &Path, inputs: &Inputs) -> Result<Capture, Error> {
        let output = BufWriter::new(Output::stream(path, inputs)?);
        let header = PcapHeader {
            version_major: 2,
            version_minor: 4,
            ts_correction: 0,
            ts_accuracy: 0,
            snaplen: LONGEST as u32,
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            endianness: Endianness::native(),
        };
        let writer = PcapWriter::with_header(output, header).map_err(|error| failed(path, error))?;
        Ok(Capture { writer: Some(writer), path: path.to_owned(), failed: None })
    }

    /// Notes a frame that passed at this time. A full disk does not end a simulation: the file is given up, and whoever ends it
    /// hears of it.
    pub fn frame(&mut self, now: Duration, frame: &[u8]) {
        let Some(writer) = &mut self.writer else { return };
        if let Err(error) = writer.write_packet(&PcapPacket::new(now, frame.len() as u32, frame)) {
            self.failed = Some(failed(&self.path, error));
            self.writer = None;
        }
    }

    /// The file is whole, and takes its place.
    pub fn finish(self) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Some(writer) = self.writer else { return Ok(()) };
        let output = writer.into_writer().into_inner().map_err(|error| Error::Io {
            what: "write frames to",
            path: self.path,
            source: error.into_error(),
        })?;
        Ok(output.finish()?)
    }
}

fn failed(path: &Path, error: pcap_file::PcapError) -> Error {
    let source = match error {
        pcap_file::PcapError::IoError(source) => source,
        other => std::io::Error::other(other),
    };
    Error::Io { what: "write frames to", path: path.to_owned(), source }
}
