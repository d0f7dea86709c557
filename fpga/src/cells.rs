//! Counts of cells, whole and by block.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What a part of a netlist is made of, in yosys's cells for ECP5.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    /// LUT4.
    pub lut: u64,
    /// CCU2C: two bits of carry chain in two LUT4s.
    pub carry: u64,
    /// PFUMX and L6MUX21: the wires between LUT4s that make wider ones of them, at no cost.
    pub mux: u64,
    /// TRELLIS_FF.
    pub ff: u64,
    /// TRELLIS_DPR16X4: distributed RAM, 16 words of 4 bits in four LUT4s; two more write for it.
    pub lut_ram: u64,
    /// DP16KD: block RAM of 18 Kibit.
    pub block_ram: u64,
    /// MULT18X18D.
    pub multiplier: u64,
    /// Anything else (pins, constants).
    pub other: u64,
}

impl Cells {
    /// Counts one cell of yosys's type `kind`.
    pub fn count(&mut self, kind: &str) {
        let field = match kind {
            "LUT4" => &mut self.lut,
            "CCU2C" => &mut self.carry,
            "PFUMX" | "L6MUX21" => &mut self.mux,
            "TRELLIS_FF" => &mut self.ff,
            "TRELLIS_DPR16X4" => &mut self.lut_ram,
            "DP16KD" => &mut self.block_ram,
            "MULT18X18D" => &mut self.multiplier,
            _ => &mut self.other,
        };
        *field += 1;
    }

    /// Places for a LUT4 that are taken: by logic, by carry chains, by distributed RAM.
    pub fn places(&self) -> u64 {
        self.lut + 2 * self.carry + 6 * self.lut_ram
    }

    /// All cells, as yosys counts them.
    pub fn total(&self) -> u64 {
        self.lut + self.carry + self.mux + self.ff + self.lut_ram + self.block_ram + self.multiplier + self.other
    }
}

impl AddAssign for Cells {
    fn add_assign(&mut self, other: Cells) {
        self.lut += other.lut;
        self.carry += other.carry;
        self.mux += other.mux;
        self.ff += other.ff;
        self.lut_ram += other.lut_ram;
        self.block_ram += other.block_ram;
        self.multiplier += other.multiplier;
        self.other += other.other;
    }
}

/// A synthesized core.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netlist {
    /// Cells by block: `storage.queues`, `dma read`; the empty name is the top's own.
    pub blocks: BTreeMap<String, Block>,
}

/// One block's share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its cells.
    pub cells: Cells,
    /// Bits of its memories as they are declared, whatever they became.
    pub ram_bits: u64,
}

impl Netlist {
    /// Adds a part of the core, whose blocks are called after it.
    pub fn add(&mut self, part: &str, blocks: &Netlist) {
        for (name, block) in &blocks.blocks {
            let path: Vec<&str> = [part, name].into_iter().filter(|name| !name.is_empty()).collect();
            let sum = self.blocks.entry(path.join(".")).or_default();
            sum.cells += block.cells;
            sum.ram_bits += block.ram_bits;
        }
    }

    /// All blocks together.
    pub fn whole(&self) -> Block {
        let mut whole = Block::default();
        for block in self.blocks.values() {
            whole.cells += block.cells;
            whole.ram_bits += block.ram_bits;
        }
        whole
    }

    /// A table with a line for each block, the largest first, and one for the whole.
    pub fn rows(&self) -> Vec<(&str, Block)> {
        let mut rows: Vec<(&str, Block)> = self.blocks.iter().map(|(name, block)| (name.as_str(), *block)).collect();
        rows.sort_by_key(|(name, block)| (std::cmp::Reverse(block.cells.places() + block.cells.ff), *name));
        rows
    }
}
