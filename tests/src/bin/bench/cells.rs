//! `bench cells`: the card at 4, 8 and 60 VFs a kind, synthesized: functions cost memory, not logic.

use azote_fpga::report::{Growth, MOST_GROWTH};
use azote_tests::Result;
use azote_tests::figures::Figure;

/// VFs a kind that stand side by side; the figure compares the first with the last.
const SIZES: [usize; 3] = [4, 8, 60];

/// Measures it; the table goes to stderr, for people.
pub fn measure() -> Result<Vec<Figure>> {
    let growth = growth()?;
    eprintln!("{}", growth.table());
    let figure = Figure::cost("storage.cells.60vf", growth.factor(), "times the cells of 4 VFs", MOST_GROWTH);
    Ok(vec![figure.at_least(1.0)])
}

/// Synthesizes them, minutes each; kept for as long as the card's Verilog stays the same.
pub fn growth() -> Result<Growth> {
    let mut sizes = Vec::new();
    for vfs in SIZES {
        sizes.push((vfs, azote_fpga::core(vfs)?.whole()));
    }
    Ok(Growth { sizes })
}
