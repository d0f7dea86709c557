//! The core, synthesized: it fits, and virtual functions cost memory and not logic. Minutes the first time; then the
//! results are kept for as long as the card's Verilog stays the same.

use azote_fpga::report::MOST_GROWTH;
use azote_fpga::{core, device, fits};

#[test]
fn the_core_with_eight_vfs_a_kind_fits_the_device() {
    let netlist = core(8).unwrap();
    fits(&netlist).unwrap();
    let cells = netlist.whole().cells;
    assert!(cells.places() <= device::LUTS * 3 / 4, "{} LUTs: no room is left for a link and a medium", cells.places());
    assert!(cells.block_ram <= device::BLOCK_RAMS * 3 / 4, "{} block RAMs", cells.block_ram);
    // Every block's share is there by name, and none has lost its memories.
    for block in [
        "transmit",
        "receive",
        "completer",
        "space",
        "read",
        "msix",
        "storage.queues",
        "storage.mover",
        "net.odd",
        "net.path",
    ] {
        let share = netlist.blocks.get(block).unwrap_or_else(|| panic!("no cells of {block}"));
        assert!(share.cells.total() > 0);
    }
    assert!(netlist.blocks["storage.queues"].ram_bits > 0);
}

#[test]
fn cells_from_4_to_60_vfs_a_kind_grow_by_less_than_half() {
    let (few, many) = (core(4).unwrap().whole(), core(60).unwrap().whole());
    let factor = many.cells.total() as f64 / few.cells.total() as f64;
    assert!(factor < MOST_GROWTH, "{} cells become {}: {factor:.2} times", few.cells.total(), many.cells.total());
    assert!(many.ram_bits > few.ram_bits);
}
