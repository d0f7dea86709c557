//! A microsecond is a microsecond, at any clock.

use azote_rtl::parts::Tick;
use rand::Rng;

use crate::bench;

#[test]
fn there_are_as_many_ticks_as_microseconds_have_passed() {
    for hz in [50_000_000u64, 62_500_000, 66_666_667, 80_000_000, 100_000_000, 133_333_333, 150_000_000] {
        let mut dut = bench::build("tick", move || Tick::new(hz));
        dut.set("runs", 1);
        let mut ticks = 0;
        for clock in 1..=20_000 {
            dut.eval();
            ticks += dut.get("us") as u64;
            assert_eq!(ticks, clock * 1_000_000 / hz, "after {clock} clocks of {hz} Hz");
            dut.clock();
        }
        dut.reset();
        for clock in 1..=hz.div_ceil(1_000_000) {
            dut.eval();
            assert_eq!(dut.get("us") == 1, clock == hz.div_ceil(1_000_000), "reset begins a microsecond");
            dut.clock();
        }
    }
}

#[test]
fn clocks_in_which_no_time_passes_do_not_count() {
    let hz = 80_000_000;
    let mut dut = bench::build("tick", move || Tick::new(hz));
    let mut rng = bench::rng(1);
    let (mut ticks, mut passed) = (0, 0);
    for _ in 0..20_000 {
        let runs: bool = rng.random();
        dut.set("runs", runs.into());
        dut.eval();
        ticks += dut.get("us") as u64;
        passed += u64::from(runs);
        assert_eq!(ticks, passed * 1_000_000 / hz, "after {passed} clocks");
        dut.clock();
    }
}

#[test]
#[should_panic(expected = "is no clock of the card's")]
fn a_clock_that_the_card_cannot_have_is_refused() {
    let _ = Tick::new(40_000_000);
}
