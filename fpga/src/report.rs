//! What the command prints, and the page that keeps the last of it.

use std::fmt::Write;

use crate::cells::{Block, Netlist};
use crate::device;
use crate::place::Routed;

/// The core at several numbers of VFs a kind, side by side.
pub struct Growth {
    /// VFs a kind, and what the core takes.
    pub sizes: Vec<(usize, Block)>,
}

/// Cells at 60 VFs a kind may be so many times those at 4: the state of a function is memory, never logic.
pub const MOST_GROWTH: f64 = 1.5;

impl Growth {
    /// Cells of the last over cells of the first.
    pub fn factor(&self) -> f64 {
        let total = |size: Option<&(usize, Block)>| size.map_or(0, |(_, block)| block.cells.total());
        total(self.sizes.last()) as f64 / total(self.sizes.first()).max(1) as f64
    }

    /// A table for a page or a terminal.
    pub fn table(&self) -> String {
        let mut out = String::from(
            "| VFs a kind | cells | LUT4 | carry | flip-flops | distributed RAM | block RAM | RAM bits |\n\
             |--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for (vfs, block) in &self.sizes {
            let c = block.cells;
            let _ = writeln!(
                out,
                "| {vfs} | {} | {} | {} | {} | {} | {} | {} |",
                c.total(),
                c.lut,
                c.carry,
                c.ff,
                c.lut_ram,
                c.block_ram,
                block.ram_bits
            );
        }
        out
    }
}

/// Cells by block, the largest first.
pub fn blocks(netlist: &Netlist) -> String {
    let mut out = String::from(
        "| block | LUT4 | carry | flip-flops | distributed RAM | block RAM | DSP | RAM bits |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut row = |name: &str, block: &Block| {
        let c = block.cells;
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            c.lut, c.carry, c.ff, c.lut_ram, c.block_ram, c.multiplier, block.ram_bits
        );
    };
    for (name, block) in netlist.rows() {
        row(if name.is_empty() { "(wiring and pin harness)" } else { name }, &block);
    }
    row("**all**", &netlist.whole());
    out
}

/// The device's resources that are used.
pub fn used(routed: &Routed) -> String {
    let mut out = String::from("| resource | used | of | share |\n|---|--:|--:|--:|\n");
    for (name, used, have) in &routed.used {
        let _ = writeln!(out, "| {name} | {used} | {have} | {:.1} % |", 100.0 * *used as f64 / (*have).max(1) as f64);
    }
    out
}

/// The worst paths.
pub fn paths(routed: &Routed) -> String {
    let mut out = String::from("| ns | of it wires | levels | from | to | through |\n|--:|--:|--:|---|---|---|\n");
    for p in &routed.paths {
        let through = p.through.join(" → ");
        let _ =
            writeln!(out, "| {:.2} | {:.2} | {} | `{}` | `{}` | {through} |", p.ns, p.wires_ns, p.levels, p.from, p.to);
    }
    out
}

/// The whole page.
pub fn page(vfs: usize, tool: &str, netlist: &Netlist, routed: &Routed, growth: Option<&Growth>) -> String {
    let growth = growth.map_or_else(
        || "The last run was with `--quick`, which leaves this table out.\n".to_owned(),
        |growth| {
            let factor = growth.factor();
            let table = growth.table();
            format!("Cells from the first line to the last grow {factor:.2} times; less than {MOST_GROWTH} are asked.\n\n{table}")
        },
    );
    format!(
        "# Silicon\n\n\
         Written by `cargo xtask fpga --core`, which synthesizes the card core with {vfs} VFs a kind for {name} (speed grade {speed}),\n\
         places and routes it behind a pin harness, and prints what is below. The tools are {tool} and nextpnr-ecp5 from PyPI;\n\
         the command installs both. CI runs the synthesis (`--synth-only`).\n\n\
         **{fmax:.1} MHz**, and {least:.0} are asked.\n\n\
         ## What it takes, by block\n\n\
         From yosys's flattened netlist: a register counts for the block that declares it, a LUT for the block whose signal is\n\
         nearest to it. Carry is CCU2C, two bits each; distributed RAM is TRELLIS_DPR16X4, 16 words of 4 bits; block RAM is\n\
         DP16KD, 18 Kibit; RAM bits are as declared, whatever they became.\n\n{blocks}\n\
         ## On the device\n\n\
         nextpnr's own counts after packing: TRELLIS_COMB is a LUT4, TRELLIS_RAMW what writes a distributed RAM.\n\n{used}\n\
         ## The ten worst paths\n\n\
         From clock edge to clock edge, after routing. Of the paths between the same two signals the worst bit stands here.\n\n{paths}\n\
         ## With more virtual functions\n\n\
         The core without the harness. {growth}\n\
         ## The pin harness\n\n\
         The core has 631 bits of ports, more than the package has pins, and in the real card none of them is a pin: the link's\n\
         logic and the media's stand around it. So each input is a register, all of them one shift register behind one pin, and\n\
         each output ends in a register, all of them folded by XOR into another (`fpga/src/pins.rs`). Nothing is constant,\n\
         nothing is unused, and every path into and out of the core is from or to a register, and counted.\n",
        name = device::NAME,
        speed = device::SPEED,
        fmax = routed.fmax,
        least = device::LEAST_MHZ,
        blocks = blocks(netlist),
        used = used(routed),
        paths = paths(routed),
    )
}
