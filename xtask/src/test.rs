//! All tests, with a summary at the end.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{cargo, line};
use crate::setup;
use crate::silence::{self, Output, Patience, Said};

/// What runs long gives a sign of life every minute, so that this much is a loop without an end.
const PATIENCE: Patience =
    Patience { work: Duration::from_secs(25 * 60), rest: Duration::from_secs(10 * 60), look: Duration::from_secs(5) };
/// How many of the slowest tests are named at the end.
const SLOWEST: usize = 10;
/// Our own command that runs a test program so that it says how long each test took.
pub const TIMED: &str = "timed";

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
    /// How many seconds each test took that said so.
    times: Vec<(f64, String)>,
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
            let (end, time) = end.split_once(" <").unwrap_or((end, ""));
            if let Some(seconds) = time.strip_suffix("s>").and_then(|time| time.parse().ok()) {
                self.times.push((seconds, name.to_owned()));
            }
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

    /// The slowest tests, a line each: where the time goes.
    fn slowest(&self) -> Vec<String> {
        let mut times: Vec<&(f64, String)> = self.times.iter().collect();
        times.sort_by(|a, b| b.0.total_cmp(&a.0));
        times.truncate(SLOWEST);
        times.iter().map(|(seconds, name)| format!("{seconds:8.1} s  {name}")).collect()
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
    println!("\nthe slowest tests:");
    for line in totals.slowest() {
        println!("{line}");
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
    command.args(arguments);
    let text = line(&command);
    eprintln!("test: {text}");
    if let Ok(program) = std::env::current_exe() {
        command.arg("--config").arg(format!("target.'cfg(unix)'.runner=[{:?}, {TIMED:?}]", program.display()));
    }
    if std::io::stderr().is_terminal() {
        // It can't see the terminal behind the pipe.
        command.env("CARGO_TERM_COLOR", "always");
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| format!("cannot run `{text}`: {e}"))?;
    let mut outputs: Vec<Output> = Vec::new();
    outputs.extend(child.stdout.take().map(|output| Box::new(output) as Output));
    outputs.extend(child.stderr.take().map(|output| Box::new(output) as Output));
    silence::watch(outputs, child.id(), PATIENCE, |said| match said {
        Said::Line(0, line) => {
            totals.take(&line);
            println!("{line}");
        }
        Said::Line(_, line) => eprintln!("{line}"),
        Said::Nothing(how) => {
            println!("{how}: the test program was ended");
            totals.stopped();
        }
    })
    .map_err(|e| format!("cannot follow what `{text}` says: {e}"))?;
    child.wait().map(|status| status.success()).map_err(|e| format!("cannot wait for `{text}`: {e}"))
}

/// Runs the test program `words`, and has it say how long each test took. libtest keeps that from stable compilers, unless
/// this variable is set; at run time it means nothing else.
pub fn timed(words: &[String]) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("no program to run")?;
    let mut command = Command::new(program);
    command.args(arguments);
    // Other things that cargo runs are no test programs (examples, documentation).
    if program.contains("/deps/") {
        command.args(["-Z", "unstable-options", "--report-time"]).env("RUSTC_BOOTSTRAP", "1");
    }
    // In our place, so that how it ends is what cargo sees. It only returns if it failed.
    Err(format!("cannot run {program}: {}", command.exec()))
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn results_add_up() {
        let mut totals = Totals::default();
        totals.take("test result: ok. 8 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.97s");
        totals.take("test a::b ... FAILED <1.250s>");
        totals.take("test a::c ... ok <11.100s>");
        totals.take("test a::d ... ignored");
        totals.take("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s");
        assert_eq!((totals.passed, totals.failed, totals.ignored), (9, 1, 1));
        assert_eq!(totals.names, ["a::b"]);
        assert_eq!(totals.slowest(), ["    11.1 s  a::c", "     1.2 s  a::b"]);
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
