//! Marks by slot: none lost, the lowest first, a drop wins.

use azote_rtl::parts::Marks;
use rand::Rng;

use crate::bench;

#[test]
fn marks_are_offered_lowest_first_until_they_are_taken_or_dropped() {
    let mut dut = bench::build("marks", || Marks::new(64));
    let mut rng = bench::rng(1);
    let (mut marks, mut takes, mut drops, mut again) = (0u128, 0, 0, 0);
    for _ in 0..20_000 {
        let slot = rng.random_range(0..64u128);
        let set = rng.random_bool(0.5);
        let drop = if rng.random_bool(0.1) { u128::from(rng.random::<u64>() & rng.random::<u64>()) } else { 0 };
        dut.set("mark", set.into());
        dut.set("slot", slot);
        dut.set("drop", drop);
        dut.set("take", 0);
        dut.eval();
        assert_eq!(dut.get("valid") == 1, marks != 0);
        let first = dut.get("first");
        let take = marks != 0 && rng.random_bool(0.6);
        dut.set("take", take.into());
        dut.eval();
        if marks != 0 {
            assert_eq!(first, u128::from(marks.trailing_zeros()));
        }
        assert_eq!(dut.get("first"), first, "a take is seen in its own clock");
        drops += (marks & drop).count_ones();
        if take {
            marks &= !(1 << first);
            takes += 1;
            again += u32::from(set && slot == first);
        }
        marks = (marks | u128::from(set) << slot) & !drop;
        dut.clock();
    }
    assert!(takes > 5000 && drops > 500 && again > 50, "{takes} taken, {drops} dropped, {again} again");
}
