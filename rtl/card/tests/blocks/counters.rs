//! The counters of SMART: one function's events never show in another's.

use azote_rtl::storage::records::counters::Counters;
use rand::Rng;

use crate::bench;

const VFS: usize = 4;
/// Blocks of a data unit (NVMe 5.14.1.2).
const UNIT: u64 = 1000;

#[derive(Clone, Copy, Default)]
struct Row {
    /// Commands and blocks, read and written.
    commands: [u64; 2],
    blocks: [u64; 2],
}

/// Whose command was counted last.
fn rows_of(dut: &azote_verilate::Dut) -> usize {
    dut.get("data_slot") as usize
}

#[test]
fn every_function_has_its_own_commands_and_units() {
    let mut dut = bench::build("counters", || Counters::new(VFS));
    let mut rng = bench::rng(1);
    dut.clock_n(80);
    let mut rows = [Row::default(); VFS + 1];
    for _ in 0..5000 {
        let data = rng.random_ratio(2, 3);
        if data {
            let (slot, write, blocks) =
                (rng.random_range(0..=VFS), rng.random_range(0..2usize), rng.random_range(1..=256u64));
            rows[slot].commands[write] += 1;
            rows[slot].blocks[write] += blocks;
            dut.set("data_slot", slot as u128);
            dut.set("data_write", write as u128);
            dut.set("data_blocks", blocks.into());
        }
        dut.set("data", data.into());
        dut.clock();
        dut.set("data", 0);
        // Now and then a function begins anew, beside others' commands or after its own.
        if rng.random_ratio(1, 10) {
            let slot = rng.random_range(0..=VFS);
            let pause = rng.random_range(0..4);
            if rows_of(&dut) != slot {
                dut.clock_n(pause);
            } else {
                dut.clock_n(4);
            }
            rows[slot] = Row::default();
            dut.set("wipe", 1);
            dut.set("wipe_slot", slot as u128);
            dut.clock();
            dut.set("wipe", 0);
        }
        dut.clock_n(8);
        let slot = rng.random_range(0..=VFS);
        dut.set("slot", slot as u128);
        dut.clock();
        let r = &rows[slot];
        let seen = |port: &str| dut.get(port) as u64;
        assert_eq!([seen("reads"), seen("writes")], r.commands);
        // A unit that has begun counts.
        assert_eq!([seen("units_read"), seen("units_written")], r.blocks.map(|b| b.div_ceil(UNIT)));
    }
}

#[test]
fn data_commands_three_clocks_apart_are_all_counted() {
    let mut dut = bench::build("counters", || Counters::new(VFS));
    dut.clock_n(80);
    dut.set("data_blocks", 1);
    for n in 0..300 {
        dut.set("data", (n % 3 == 0).into());
        dut.clock();
    }
    dut.set("data", 0);
    dut.clock_n(10);
    assert_eq!(dut.get("reads"), 100);
}

#[test]
fn a_function_begins_anew_though_others_never_rest() {
    let mut dut = bench::build("counters", || Counters::new(VFS));
    dut.clock_n(80);
    dut.set("data_blocks", 1);
    for n in 0..60u32 {
        dut.set("data", (n % 3 == 0).into());
        dut.set("data_slot", if n < 30 { 2 } else { 1 });
        dut.set("wipe", (n == 36).into());
        dut.set("wipe_slot", 2);
        dut.clock();
    }
    dut.set("data", 0);
    dut.clock_n(10);
    for (slot, reads) in [(1, 10), (2, 0)] {
        dut.set("slot", slot);
        dut.clock();
        assert_eq!(dut.get("reads"), reads, "slot {slot}");
    }
}
