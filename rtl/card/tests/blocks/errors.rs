//! The error log: each function's own, the newest in the place of the oldest, from both sources.

use std::collections::VecDeque;

use azote_regs::nvme::{limits, log, status};
use azote_rtl::storage::records::errors::Errors;
use rand::Rng;

use crate::bench::{self, cat};

const VFS: usize = 4;
const CODES: [u64; 5] = [
    status::INVALID_FIELD,
    status::WRITE_FAULT,
    status::LBA_OUT_OF_RANGE,
    status::COMPARE_FAILURE,
    status::DATA_TRANSFER,
];

/// What is told of a failed command, as the log keeps it.
fn entry(code: u64, qid: u64, cid: u64, location: u64, lba: u64, nsid: u64) -> azote_hdl::BigUint {
    // What the medium could not do may go well another time; so may a transfer. A comparison would fail again just so.
    let again =
        (status::SCT.of(code) == status::SCT_MEDIA && code != status::COMPARE_FAILURE) || code == status::DATA_TRANSFER;
    let field = (code | status::MORE.mask() | status::DNR.put((!again).into())) << 1;
    let parts = [(location, 16), (nsid, 32), (lba, 64), (field, 16), (cid, 16), (qid, 3)];
    cat(&parts.map(|(v, bits)| (u128::from(v), bits)))
}

#[test]
fn the_last_errors_of_each_function_are_kept_from_both_sources() {
    let mut dut = bench::build("error_log", || Errors::new(VFS));
    let mut rng = bench::rng(1);
    dut.clock_n(80);
    let mut logs: Vec<VecDeque<_>> = vec![VecDeque::new(); VFS + 1];
    let mut counts = [(0u64, 0u64); VFS + 1];
    for _ in 0..4000 {
        let (front, path) = (rng.random_ratio(1, 2), rng.random_ratio(1, 2));
        let mut told = vec![];
        // The front's goes first if both come at once.
        for (prefix, here) in [("refused", front), ("failed", path)] {
            dut.set(prefix, here.into());
            if !here {
                continue;
            }
            let slot = rng.random_range(0..=VFS);
            told.push(slot);
            let code = CODES[rng.random_range(0..CODES.len())];
            let (qid, cid) = (rng.random_range(0..8u64), rng.random_range(0..1u64 << 16));
            let wide = prefix == "refused";
            let lba = rng.random::<u64>() >> if wide { 0 } else { 16 };
            let mut fields = vec![("slot", slot as u64), ("qid", qid), ("cid", cid), ("code", code), ("lba", lba)];
            let (mut location, mut nsid) = (log::LOCATION_NONE, limits::NSID);
            if wide {
                location = rng.random_range(0..1 << 16);
                nsid = rng.random_range(0..1 << 32);
                fields.extend([("location", location), ("nsid", nsid)]);
            }
            for (field, v) in fields {
                dut.set(&format!("{prefix}_{field}"), v.into());
            }
            logs[slot].push_front(entry(code, qid, cid, location, lba, nsid));
            logs[slot].truncate(log::ERROR_ENTRIES as usize);
            counts[slot].0 += 1;
            // Blocks that differ are no error of the medium's.
            let media = status::SCT.of(code) == status::SCT_MEDIA && code != status::COMPARE_FAILURE;
            counts[slot].1 += u64::from(!wide && media);
        }
        // Now and then a function begins anew, beside the others' errors; its own of this clock come after.
        let wipe = rng.random_ratio(1, 10).then(|| rng.random_range(0..=VFS));
        let beside = wipe.is_some_and(|slot| told.contains(&slot));
        dut.set("wipe", (wipe.is_some() && !beside).into());
        if let Some(slot) = wipe.filter(|_| !beside) {
            dut.set("wipe_slot", slot as u128);
            logs[slot].clear();
            counts[slot] = (0, 0);
        }
        dut.clock();
        dut.set("wipe", 0);
        dut.set("refused", 0);
        dut.set("failed", 0);
        dut.clock_n(7);
        let slot = rng.random_range(0..=VFS);
        dut.set("slot", slot as u128);
        dut.clock();
        assert_eq!((dut.get("errors") as u64, dut.get("media_errors") as u64), counts[slot]);
        for (back, wanted) in (1..).zip(&logs[slot]) {
            dut.set("at", u128::from(counts[slot].0.wrapping_sub(back) % log::ERROR_ENTRIES));
            dut.clock();
            assert_eq!(bench::get(&dut, "entry"), *wanted, "slot {slot}, {back} back");
        }
    }
}
