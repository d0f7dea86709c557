//! The counters of SMART and the error log: one function's events never show in another's.

use azote_regs::nvme::status;
use azote_rtl::storage::counters::Counters;
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
    errors: u64,
    media_errors: u64,
    entry: u64,
}

#[test]
fn every_function_has_its_own_commands_units_and_errors() {
    let mut dut = bench::build("counters", || Counters::new(VFS));
    let mut rng = bench::rng(1);
    dut.clock_n(80);
    let mut rows = [Row::default(); VFS + 1];
    for _ in 0..5000 {
        let (data, error) = (rng.random_ratio(2, 3), rng.random_ratio(1, 4));
        if data {
            let (slot, write, blocks) =
                (rng.random_range(0..=VFS), rng.random_range(0..2usize), rng.random_range(1..=256u64));
            rows[slot].commands[write] += 1;
            rows[slot].blocks[write] += blocks;
            dut.set("data_slot", slot as u128);
            dut.set("data_write", write as u128);
            dut.set("data_blocks", blocks.into());
        }
        if error {
            let slot = rng.random_range(0..=VFS);
            let code = [status::INVALID_FIELD, status::WRITE_FAULT, status::LBA_OUT_OF_RANGE][rng.random_range(0..3)];
            let (qid, cid) = (rng.random_range(0..8u64), rng.random_range(0..1u64 << 16));
            // The status field stands above a phase bit that is zero.
            let field = (code | status::DNR.mask()) << 1;
            rows[slot].errors += 1;
            rows[slot].media_errors += u64::from(status::SCT.of(code) == status::SCT_MEDIA);
            rows[slot].entry = field << 32 | cid << 16 | qid;
            for (port, v) in [("slot", slot as u64), ("qid", qid), ("cid", cid), ("status", field)] {
                dut.set(&format!("error_{port}"), v.into());
            }
        }
        dut.set("data", data.into());
        dut.set("error", error.into());
        dut.clock();
        dut.set("data", 0);
        dut.set("error", 0);
        dut.clock_n(8);
        let slot = rng.random_range(0..=VFS);
        dut.set("slot", slot as u128);
        dut.clock();
        let r = &rows[slot];
        let seen = |port: &str| dut.get(port) as u64;
        assert_eq!([seen("reads"), seen("writes")], r.commands);
        // A unit that has begun counts.
        assert_eq!([seen("units_read"), seen("units_written")], r.blocks.map(|b| b.div_ceil(UNIT)));
        assert_eq!((seen("errors"), seen("media_errors"), seen("error_entry")), (r.errors, r.media_errors, r.entry));
    }
}

#[test]
fn data_commands_three_clocks_apart_are_all_counted_beside_errors() {
    let mut dut = bench::build("counters", || Counters::new(VFS));
    dut.clock_n(80);
    for (port, v) in [("data_blocks", 1), ("error_status", 2)] {
        dut.set(port, v);
    }
    for n in 0..300 {
        dut.set("data", (n % 3 == 0).into());
        dut.set("error", (n % 20 == 0).into());
        dut.clock();
    }
    dut.set("data", 0);
    dut.set("error", 0);
    dut.clock_n(10);
    assert_eq!((dut.get("reads"), dut.get("errors")), (100, 15));
}
