//! The volume log of `azote stats`: what commands took, as a picture.

use std::fmt::Write as _;

use azote_nvme::{Bin, VolumeLog};

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

/// From the first bin in use to the last: a gap between them is worth seeing.
fn bars(text: &mut String, what: &str, bins: &[Bin]) {
    let used = |b: &Bin| b.count > 0;
    let (Some(first), Some(last)) = (bins.iter().position(used), bins.iter().rposition(used)) else { return };
    let most = bins.iter().map(|b| b.count).max().unwrap_or(1);
    let _ = writeln!(text, "{what} latency, us");
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
        let mut none = String::new();
        bars(&mut none, "write", &[bin(0, u64::MAX, 0)]);
        assert_eq!(none, "");
    }
}
