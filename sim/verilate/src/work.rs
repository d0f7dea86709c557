//! What is seen of an outside program's long work: on a terminal a bar, elsewhere a line at its beginning and one every
//! minute. The lines are a sign of life, too: who waits for a test that runs a compiler learns that it is not stuck.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a sign of life is given where there is no terminal.
const BEAT: Duration = Duration::from_secs(60);

/// One piece of work, from here until it is dropped.
#[derive(Debug)]
pub struct Work {
    bar: ProgressBar,
    /// Its sender's end tells the thread to stop.
    beat: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Work {
    /// `what` is done now, by parts that [`Work::parts`] may count later.
    #[must_use]
    pub fn begin(what: &str) -> Work {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_message(what.to_owned());
            bar.set_style(style("{spinner} {msg}: {elapsed} {prefix}"));
            bar.enable_steady_tick(Duration::from_millis(200));
            return Work { bar, beat: None };
        }
        eprintln!("{what}");
        let bar = ProgressBar::hidden();
        Work { beat: Some(beat(what.to_owned(), bar.clone(), BEAT)), bar }
    }

    /// From now on it is known how much there is to do, in a unit of one's own.
    pub fn parts(&self, whole: u64) {
        self.bar.set_length(whole);
        self.bar.set_style(style("{spinner} {msg}: {elapsed} {bar:30} {percent} % {prefix}"));
    }

    /// So much more is done.
    pub fn done(&self, part: u64) {
        self.bar.inc(part);
    }

    /// What it is at.
    pub fn at(&self, step: &str) {
        self.bar.set_prefix(step.to_owned());
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some((stop, thread)) = self.beat.take() {
            drop(stop);
            // It does nothing that could fail.
            let _ = thread.join();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours; one that were wrong would only look plain.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A line every `period` that says how far it is.
fn beat(what: String, bar: ProgressBar, period: Duration) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel();
    let begun = Instant::now();
    let thread = std::thread::spawn(move || {
        while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
            // Written and not printed: a test's harness keeps what is printed to itself until the test has ended.
            let _ = writeln!(std::io::stderr(), "{}", line(&what, begun.elapsed(), &bar));
        }
    });
    (stop, thread)
}

fn line(what: &str, time: Duration, bar: &ProgressBar) -> String {
    let percent = bar.length().filter(|whole| *whole > 0).map(|whole| format!(", {} %", 100 * bar.position() / whole));
    let step = Some(bar.prefix()).filter(|step| !step.is_empty()).map(|step| format!(", {step}"));
    format!("{what}: {} s{}{}", time.as_secs(), percent.unwrap_or_default(), step.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_as_far_as_that_is_known() {
        let bar = ProgressBar::hidden();
        assert_eq!(line("compiling", Duration::from_secs(61), &bar), "compiling: 61 s");
        bar.set_length(200);
        bar.inc(50);
        bar.set_prefix("a.cpp");
        assert_eq!(line("compiling", Duration::from_secs(61), &bar), "compiling: 61 s, 25 %, a.cpp");
    }

    #[test]
    fn the_sign_of_life_ends_with_the_work() {
        let (stop, thread) = beat("a test".into(), ProgressBar::hidden(), Duration::from_secs(1000));
        drop(stop);
        thread.join().unwrap();
    }
}
