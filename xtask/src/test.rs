//! All tests, with a summary at the end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::run::{cargo, line};
use crate::setup;
use crate::silence::{self, Said};

/// The longest test takes half of this on a machine that has much else to do.
const SILENCE: Duration = Duration::from_secs(25 * 60);

/// What a run of tests came to.
#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Names of the tests that failed.
    names: Vec<String>,
    /// Names of those that have run for a minute and not ended.
    long: Vec<String>,
}

impl Totals {
    /// Takes one line of the test programs' output.
    fn take(&mut self, text: &str) {
        if let Some(counts) = text.strip_prefix("test result: ") {
            for part in counts.split(['.', ';']) {
                let mut words = part.split_whitespace();
                if let (Some(Ok(count)), Some(word)) = (words.next().map(str::parse::<u64>), words.next()) {
                    match word {
                        "passed" => self.passed += count,
                        "failed" => self.failed += count,
                        "ignored" => self.ignored += count,
                        _ => {}
                    }
                }
            }
        } else if let Some(name) =
            text.strip_prefix("test ").and_then(|t| t.strip_suffix(" has been running for over 60 seconds"))
        {
            self.long.push(name.to_owned());
        } else if let Some((name, end)) = text.strip_prefix("test ").and_then(|t| t.split_once(" ... ")) {
            self.long.retain(|long| long != name);
            if end == "FAILED" {
                self.names.push(name.to_owned());
            }
        }
    }

    /// The test program has stopped and was ended: whatever still ran in it has failed.
    fn stopped(&mut self) {
        self.failed += self.long.len() as u64;
        self.names.extend(self.long.drain(..).map(|name| format!("{name} (did not end)")));
    }

    fn summary(&self) -> String {
        format!("tests: {} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

/// Runs the tests of every crate, then those that cross the crates: these simulate the whole card for millions of clocks,
/// and so are compiled for speed. Last the lab, which boots whole machines. The last line is the summary, for who reads only that.
pub fn run() -> Result<(), String> {
    setup::ensure(setup::ALL)?;
    let start = Instant::now();
    let mut totals = Totals::default();
    let steps: [&[&str]; 3] = [
        &["test", "--workspace", "--exclude", "azote-tests", "--exclude", "azote-lab", "--no-fail-fast"],
        &["test", "--release", "--package", "azote-tests", "--no-fail-fast"],
        &["test", "--release", "--package", "azote-lab", "--no-fail-fast"],
    ];
    for step in steps {
        let failed = totals.failed;
        if !one(step, &mut totals)? && totals.failed == failed {
            // It did not compile, or a test program died before it could say which test it was.
            totals.failed += 1;
            totals.names.push(format!("cargo {}", step.join(" ")));
        }
    }
    println!();
    for name in &totals.names {
        println!("failed: {name}");
    }
    let seconds = start.elapsed().as_secs();
    println!("all tests took {} min {:02} s", seconds / 60, seconds % 60);
    println!("{}", totals.summary());
    if totals.failed == 0 { Ok(()) } else { Err(String::new()) }
}

/// One `cargo test`, whose output goes through; true if it succeeded.
fn one(arguments: &[&str], totals: &mut Totals) -> Result<bool, String> {
    let mut command = cargo();
    command.args(arguments).stdout(Stdio::piped());
    let text = line(&command);
    eprintln!("test: {text}");
    let mut child = command.spawn().map_err(|e| format!("cannot run `{text}`: {e}"))?;
    if let Some(output) = child.stdout.take() {
        silence::watch(output, child.id(), SILENCE, |said| match said {
            Said::Line(line) => {
                totals.take(&line);
                println!("{line}");
            }
            Said::Nothing => {
                println!("nothing was heard for {} minutes: the test program was ended", SILENCE.as_secs() / 60);
                totals.stopped();
            }
        })
        .map_err(|e| format!("cannot follow what `{text}` says: {e}"))?;
    }
    child.wait().map(|status| status.success()).map_err(|e| format!("cannot wait for `{text}`: {e}"))
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn results_add_up() {
        let mut totals = Totals::default();
        totals.take("test result: ok. 8 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.97s");
        totals.take("test a::b ... FAILED");
        totals.take("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s");
        assert_eq!((totals.passed, totals.failed, totals.ignored), (9, 1, 1));
        assert_eq!(totals.names, ["a::b"]);
        assert_eq!(totals.summary(), "tests: 9 passed, 1 failed, 1 ignored");
    }

    #[test]
    fn a_test_that_does_not_end_is_named() {
        let mut totals = Totals::default();
        for name in ["a::slow", "b::stuck"] {
            totals.take(&format!("test {name} has been running for over 60 seconds"));
        }
        totals.take("test a::slow ... ok");
        totals.stopped();
        assert_eq!((totals.failed, totals.names), (1, vec!["b::stuck (did not end)".to_owned()]));
    }
}
