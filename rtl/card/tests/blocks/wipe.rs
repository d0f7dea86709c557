//! Whose records are wiped: of everybody who was reset or has another volume, once each, and of nobody else.

use azote_rtl::storage::records::wipe::Wipe;
use rand::Rng;

use crate::bench;

#[test]
fn every_reset_and_every_other_binding_wipes_its_slot_and_no_other() {
    let mut dut = bench::build("wipe_records", || Wipe::new(60));
    let mut rng = bench::rng(1);
    let (mut owed, mut event) = ([false; 64], [0u32; 64]);
    // Which slot, and when it is done; and when the request fell, after which done falls.
    let mut reset: Option<(u8, u32)> = None;
    let (mut told, mut fell) = (false, 0);
    let (mut last, mut wiped) = (0, 0);
    for clock in 1..40_000u32 {
        let stops = clock > 38_000;
        // A reset is asked for, done after a while, and its request falls.
        if reset.is_none() && clock > fell + 1 && !stops && rng.random_ratio(1, 20) {
            reset = Some((rng.random_range(0..64), clock + rng.random_range(0..30)));
        }
        let done = reset.is_some_and(|r| clock >= r.1);
        dut.set("reset_valid", reset.is_some().into());
        dut.set("reset_done", done.into());
        dut.set("reset_slot", reset.map_or(0, |r| r.0.into()));
        let changed = !stops && rng.random_ratio(1, 30);
        let slot: u8 = rng.random_range(0..64);
        dut.set("changed", changed.into());
        dut.set("changed_slot", slot.into());
        dut.eval();
        if dut.get("wipe") == 1 {
            let slot = dut.get("slot") as usize;
            // One that is wiped just as it is asked for is wiped twice.
            assert!(owed[slot] || clock - event[slot] < 64, "slot {slot} is wiped for nothing");
            assert!(wiped == 0 || clock - last >= 16);
            owed[slot] = false;
            (last, wiped) = (clock, wiped + 1);
        }
        if changed {
            owed[usize::from(slot)] = true;
            event[usize::from(slot)] = clock;
        }
        if let Some((slot, _)) = reset.filter(|_| done) {
            owed[usize::from(slot)] |= !told;
            event[usize::from(slot)] = clock;
            told = true;
            if rng.random_ratio(1, 2) {
                (reset, told, fell) = (None, false, clock);
            }
        }
        dut.clock();
    }
    assert!(wiped > 1000 && !owed.contains(&true) && dut.get("busy") == 0, "{wiped}");
}
