//! A case and the file that holds it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use azote_files::{Inputs, Output};

use crate::{Error, Result};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steps {
    /// Steps made from the seed, until so many commands are completed.
    Until(u64),
    /// Exactly these.
    These(Vec<u64>),
}

/// One run, wholly determined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Seed of the host's timing, and of the steps if they are not listed.
    pub seed: u64,
    /// Whether the host stalls, overtakes and splits at random.
    pub rough: bool,
    /// Whether there are resets, faults, deletions of queues and disabled VFs.
    pub events: bool,
    /// Fails on purpose at some place, to try the tools that deal with failures.
    pub planted: bool,
    /// The steps.
    pub steps: Steps,
}

/// The number is another one when steps mean something else.
const FIRST: &str = "azote soak case 3";

impl Case {
    /// As text, a step a line.
    pub fn text(&self) -> String {
        let Case { seed, rough, events, planted, steps } = self;
        let mut text = format!("{FIRST}\nseed {seed}\nrough {rough}\nevents {events}\nplanted {planted}\n");
        match steps {
            Steps::Until(commands) => {
                let _ = writeln!(text, "until {commands}");
            }
            Steps::These(list) => {
                for step in list {
                    let _ = writeln!(text, "step {step:016x}");
                }
            }
        }
        text
    }

    /// From text.
    pub fn parse(text: &str) -> Result<Case> {
        let mut case = Case { seed: 0, rough: false, events: true, planted: false, steps: Steps::These(Vec::new()) };
        let mut lines = text.lines();
        if lines.next() != Some(FIRST) {
            return Err(Error::Wrong(format!("a case begins with the line `{FIRST}`")));
        }
        for line in lines.filter(|l| !l.trim().is_empty()) {
            let bad = || Error::Wrong(format!("not a line of a case: {line}"));
            let (word, value) = line.split_once(' ').ok_or_else(bad)?;
            let number = || value.parse().map_err(|_| bad());
            let flag = || value.parse().map_err(|_| bad());
            match word {
                "seed" => case.seed = number()?,
                "rough" => case.rough = flag()?,
                "events" => case.events = flag()?,
                "planted" => case.planted = flag()?,
                "until" => case.steps = Steps::Until(number()?),
                "step" => match &mut case.steps {
                    Steps::These(list) => list.push(u64::from_str_radix(value, 16).map_err(|_| bad())?),
                    Steps::Until(_) => return Err(bad()),
                },
                _ => return Err(bad()),
            }
        }
        Ok(case)
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Case> {
        let io = |source| Error::Io { what: "read", path: path.to_owned(), source };
        Case::parse(&std::fs::read_to_string(path).map_err(io)?)
    }

    /// Writes a file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut output = Output::create(path, &Inputs::new())?;
        let written = output.write_all(self.text().as_bytes());
        written.map_err(|source| Error::Io { what: "write", path: path.to_owned(), source })?;
        Ok(output.finish()?)
    }
}
