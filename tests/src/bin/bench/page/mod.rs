//! `bench --html`: everything that was measured on one page that needs nothing else: no script, no font, no picture from
//! anywhere. It keeps to light or dark as the reader's screen does, and to paper.

mod chart;
mod cost;
mod latency;
mod table;
mod throughput;

use azote_fpga::report::Growth;
use azote_tests::figures::Figure;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::conditions::Conditions;
use crate::sweep::{Latency, Point};
use chart::number;

/// What the page shows.
pub struct Measured {
    pub figures: Vec<Figure>,
    pub points: Vec<Point>,
    pub latencies: Vec<Latency>,
    pub growth: Option<Growth>,
    /// What was measured, and where.
    pub conditions: Conditions,
}

/// Figures at the top: which, and what they are called there.
const TILES: [(&str, &str); 6] = [
    ("storage.read.4k.qd32.1vf", "bytes a clock, reads of 4 KiB by one function"),
    ("storage.latency.read.4k.qd1", "clocks for a read of 4 KiB alone"),
    ("storage.fairness.8vf", "the slowest of eight beside the fastest"),
    ("driver.instructions_per_io", "instructions of the driver an I/O"),
    ("storage.cells.60vf", "times the cells for 15 times the functions"),
    ("sim.clocks_per_second", "clocks a second, simulated"),
];

/// The page.
pub fn page(measured: &Measured) -> String {
    let title = "Azote: what was measured";
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { (title) }
                    p {
                        "Each value stands beside its bound: what no card could do better on this link, counted from the "
                        "specifications, or what is asked where nature sets no bound. Broken lines are bounds."
                    }
                    (tiles(&measured.figures))
                    (throughput::section(&measured.points))
                    (latency::section(&measured.latencies))
                    @if let Some(growth) = &measured.growth { (cost::section(growth)) }
                    (table::section(&measured.figures))
                    (conditions(&measured.conditions))
                }
            }
        }
    };
    whole.into_string()
}

fn tiles(figures: &[Figure]) -> Markup {
    html! {
        div.tiles {
            @for (name, text) in TILES {
                @if let Some(figure) = figures.iter().find(|f| f.name == name) {
                    div.tile {
                        b { (number(figure.value)) }
                        span { (text) "; bound " (number(figure.bound)) }
                    }
                }
            }
        }
    }
}

fn conditions(conditions: &Conditions) -> Markup {
    html! {
        h2 { "Conditions" }
        @for line in conditions.lines() { p { (line) } }
        p { "How each bound is counted: docs/measurements.md." }
        p.how { "This page: " code { "cargo xtask bench --html" } }
    }
}

#[cfg(test)]
mod tests {
    use azote_fpga::{Block, Cells};
    use clap::Parser;

    use super::*;
    use crate::sweep::{DEPTHS, Rate, VFS};

    fn example() -> Measured {
        let figure = |name, value| Figure::rate(name, value, "bytes/clock", 14.79).at_least(0.95);
        let rate = |value| Rate { value, bound: 14.79 };
        let points = VFS.iter().flat_map(|&vfs| {
            DEPTHS.iter().map(move |&depth| Point {
                vfs,
                depth,
                read: rate(14.0 - 4.0 / depth as f64),
                write: rate(13.0),
            })
        });
        let block = |lut| Block { cells: Cells { lut, ff: 9000, ..Cells::default() }, ram_bits: lut * 10 };
        Measured {
            figures: vec![
                figure("storage.read.4k.qd32.1vf", 14.73),
                figure("a<b&\"c\"", 1.0),
                Figure::cost("none", 0.0, "exits", 0.0),
            ],
            points: points.collect(),
            latencies: vec![Latency {
                load: "8 functions".into(),
                clocks: (70_000..72_000).collect(),
                bound: 70_912.0,
            }],
            growth: Some(Growth { sizes: vec![(4, block(20_000)), (8, block(21_000)), (60, block(27_000))] }),
            conditions: Conditions::of(&crate::Arguments::parse_from(["bench", "storage", "--soft"])),
        }
    }

    /// The page as XML: what HTML leaves open is closed first.
    fn parse(page: &str) -> String {
        let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
        body.split_inclusive('>')
            .map(|piece| match piece.rfind("<meta ") {
                Some(_) => piece.strip_suffix('>').unwrap().to_owned() + "/>",
                None => piece.to_owned(),
            })
            .collect()
    }

    #[test]
    fn the_page_is_well_formed_and_has_everything() {
        let measured = example();
        let page = page(&measured);
        let xml = parse(&page);
        let document = roxmltree::Document::parse(&xml).unwrap_or_else(|e| panic!("{e}\n{xml}"));
        let count = |name: &str| document.descendants().filter(|n| n.has_tag_name(name)).count();
        assert_eq!(
            count("figure"),
            VFS.len() + 1 + 2,
            "a chart for each number of VFs, each latency, and two for the cost"
        );
        assert!(count("table") >= 4, "each chart's data, and the figures");
        let text: String = document.root_element().descendants().filter_map(|n| n.text()).collect();
        for line in measured.conditions.lines() {
            assert!(text.contains(&line), "{line}");
        }
        for figure in &measured.figures {
            assert!(text.contains(&figure.name), "{} is missing", figure.name);
        }
        // A bound in every chart.
        let charts = document.descendants().filter(|n| n.has_tag_name("figure"));
        for chart in charts {
            let classes = chart.descendants().filter_map(|n| n.attribute("class"));
            assert!(
                classes.into_iter().any(|c| c == "bound" || c == "at least"),
                "no bound in {:?}",
                chart.descendants().find_map(|n| n.text())
            );
        }
        // Nothing is drawn outside of its picture, and nothing is not a number.
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = page(&example());
        for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link", "<img", "<iframe"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
