//! What functions cost on an FPGA: cells and memory against their number, and the data.

use azote_fpga::report::{Growth, MOST_GROWTH};
use maud::{Markup, html};

use super::chart::{Axis, Chart, Mark, number};

/// What functions cost.
pub fn section(growth: &Growth) -> Markup {
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
