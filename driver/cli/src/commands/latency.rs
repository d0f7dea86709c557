//! What commands took, as a picture and for programs: the volume log of `azote stats`, the histogram of `azote nbd`.
//!
//! A card's own times are microseconds of a card at its full clock ([`clock::MHZ`]), as its volume log has them; a simulated
//! card's are clocks. Both are shown in both.

use std::fmt::Write as _;
use std::time::Duration;

use azote_nvme::{Bin, VolumeLog};
use azote_regs::clock;
use serde_json::{Value, json};

use crate::nbd::Histogram;

/// The longest bar.
const WIDTH: u32 = 40;

/// The page in words and bars; nothing of a histogram that is empty.
pub(super) fn show(log: &VolumeLog) -> String {
    let mean = |time: u64, ops: u64| time.checked_div(ops).unwrap_or(0);
    let mut text = format!(
        "volume             read {} commands, {} bytes, {} us each; written {}, {}, {} us each; {} under way\n\
         held by limits     {} us for commands, {} us for bytes\n",
        log.read_ops,
        log.read_bytes,
        mean(log.read_time, log.read_ops),
        log.write_ops,
        log.write_bytes,
        mean(log.write_time, log.write_ops),
        log.queue_length,
        log.over_iops,
        log.over_throughput,
    );
    for (what, bins) in [("read", &log.reads), ("write", &log.writes)] {
        bars(&mut text, what, bins);
    }
    text
}

/// The page for programs. Bins without a command are left out.
pub(super) fn value(log: &VolumeLog) -> Value {
    let bins = |bins: &[Bin]| {
        let used = bins.iter().filter(|bin| bin.count > 0);
        // The last bin has no upper end.
        let upper = |bin: &Bin| Some(bin.upper).filter(|upper| *upper != u64::MAX);
        used.map(|bin| json!({ "from_us": bin.lower, "to_us": upper(bin), "count": bin.count })).collect::<Vec<_>>()
    };
    json!({
        "mhz": clock::MHZ,
        "read": {
            "commands": log.read_ops, "bytes": log.read_bytes, "us": log.read_time, "latency": bins(&log.reads),
        },
        "write": {
            "commands": log.write_ops, "bytes": log.write_bytes, "us": log.write_time, "latency": bins(&log.writes),
        },
        "held_by_limits_us": { "commands": log.over_iops, "bytes": log.over_throughput },
        "under_way": log.queue_length,
    })
}

/// What the commands of an export took. `period` is what a clock of a simulated card counts as in the drivers' time.
pub(super) fn of_export(histogram: &Histogram, period: Option<Duration>) -> String {
    let rows: Vec<_> = histogram.buckets().collect();
    let most = rows.iter().map(|row| row.2).max().unwrap_or(1);
    let unit = if period.is_some() { format!("clocks (us at {} MHz)", clock::MHZ) } else { "us".into() };
    let mut text = format!("  latency, {unit}\n");
    for (from, to, count) in rows {
        let bar = "█".repeat((count * 30).div_ceil(most) as usize);
        let ends = [from, to].map(|time| moment(time, period));
        // Writing to a String can not fail.
        let _ = writeln!(text, "  {:>20} – {:<20} {count:>8} {bar}", ends[0], ends[1]);
    }
    text
}

/// The same for programs. The last bin has no upper end.
pub(super) fn value_of_export(histogram: &Histogram, period: Option<Duration>) -> Value {
    let time = |time: Duration| match period {
        Some(period) => time.as_nanos() / period.as_nanos().max(1),
        None => time.as_micros(),
    };
    let bin = |(from, to, count)| {
        let to = Some(to).filter(|to| *to < Histogram::END).map(time);
        json!({ "from": time(from) as u64, "to": to.map(|to| to as u64), "count": count })
    };
    let unit = if period.is_some() { "clocks" } else { "us" };
    json!({ "unit": unit, "mhz": period.map(|_| clock::MHZ), "bins": histogram.buckets().map(bin).collect::<Vec<_>>() })
}

/// A time of the drivers' for people: `392 (4.9)` clocks and microseconds, or microseconds alone.
fn moment(time: Duration, period: Option<Duration>) -> String {
    match period {
        Some(period) => {
            let clocks = time.as_nanos() / period.as_nanos().max(1);
            format!("{clocks} ({:.1})", clocks as f64 / clock::MHZ as f64)
        }
        None => format!("{}", time.as_micros()),
    }
}

/// From the first bin in use to the last: a gap between them is worth seeing.
fn bars(text: &mut String, what: &str, bins: &[Bin]) {
    let used = |b: &Bin| b.count > 0;
    let (Some(first), Some(last)) = (bins.iter().position(used), bins.iter().rposition(used)) else { return };
    let most = bins.iter().map(|b| b.count).max().unwrap_or(1);
    let _ = writeln!(text, "{what} latency, us (of {} clocks, at {} MHz)", clock::MHZ, clock::MHZ);
    for bin in &bins[first..=last] {
        let range = match bin.upper {
            u64::MAX => format!("{} and more", bin.lower),
            upper => format!("{} to {upper}", bin.lower),
        };
        // A bin that is in use is seen.
        let length = (u64::from(bin.count) * u64::from(WIDTH)).div_ceil(most.into()) as usize;
        let _ = writeln!(text, "  {range:>17} {:>10}  {}", bin.count, "█".repeat(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_go_from_the_first_bin_in_use_to_the_last() {
        let bin = |lower, upper, count| Bin { lower, upper, count };
        let mut text = String::new();
        bars(&mut text, "read", &[bin(0, 1, 0), bin(1, 2, 80), bin(2, 4, 0), bin(4, 8, 1), bin(8, u64::MAX, 0)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("1 to 2") && lines[1].ends_with(&format!(" {}", "█".repeat(40))));
        assert!(lines[2].trim_end().ends_with('0') && lines[3].ends_with(" █"));
        let us = Duration::from_micros;
        let mut histogram = Histogram::default();
        histogram.add(us(400));
        let simulated = of_export(&histogram, Some(us(1)));
        assert!(
            simulated.contains("clocks (us at 80 MHz)") && simulated.contains("256 (3.2) – 512 (6.4)"),
            "{simulated}"
        );
        histogram.add(Duration::from_secs(100));
        let value = value_of_export(&histogram, Some(us(2)));
        assert_eq!(value["bins"][0], json!({ "from": 128, "to": 256, "count": 1 }));
        assert_eq!((&value["bins"][1]["to"], &value["unit"]), (&Value::Null, &json!("clocks")));
        assert_eq!(value_of_export(&histogram, None)["bins"][0]["to"], 512);
        assert!(of_export(&histogram, None).contains(" 256 – 512 "));
        let mut none = String::new();
        bars(&mut none, "write", &[bin(0, u64::MAX, 0)]);
        assert_eq!(none, "");
    }
}
