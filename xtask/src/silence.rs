//! What a program prints, line by line, and an end for what is stuck: a test that waits for ever would hold up all others,
//! and nobody would learn which it is.
//!
//! Stuck is not slow. On a machine with much else to do a test says nothing for an hour and is well, so it is not the clock
//! on the wall that counts but the processor time of the program and all that it has started. Too much of it without a word,
//! or next to none for long, is a standstill.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::tree;

/// What came.
pub enum Said {
    /// One line of the output with this number.
    Line(usize, String),
    /// Nothing, for so long that what ran was ended; how it was stuck, in words.
    Nothing(String),
}

/// When silence counts as a standstill.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Processor time that may pass without a word.
    pub work: Duration,
    /// Time on the wall that may pass without a word, as long as no more than a hundredth of it was work.
    pub rest: Duration,
    /// How often to look.
    pub look: Duration,
}

/// What a program writes to.
pub type Output = Box<dyn Read + Send>;

/// Gives `take` each line of the outputs until they end. What falls silent for longer than `patience` has is killed with
/// everything below the process `parent`.
pub fn watch(outputs: Vec<Output>, parent: u32, patience: Patience, mut take: impl FnMut(Said)) -> io::Result<()> {
    let (sender, receiver) = sync_channel(64);
    for (number, output) in outputs.into_iter().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let failed = line.is_err();
                let line = line.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                if sender.send((number, line)).is_err() || failed {
                    return;
                }
            }
        });
    }
    drop(sender);
    let mut heard = (Instant::now(), tree::processor_time(parent));
    loop {
        match receiver.recv_timeout(patience.look) {
            Ok((number, line)) => {
                take(Said::Line(number, line?));
                heard = (Instant::now(), tree::processor_time(parent));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                // What somebody else waits for is no longer counted: then it is less than it was.
                let (rest, work) = (heard.0.elapsed(), tree::processor_time(parent).saturating_sub(heard.1));
                let how = if work >= patience.work {
                    format!("{} of work without a word", minutes(work))
                } else if rest >= patience.rest && work < rest / 100 {
                    format!("no work for {}", minutes(rest))
                } else {
                    continue;
                };
                tree::kill_below(parent);
                take(Said::Nothing(how));
                heard = (Instant::now(), tree::processor_time(parent));
            }
        }
    }
}

fn minutes(time: Duration) -> String {
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    const SECOND: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(1000);

    fn watched(script: &str, work: Duration, rest: Duration) -> Result<Vec<String>, Box<dyn std::error::Error>> {
        let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
        let output = shell.stdout.take().ok_or("no pipe")?;
        let mut lines = Vec::new();
        watch(vec![Box::new(output)], shell.id(), Patience { work, rest, look: SECOND / 20 }, |said| match said {
            Said::Line(_, line) => lines.push(line),
            Said::Nothing(how) => lines.push(how.replace(|c: char| c.is_ascii_digit(), "")),
        })?;
        shell.wait()?;
        Ok(lines)
    }

    #[test]
    fn who_speaks_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(watched("echo a; sleep 0.1; echo b", LONG, LONG)?, ["a", "b"]);
        Ok(())
    }

    #[test]
    fn who_rests_is_ended_and_the_next_goes_on() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(watched("echo a; sleep 1000; echo b", LONG, SECOND)?, ["a", "no work for  min  s", "b"]);
        Ok(())
    }

    #[test]
    fn who_works_without_a_word_is_ended() -> Result<(), Box<dyn std::error::Error>> {
        let said = watched("echo a; sh -c 'while :; do :; done'; echo b", SECOND / 2, LONG)?;
        assert_eq!(said, ["a", " min  s of work without a word", "b"]);
        Ok(())
    }

    #[test]
    fn who_works_slowly_is_left_alone_however_long_it_takes() -> Result<(), Box<dyn std::error::Error>> {
        // Two and a half limits, and of each more than a hundredth is work, whatever else the machine does.
        let script = "end=$(($(date +%s%N) + 2500000000)); while [ $(date +%s%N) -lt $end ]; do :; done; echo b";
        assert_eq!(watched(script, LONG, SECOND)?, ["b"]);
        Ok(())
    }
}
