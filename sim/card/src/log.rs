//! The TLP log: a file for those who asked, and always the last few packets, for the report of a violation.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;

use azote_files::{Inputs, Output};
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
    file: Option<BufWriter<Output>>,
    /// Why there is no file any more.
    failed: Option<Error>,
    last: VecDeque<(u64, Direction, Packet)>,
}

impl Log {
    pub fn new(path: Option<&Path>, inputs: &Inputs) -> Result<Log, Error> {
        let file = path.map(|path| Output::stream(path, inputs)).transpose()?.map(BufWriter::new);
        Ok(Log { file, failed: None, last: VecDeque::with_capacity(KEPT + 1) })
    }

    /// A full disk does not end a simulation; the log is given up, and whoever ends the simulation hears of it.
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let Some(file) = &mut self.file else { return };
        if let Err(source) = writeln!(file, "{text}") {
            self.give_up(source);
        }
    }

    fn give_up(&mut self, source: std::io::Error) {
        if let Some(file) = self.file.take() {
            let (output, _) = file.into_parts();
            self.failed = Some(Error::Io { what: "write the TLP log", path: output.path().to_owned(), source });
        }
    }

    /// Notes a packet whose last beat went in clock `clock`.
    pub fn packet(&mut self, clock: u64, direction: Direction, packet: Packet) {
        if self.file.is_some() {
            self.line(format_args!("{}", line(clock, direction, &packet)));
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back((clock, direction, packet));
    }

    /// A line of text between the packets.
    pub fn note(&mut self, clock: u64, text: &str) {
        self.line(format_args!("{clock:>10} !! {text}"));
    }

    /// The last packets, a line each.
    pub fn tail(&self) -> String {
        self.last.iter().fold(String::new(), |mut out, (clock, direction, packet)| {
            let _ = writeln!(out, "{}", line(*clock, *direction, packet));
            out
        })
    }

    /// The log is whole: its file takes its place. Says if any of it could not be written.
    pub fn finish(&mut self) -> Result<(), Error> {
        if let Some(Err(source)) = self.file.as_mut().map(BufWriter::flush) {
            self.give_up(source);
        }
        match (self.failed.take(), self.file.take()) {
            (Some(failed), _) => Err(failed),
            (None, Some(file)) => Ok(file.into_parts().0.finish()?),
            (None, None) => Ok(()),
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
