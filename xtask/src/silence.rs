//! What a program prints, line by line, and an end for what has fallen silent: a test that waits for ever would hold up all
//! others, and nobody would learn which it is.

use std::io::{self, BufRead, BufReader, Read};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// What came.
pub enum Said {
    Line(String),
    /// Nothing for the whole of the limit; the programs that `parent` runs were ended.
    Nothing,
}

/// Gives `take` each line of `output` until it ends. When none comes for `limit`, the children of the process `parent` are killed.
pub fn watch(
    output: impl Read + Send + 'static,
    parent: u32,
    limit: Duration,
    mut take: impl FnMut(Said),
) -> io::Result<()> {
    let (sender, receiver) = sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let failed = line.is_err();
            if sender.send(line).is_err() || failed {
                return;
            }
        }
    });
    loop {
        match receiver.recv_timeout(limit) {
            Ok(line) => take(Said::Line(line?)),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                for child in children(parent) {
                    Command::new("kill").args(["-KILL", &child]).status()?;
                }
                take(Said::Nothing);
            }
        }
    }
}

/// The processes that this one has started and not seen end (proc(5)).
fn children(parent: u32) -> Vec<String> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    fn watched(script: &str) -> Result<(Vec<String>, usize), Box<dyn std::error::Error>> {
        let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
        let output = shell.stdout.take().ok_or("no pipe")?;
        let (mut lines, mut ended) = (Vec::new(), 0);
        watch(output, shell.id(), Duration::from_millis(500), |said| match said {
            Said::Line(line) => lines.push(line),
            Said::Nothing => ended += 1,
        })?;
        shell.wait()?;
        Ok((lines, ended))
    }

    #[test]
    fn who_speaks_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(watched("echo a; sleep 0.1; echo b")?, (vec!["a".into(), "b".into()], 0));
        Ok(())
    }

    #[test]
    fn who_falls_silent_is_ended_and_the_next_goes_on() -> Result<(), Box<dyn std::error::Error>> {
        assert_eq!(watched("echo a; sleep 1000; echo b")?, (vec!["a".into(), "b".into()], 1));
        Ok(())
    }
}
