//! The work folder, `target/fpga`: what was made is kept under the hash of all that it was made from.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use azote_verilate::Work;
use azote_verilate::cache::{self, Key};

use crate::Error;

/// The name of all that something is made from.
pub fn key(parts: &[&str]) -> String {
    parts.iter().fold(Key::new(), |key, part| key.mix(part)).name()
}

/// `target/fpga`, or below `CARGO_TARGET_DIR`.
pub fn folder() -> Result<PathBuf, Error> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let folder = target.join("fpga");
    std::fs::create_dir_all(&folder).map_err(Error::io("create the work folder", &folder))?;
    folder.canonicalize().map_err(Error::io("find", &folder))
}

/// Makes `target/fpga/name` once. What a tool said before it failed is worth more than a tidy folder.
pub fn once(name: &str, make: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
    cache::once_or_keep(&folder()?, name, make)
}

/// A program at work: its output goes to `log`, and a line on the terminal says how far it is.
pub struct Job<'a> {
    /// The program's name, for messages.
    pub program: &'a str,
    /// What it is to do, for messages: "synthesis of 8 VFs a kind".
    pub what: &'a str,
    /// Where all that it says goes.
    pub log: &'a Path,
    /// What installs it.
    pub remedy: &'static str,
}

impl Job<'_> {
    /// Runs it to the end. `note` picks from a line of output what is worth showing.
    pub fn run(&self, command: &mut Command, note: impl Fn(&str) -> Option<String>) -> Result<(), Error> {
        let begin = Instant::now();
        let shown = Work::begin(&format!("fpga: {}", self.what));
        let mut log = File::create(self.log).map_err(Error::io("create the log", self.log))?;
        let errors = log.try_clone().map_err(Error::io("write the log", self.log))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut child = child.map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { program: self.program.to_owned(), remedy: self.remedy },
            _ => Error::Io { what: "run", path: self.program.into(), source },
        })?;
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line = line.map_err(Error::io("read what the program says, for", self.log))?;
                let text = String::from_utf8_lossy(&line);
                writeln!(log, "{text}").map_err(Error::io("write the log", self.log))?;
                if let Some(step) = note(&text) {
                    shown.at(&step);
                }
            }
        }
        let status = child.wait().map_err(Error::io("wait for the program that writes", self.log))?;
        drop(shown);
        if status.success() {
            eprintln!("fpga: {}: {} s", self.what, begin.elapsed().as_secs());
            return Ok(());
        }
        let text = std::fs::read(self.log).map_err(Error::io("read", self.log))?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(12)..].join("\n");
        let (program, what, log) = (self.program.to_owned(), self.what.to_owned(), self.log.to_owned());
        Err(Error::Failed { program, what, status: status.to_string(), log, tail })
    }
}
