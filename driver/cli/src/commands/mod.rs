//! The commands, one a file. Each takes a card and writes to what it is given, so that tests run them without a process.

mod blocks;
mod copy;
pub mod ctl;
mod id;
mod latency;
mod nbd;
pub mod run;
pub mod serve;
mod stats;
pub mod vf;

use std::io::{self, Write};

use crate::{
    Error, Result,
    args::Command,
    card::{Card, table},
    nbd::Stop,
};

/// Does what was asked for. `stop` ends a server.
pub fn run(card: &dyn Card, command: &Command, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    match command {
        Command::List => print(out, &table(&card.list()?)),
        Command::Id { target } => id::run(card, target, out),
        Command::Read { target, lba, blocks, output } => {
            blocks::read(card, target, *lba, *blocks, output.as_deref(), out)
        }
        Command::Write { target, lba, input } => blocks::write(card, target, *lba, input, &mut io::stdin().lock()),
        Command::Copy { source, destination, partial, quiet } => {
            copy::run(card, source, destination, copy::Options { partial: *partial, quiet: *quiet })
        }
        Command::Stats { target } => stats::run(card, target, out),
        // They need no card, or one of their own: `main` has done them.
        Command::Vf(_) | Command::Ctl { .. } | Command::Model { .. } | Command::Serve { .. } | Command::Run(_) => {
            Ok(())
        }
        Command::Nbd { target, listen } => nbd::run(card, target, listen, out, stop),
    }
}

/// Writes a text. A reader that has seen enough (`azote list | head -1`) is no error.
pub(crate) fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|source| Error::Io { what: "writing the output".into(), source }),
    }
}

/// A number of bytes for people.
#[must_use]
pub fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
