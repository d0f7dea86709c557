//! The table at the end.

use std::time::Duration;

use azote_cli::nbd::Stats;
use azote_sim::Card;

/// The copies: how many clocks and how long.
pub struct Run {
    /// Clocks of the card.
    pub clocks: u64,
    /// Time on the wall.
    pub wall: Duration,
}

/// Bytes of payload a clock that a direction of the link can carry at most: sixteen, less a header beat in seventeen.
fn limit(max_payload: u32) -> f64 {
    let payload_beats = f64::from(max_payload) / 16.0;
    f64::from(max_payload) / (payload_beats + 1.0)
}

/// Prints what each virtual function did and how near it came to the link's limit.
pub fn print(card: &Card, run: &Run, per_vf: &[Stats]) {
    let period = card.root().options().clock_period.as_nanos().max(1);
    let limit = limit(card.root().options().max_payload);
    println!("\nfunction  commands        read     written    clocks  bytes/clock  of the link's {limit:.2}");
    for (vf, stats) in per_vf.iter().enumerate() {
        let copied = if vf == 0 { stats.bytes_read } else { stats.bytes_written };
        let rate = copied as f64 / run.clocks as f64;
        println!(
            "VF {vf}      {:>8}  {:>10}  {:>10}  {:>8}  {rate:>11.2}  {:>13.0} %",
            stats.commands,
            stats.bytes_read,
            stats.bytes_written,
            run.clocks,
            100.0 * rate / limit
        );
    }
    for (vf, stats) in per_vf.iter().enumerate() {
        println!("\nlatency of VF {vf}'s commands, in clocks");
        let most = stats.latency.buckets().map(|b| b.2).max().unwrap_or(1).max(1);
        for (from, to, count) in stats.latency.buckets() {
            let clocks = |time: Duration| time.as_nanos() / period;
            let bar = "#".repeat((count * 40).div_ceil(most) as usize);
            println!("  {:>7} to {:<7} {count:>6} {bar}", clocks(from), clocks(to));
        }
    }
    let khz = run.clocks as f64 / run.wall.as_secs_f64() / 1000.0;
    println!("\n{} clocks in {:.1} s: the card ran at {khz:.0} kHz.", run.clocks, run.wall.as_secs_f64());
}
