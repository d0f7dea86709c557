//! Time as work: how long something may take in a machine whose processors are emulated by programs that wait for processors
//! themselves. Nothing in here tells of that but that the same few instructions take longer.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How often the processor's speed is looked at.
pub const LOOK: Duration = Duration::from_millis(500);
/// Some milliseconds of an emulated processor.
const WORK: u64 = 400_000;
/// The least that a second counts.
const LEAST: f64 = 0.1;

/// What is left of a time that counts by the processor's speed: where it is half of the best that was seen, a second is half a one.
pub struct Patience {
    left: Duration,
    best: Duration,
    since: Instant,
}

impl Patience {
    /// So much of it.
    pub fn new(limit: Duration) -> Self {
        let best = (0..5).map(|_| work()).min().unwrap_or_default();
        Patience { left: limit, best, since: Instant::now() }
    }

    /// Counts the time since the last call; false when nothing is left.
    pub fn holds(&mut self) -> bool {
        let now = work();
        self.best = self.best.min(now);
        let passed = self.since.elapsed();
        self.since = Instant::now();
        self.spend(passed, now);
        !self.left.is_zero()
    }

    fn spend(&mut self, passed: Duration, now: Duration) {
        let speed = self.best.as_secs_f64() / now.as_secs_f64().max(1e-9);
        self.left = self.left.saturating_sub(passed.mul_f64(speed.clamp(LEAST, 1.0)));
    }
}

/// How long a fixed piece of work takes now.
fn work() -> Duration {
    let start = Instant::now();
    let mut x = 1u64;
    for i in 0..WORK {
        x = black_box(x.rotate_left(5) ^ i);
    }
    black_box(x);
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_a_slow_processor_counts_less() {
        let ms = Duration::from_millis;
        let spent = |now| {
            let mut patience = Patience { left: ms(100_000), best: ms(10), since: Instant::now() };
            patience.spend(ms(30_000), now);
            100 - patience.left.as_secs()
        };
        assert_eq!((spent(ms(10)), spent(ms(30)), spent(ms(10_000))), (30, 10, 3));
    }
}
