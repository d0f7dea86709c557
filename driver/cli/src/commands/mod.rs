//! The commands, one a file. Each takes a card and writes to what it is given, so that tests run them without a process.

mod blocks;
mod copy;
pub mod ctl;
pub mod help;
mod id;
mod latency;
pub mod model;
mod nbd;
mod net;
pub mod run;
pub mod serve;
mod stats;
pub mod vf;

use std::io::{self, Write};

use crate::{
    Error, Result,
    args::{self, Command},
    card::{Card, table},
    nbd::Stop,
};

/// Does what was asked for. `stop` ends a server.
pub fn run(card: &dyn Card, command: &Command, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    match command {
        Command::List(args::List { json, .. }) => {
            let list = card.list()?;
            if *json {
                return list.iter().try_for_each(|function| print_json(out, &function.json()));
            }
            print(out, &table(&list))
        }
        Command::Id(facts) => id::run(card, facts, out),
        Command::Read(args::Read { target, lba, blocks, output, .. }) => {
            blocks::read(card, target, *lba, *blocks, output.as_deref(), out)
        }
        Command::Write(args::Write { target, lba, input, .. }) => {
            blocks::write(card, target, *lba, input, &mut io::stdin().lock())
        }
        Command::Copy(args::Copy { source, destination, partial, raw, quiet, .. }) => {
            copy::run(card, source, destination, copy::Options { partial: *partial, quiet: *quiet, raw: *raw })
        }
        Command::Stats(facts) => stats::run(card, facts, out),
        Command::Net(command) => net::run(card, command, out, stop),
        Command::Nbd(arguments) => nbd::run(card, arguments, out, stop),
        // They need no card, or one of their own: `main` has done them.
        Command::Vf(_)
        | Command::Ctl { .. }
        | Command::Model(_)
        | Command::Verilog { .. }
        | Command::Serve(_)
        | Command::Run(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
    }
}

/// Writes one JSON object on a line of its own.
pub(crate) fn print_json(out: &mut dyn Write, value: &serde_json::Value) -> Result<()> {
    print(out, &format!("{value}\n"))
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
