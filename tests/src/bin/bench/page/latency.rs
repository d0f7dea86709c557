//! The distribution of latency: a histogram for each load, and its data.

use maud::{Markup, html};

use super::chart::{Axis, Chart, Mark, number};
use crate::sweep::Latency;

/// Bars of a histogram.
const BARS: u64 = 40;

/// The distribution of latency, a chart for each load.
pub fn section(latencies: &[Latency]) -> Markup {
    html! {
        h2 { "Latency" }
        p.lead {
            "From the doorbell to the interrupt, 4 KiB, in clocks. Alone, no command can be faster than the bound; the next is "
            "given as soon as the last is done, which costs a few clocks more than after a pause. With many in flight their "
            "mean cannot be less than the bound: it is their number by the most that the link carries (Little's law). "
            "The quiet function has one read in flight, each of the busy ones 64."
        }
        div.charts { @for latency in latencies { (distribution(latency)) } }
        div.scroll {
            table {
                thead {
                    tr {
                        th { "load" }
                        @for name in ["commands", "bound of the mean", "mean", "least", "p50", "p90", "p99", "most"] { th { (name) } }
                    }
                }
                tbody {
                    @for l in latencies {
                        tr {
                            td { (l.load) }
                            td { (number(l.clocks.len() as f64)) }
                            td { (number(l.bound.round())) }
                            td { (number(l.mean().round())) }
                            @for part in [0.0, 0.5, 0.9, 0.99, 1.0] { td { (number(l.quantile(part) as f64)) } }
                        }
                    }
                }
            }
        }
    }
}

fn distribution(latency: &Latency) -> Markup {
    let (least, most) = (latency.quantile(0.0), latency.quantile(1.0));
    let x = Axis::between("clocks", latency.bound.min(least as f64), latency.bound.max(most as f64) + 1.0);
    let width = (((x.to - x.from) / BARS as f64).ceil() as u64).max(1);
    let start = x.from as u64;
    let mut counts = vec![0u64; (x.to as u64 - start).div_ceil(width) as usize + 1];
    for clocks in &latency.clocks {
        if let Some(count) = counts.get_mut(((clocks - start) / width) as usize) {
            *count += 1;
        }
    }
    let all = latency.clocks.len().max(1) as f64;
    let share = |count: u64| count as f64 / all * 100.0;
    let bars = counts.iter().zip(0..).filter(|(count, _)| **count > 0).map(|(count, i)| {
        let from = start + i * width;
        (from as f64, (from + width) as f64, share(*count))
    });
    let highest = counts.iter().max().map_or(1.0, |count| share(*count));
    let mut marks = vec![Mark::Bars(bars.collect())];
    let (middle, late) = (latency.quantile(0.5), latency.quantile(0.99));
    // Those that are the same share a line and its name. Each line begins at its name, the rightmost highest, so that none
    // crosses another's name.
    let mut named = match (middle == late, late == most) {
        (true, true) => vec![("", "p50, p99, most", most as f64)],
        (true, false) => vec![("", "most", most as f64), ("", "p50, p99", late as f64)],
        (false, true) => vec![("", "p99, most", most as f64), ("", "p50", middle as f64)],
        (false, false) => {
            vec![("", "most", most as f64), ("", "p99", late as f64), ("", "p50", middle as f64)]
        }
    };
    named.push(("least", "bound", latency.bound));
    named.sort_by(|(.., a), (.., b)| b.total_cmp(a));
    marks.extend(named.into_iter().zip(0..).map(|((class, what, clocks), row)| at(class, what, clocks, row)));
    // Names need some rows above the highest bar.
    let y = Axis { to: highest * 1.5, ..Axis::up_to("% of all commands", highest) };
    let y = Axis { ticks: y.ticks.iter().copied().filter(|tick| *tick <= y.to).collect(), ..y };
    Chart { title: latency.load.clone(), x, y, marks }.svg()
}

fn at(class: &'static str, what: &str, x: f64, row: u8) -> Mark {
    Mark::At { class, x, label: format!("{what} {}", number(x.round())), row }
}
