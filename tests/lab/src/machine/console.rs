//! A machine's serial console: everything goes to a log; lines that begin with `@` are for us.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::patience::Patience;
use crate::{Error, Result};

/// How often the machine's load is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A line that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The machine got so far.
    Step(String),
    /// It measured something.
    Value(String, f64),
    /// It computed something of its files.
    Digest(String),
    /// It wants something from the host.
    Ask(String),
    /// The case failed.
    Fail(String),
    /// The case is through.
    Done,
    /// A guest is through; its host goes on.
    Guest,
    /// For the log.
    Other,
}

impl Line {
    fn parse(text: &str) -> Line {
        if text.contains("guest is done") {
            return Line::Guest;
        }
        // A kernel message may share the line.
        let Some(at) = text.find('@') else { return Line::Other };
        let (word, rest) = text[at + 1..].split_once(' ').unwrap_or((&text[at + 1..], ""));
        match word {
            "step" => Line::Step(rest.to_owned()),
            "digest" => Line::Digest(rest.trim().to_owned()),
            "ask" => Line::Ask(rest.to_owned()),
            "fail" => Line::Fail(rest.to_owned()),
            "done" => Line::Done,
            "value" => match rest.split_once(' ').map(|(name, value)| (name, value.trim().parse())) {
                Some((name, Ok(value))) => Line::Value(name.to_owned(), value),
                _ => Line::Other,
            },
            _ => Line::Other,
        }
    }
}

/// The console of a running machine.
pub struct Console {
    lines: Receiver<String>,
    input: Option<ChildStdin>,
    readers: Vec<JoinHandle<()>>,
    log: File,
    last: String,
}

impl Console {
    /// Takes a child's pipes.
    pub fn of(child: &mut Child, log: &Path, command: &str) -> Result<Console> {
        let mut file = File::create(log).map_err(Error::io("create", log))?;
        writeln!(file, "{command}\n").map_err(Error::io("write", log))?;
        let (sender, lines) = channel();
        let mut readers = Vec::new();
        let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] =
            [child.stdout.take().map(|o| Box::new(o) as _), child.stderr.take().map(|o| Box::new(o) as _)];
        for output in outputs.into_iter().flatten() {
            let sender = sender.clone();
            readers.push(std::thread::spawn(move || {
                let mut output = BufReader::new(output);
                let mut line = Vec::new();
                while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    if sender.send(text).is_err() {
                        break;
                    }
                }
            }));
        }
        Ok(Console { lines, input: child.stdin.take(), readers, log: file, last: String::new() })
    }

    /// The next line; `None` at the end or when patience is.
    pub fn next(&mut self, patience: &mut Patience) -> Result<Option<Line>> {
        loop {
            let Some(left) = patience.left() else { return Ok(None) };
            match self.lines.recv_timeout(left.min(LOOK)) {
                Ok(text) => return Ok(Some(self.take(text))),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    fn take(&mut self, text: String) -> Line {
        // The log is for people; that it cannot be written must not fail the case.
        let _ = writeln!(self.log, "{text}");
        let line = Line::parse(&text);
        if !text.is_empty() && line == Line::Other {
            self.last = text;
        }
        line
    }

    /// Types a line.
    pub fn reply(&mut self, text: &str) {
        // A machine that is gone shows at the next read.
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{text}");
            let _ = input.flush();
        }
    }

    /// The last thing that was said outside of the protocol, for a message.
    pub fn hint(&self) -> String {
        if self.last.is_empty() { String::new() } else { format!("; its last words: {}", self.last) }
    }

    /// Reads what is left into the log.
    pub fn close(mut self) {
        drop(self.input.take());
        for text in self.lines.iter() {
            let _ = writeln!(self.log, "{text}");
        }
        for reader in self.readers {
            let _ = reader.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_the_host_begin_with_an_at() {
        assert_eq!(Line::parse("@step 2.5 mkfs"), Line::Step("2.5 mkfs".into()));
        assert_eq!(Line::parse("@value boot 1.25"), Line::Value("boot".into(), 1.25));
        assert_eq!(Line::parse("@value boot soon"), Line::Other);
        assert_eq!(Line::parse("[    1.0] noise@done"), Line::Done);
        assert_eq!(Line::parse("mail@example"), Line::Other);
        assert_eq!(Line::parse("guest is done"), Line::Guest);
    }
}
