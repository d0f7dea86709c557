//! Makes a failing list of steps smaller (delta debugging): leaves out a half, a quarter, ... as long as it still fails.

use std::time::{Duration, Instant};

/// The smallest list that was found to fail, within `time`. `fails` is asked about lists that keep the order.
pub fn minimise(steps: Vec<u64>, time: Duration, mut fails: impl FnMut(&[u64]) -> bool) -> Vec<u64> {
    let end = Instant::now() + time;
    let mut steps = steps;
    let mut size = steps.len().div_ceil(2);
    while size > 0 && !steps.is_empty() {
        let mut at = 0;
        let mut smaller = false;
        while at < steps.len() {
            if Instant::now() >= end {
                return steps;
            }
            let without = [&steps[..at], &steps[(at + size).min(steps.len())..]].concat();
            if fails(&without) {
                steps = without;
                smaller = true;
            } else {
                at += size;
            }
        }
        size = match (size, smaller) {
            (1, false) => 0,
            (1, true) => 1,
            _ => size.div_ceil(2),
        };
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::minimise;
    use std::time::Duration;

    #[test]
    fn only_what_is_needed_is_left_in_its_order() {
        let mut asked = 0;
        let needs = |s: &[u64]| {
            asked += 1;
            let place = |x| s.iter().position(|y| *y == x);
            matches!((place(17), place(400), place(903)), (Some(a), Some(b), Some(c)) if a < b && b < c)
        };
        let left = minimise((0..1000).collect(), Duration::from_secs(60), needs);
        assert_eq!(left, [17, 400, 903]);
        assert!(asked < 300, "{asked} runs");
    }

    #[test]
    fn without_time_the_list_stays() {
        assert_eq!(minimise(vec![1, 2, 3], Duration::ZERO, |_| true), [1, 2, 3]);
    }
}
