//! The parts of the page: a chart or a few, what is in them as a table, and the command that measures it.

use azote_fpga::report::{Growth, MOST_GROWTH};
use azote_tests::figures::Figure;
use maud::{Markup, html};

use super::chart::{Axis, Chart, Mark, number};
use crate::sweep::{DEPTHS, Latency, Point, VFS};

/// Bars of a histogram.
const BARS: u64 = 40;

fn vfs(count: u8) -> String {
    if count == 1 { "1 function".into() } else { format!("{count} functions") }
}

/// Bytes a clock against depth, a chart for each number of VFs.
pub fn throughput(points: &[Point]) -> Markup {
    html! {
        h2 { "Throughput against queue depth and functions" }
        p.lead {
            "Commands of 4 KiB, all reads or all writes, on one to eight virtual functions at once. With one command in flight "
            "the bound is what a command takes alone, with more it is the link."
        }
        div.key {
            span { svg viewBox="0 0 32 12" { line.line.read x1="0" x2="32" y1="6" y2="6" {} circle.dot.read cx="16" cy="6" r="3" {} } "reads" }
            span { svg viewBox="0 0 32 12" { line.line.write x1="0" x2="32" y1="6" y2="6" {} circle.dot.write cx="16" cy="6" r="3" {} } "writes" }
            span { svg viewBox="0 0 32 12" { line.bound x1="0" x2="32" y1="6" y2="6" {} } "bound" }
        }
        div.charts { @for count in VFS { (of_vfs(points, count)) } }
        div.scroll {
            table {
                thead {
                    tr {
                        th rowspan="2" { "depth" }
                        @for count in VFS { th colspan="4" { (vfs(count)) } }
                    }
                    tr { @for _ in VFS { th { "reads" } th { "bound" } th { "writes" } th { "bound" } } }
                }
                tbody {
                    @for depth in DEPTHS {
                        tr {
                            td { (depth) }
                            @for count in VFS {
                                @match points.iter().find(|p| p.vfs == count && p.depth == depth) {
                                    Some(p) => {
                                        @for value in [p.read.value, p.read.bound, p.write.value, p.write.bound] {
                                            td { (format!("{value:.2}")) }
                                        }
                                    }
                                    None => { td colspan="4" { "not measured" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn of_vfs(points: &[Point], count: u8) -> Markup {
    let of = |value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        points.iter().filter(|p| p.vfs == count).map(|p| (p.depth as f64, value(p))).collect()
    };
    let chart = Chart {
        title: vfs(count),
        x: Axis::doubling("commands in flight on each function", &DEPTHS),
        y: Axis { ticks: vec![0.0, 4.0, 8.0, 12.0, 16.0], to: 16.0, ..Axis::up_to("bytes a clock", 16.0) },
        marks: vec![
            Mark::Bound { points: of(|p| p.read.bound), label: "" },
            Mark::Bound { points: of(|p| p.write.bound), label: "" },
            Mark::Line { class: "read", points: of(|p| p.read.value) },
            Mark::Line { class: "write", points: of(|p| p.write.value) },
        ],
    };
    chart.svg()
}

/// The distribution of latency, a chart for each load.
pub fn latency(latencies: &[Latency]) -> Markup {
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

/// What functions cost.
pub fn cost(growth: &Growth) -> Markup {
    let points = |of: &dyn Fn(&azote_fpga::Block) -> f64| -> Vec<(f64, f64)> {
        growth.sizes.iter().map(|(vfs, block)| (*vfs as f64, of(block))).collect()
    };
    let cells = points(&|block| block.cells.total() as f64);
    let bits = points(&|block| block.ram_bits as f64 / 1024.0);
    let x = || Axis {
        ticks: vec![4.0, 8.0, 20.0, 40.0, 60.0],
        from: 0.0,
        to: 64.0,
        ..Axis::up_to("virtual functions of each kind", 60.0)
    };
    let ends = |first: f64, last: f64| vec![(4.0, first), (60.0, last)];
    // Three physical functions, and three kinds of virtual ones.
    let functions = |vfs: f64| 3.0 + 3.0 * vfs;
    let (first_cells, first_bits) = (first(&cells), first(&bits));
    let most_cells = first_cells * MOST_GROWTH;
    let most_bits = first_bits * functions(60.0) / functions(4.0);
    let chart = |title: &str, y, points, bound, label| Chart {
        title: title.into(),
        x: x(),
        y,
        marks: vec![Mark::Bound { points: bound, label }, Mark::Line { class: "read", points }],
    };
    html! {
        h2 { "What functions cost" }
        p.lead {
            "The core synthesized for an ECP5 by yosys, with 4, 8 and 60 virtual functions of each of three kinds. The state of a "
            "function is memory, so cells hardly grow: 1.5 times are allowed. RAM could grow as the functions do."
        }
        div.charts {
            (chart("Cells", Axis::up_to("cells", most_cells * 1.1), cells.clone(), ends(most_cells, most_cells), "1.5 times those of 4").svg())
            (chart("RAM, as declared", Axis::up_to("Kibit", most_bits * 1.05), bits, ends(first_bits, most_bits), "as the functions grow").svg())
        }
        div.scroll {
            table {
                thead {
                    tr {
                        th { "VFs a kind" }
                        @for name in ["cells", "of those of 4", "LUT4", "carry", "flip-flops", "distributed RAM", "block RAM", "RAM bits"] {
                            th { (name) }
                        }
                    }
                }
                tbody {
                    @for (vfs, block) in &growth.sizes {
                        @let c = block.cells;
                        tr {
                            td { (vfs) }
                            td { (number(c.total() as f64)) }
                            td { (format!("{:.2}", c.total() as f64 / first_cells.max(1.0))) }
                            @for n in [c.lut, c.carry, c.ff, c.lut_ram, c.block_ram, block.ram_bits] { td { (number(n as f64)) } }
                        }
                    }
                }
            }
        }
        p.how { "The figure alone: " code { "cargo xtask bench cells" } " \u{b7} cells by block: " code { "cargo xtask fpga --core --synth-only" } }
    }
}

fn first(points: &[(f64, f64)]) -> f64 {
    points.first().map_or(0.0, |(_, y)| *y)
}

/// All figures, and how near its bound each is.
pub fn figures(figures: &[Figure]) -> Markup {
    html! {
        h2 { "All figures" }
        p.lead { "How near the bound: the line is the bound, the bar is the value, where longer is better; asked is the least length." }
        div.scroll {
            table {
                thead {
                    tr {
                        th { "figure" } th { "value" } th { "bound" } th.text { "unit" } th { "ratio" } th { "asked" }
                        th.text { "how near" } th.text { "" }
                    }
                }
                tbody {
                    @for f in figures {
                        tr {
                            td { code { (f.name) } }
                            td { (number(f.value)) }
                            td { (number(f.bound)) }
                            td.text.wide { (f.unit) }
                            td { (format!("{:.3}", f.ratio)) }
                            td { @if let Some(least) = f.least { (format!("{least:.2}")) } }
                            td.text { (near(f)) }
                            td.text {
                                @match (f.least, f.is_met()) {
                                    (None, _) => { "reported" }
                                    (_, true) => { span.met { "met" } }
                                    (_, false) => { span.missed { "missed" } }
                                }
                            }
                        }
                    }
                }
            }
        }
        p.how {
            "All: " code { "cargo xtask bench storage" } " \u{b7} a part: " code { "cargo xtask bench storage --quick" } " "
            code { "… driver" } " " code { "… cells" } " " code { "… sim" }
        }
    }
}

/// A bar as long as the ratio, up to one and a half.
fn near(figure: &Figure) -> Markup {
    const MOST: f64 = 1.5;
    let part = |ratio: f64| format!("{:.1}", ratio.clamp(0.0, MOST) / MOST * 100.0);
    html! {
        svg.near viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(format!("{:.3} of the bound", figure.ratio)) {
            rect.back x="0" y="1" width="100" height="8" {}
            rect.fill x="0" y="1" width=(part(figure.ratio)) height="8" {}
            line.limit x1=(part(1.0)) x2=(part(1.0)) y1="0" y2="10" {}
        }
    }
}
