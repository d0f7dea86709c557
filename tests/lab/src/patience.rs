//! How long something may take on a machine that others use, too.
//!
//! A second counts whole only while a processor is free for us: where three programs wait for each processor, it counts a
//! third. So what stands still is found after the same work of the machine, however long that takes by the clock.

use std::time::{Duration, Instant};

/// The least that a second counts: a machine under more load than that is as good as standing still itself.
const LEAST: f64 = 0.1;

/// What is left of a time.
pub struct Patience {
    left: Duration,
    since: Instant,
    started: Instant,
    share: fn() -> f64,
}

impl Patience {
    /// So much of it.
    pub fn new(limit: Duration) -> Self {
        Self::with(limit, share)
    }

    fn with(limit: Duration, share: fn() -> f64) -> Self {
        let now = Instant::now();
        Self { left: limit, since: now, started: now, share }
    }

    /// Counts the time since the last call, and says how much is left; `None` if nothing is.
    pub fn left(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.spend(now - self.since);
        self.since = now;
        (!self.left.is_zero()).then_some(self.left)
    }

    fn spend(&mut self, passed: Duration) {
        self.left = self.left.saturating_sub(passed.mul_f64((self.share)().clamp(LEAST, 1.0)));
    }

    /// How long it has taken by the clock, and under what load, for people.
    pub fn story(&self) -> String {
        format!("{:.0} s by the clock, load {}", self.started.elapsed().as_secs_f64(), load().unwrap_or_default())
    }
}

/// The share of a processor that a program gets now, by the load of the last minute.
fn share() -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get()) as f64;
    let load = load().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    processors / load.max(processors)
}

/// Programs that ran or waited for a processor in the last minute, on average.
fn load() -> Option<String> {
    Some(std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_a_busy_machine_counts_less() {
        let spent = |share: fn() -> f64| {
            let mut patience = Patience::with(Duration::from_secs(100), share);
            patience.spend(Duration::from_secs(30));
            100.0 - patience.left.as_secs_f64()
        };
        assert_eq!(spent(|| 1.0).round(), 30.0);
        assert_eq!(spent(|| 1.0 / 3.0).round(), 10.0);
        assert_eq!(spent(|| 0.0).round(), 3.0, "it ends on any machine");
        let mut over = Patience::with(Duration::from_secs(1), || 1.0);
        over.spend(Duration::from_secs(2));
        assert_eq!(over.left(), None);
        assert!((0.0..=1.0).contains(&share()));
    }
}
