//! The TLP log: a file for those who asked, and always the last few packets, for the report of a violation.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use azote_tlp::{Packet, Tlp};

use crate::Error;

/// How many packets a violation's report shows.
const KEPT: usize = 24;

/// Which way a packet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the host to the card, `rx`.
    ToCard,
    /// From the card to the host, `tx`.
    FromCard,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<BufWriter<File>>,
    last: VecDeque<(u64, Direction, Packet)>,
}

impl Log {
    pub fn new(path: Option<&Path>) -> Result<Log, Error> {
        let open = |path: &Path| {
            File::create(path).map_err(|source| Error::Io { what: "create the TLP log", path: path.to_owned(), source })
        };
        let file = path.map(open).transpose()?.map(BufWriter::new);
        Ok(Log { file, last: VecDeque::with_capacity(KEPT + 1) })
    }

    /// Notes a packet whose last beat went in clock `clock`.
    pub fn packet(&mut self, clock: u64, direction: Direction, packet: Packet) {
        if let Some(file) = &mut self.file {
            // A full disk must not end a simulation: the log is cut off there, which is seen in the log.
            if writeln!(file, "{}", line(clock, direction, &packet)).is_err() {
                self.file = None;
            }
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back((clock, direction, packet));
    }

    /// A line of text between the packets.
    pub fn note(&mut self, clock: u64, text: &str) {
        if let Some(file) = &mut self.file
            && writeln!(file, "{clock:>10} !! {text}").is_err()
        {
            self.file = None;
        }
    }

    /// The last packets, a line each.
    pub fn tail(&self) -> String {
        self.last.iter().fold(String::new(), |mut out, (clock, direction, packet)| {
            let _ = writeln!(out, "{}", line(*clock, *direction, packet));
            out
        })
    }

    pub fn flush(&mut self) {
        if let Some(file) = &mut self.file
            && file.flush().is_err()
        {
            self.file = None;
        }
    }
}

fn line(clock: u64, direction: Direction, packet: &Packet) -> String {
    let arrow = if direction == Direction::ToCard { "->" } else { "<-" };
    match Tlp::decode(packet) {
        Ok(tlp) => format!("{clock:>10} {arrow} {tlp}"),
        Err(reason) => {
            format!("{clock:>10} {arrow} {:08x?} {} bytes: {reason}", packet.header, packet.payload.len())
        }
    }
}
