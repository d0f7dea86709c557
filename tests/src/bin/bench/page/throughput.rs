//! Throughput against depth and functions: a chart for each number of functions, and its data.

use maud::{Markup, html};

use super::chart::{Axis, Chart, Mark};
use crate::sweep::{DEPTHS, Point, VFS};

fn vfs(count: u8) -> String {
    if count == 1 { "1 function".into() } else { format!("{count} functions") }
}

/// Bytes a clock against depth, a chart for each number of VFs.
pub fn section(points: &[Point]) -> Markup {
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
