//! The arbiter against a turn counted by hand.

use azote_rtl::parts::Arbiter;
use rand::Rng;

use crate::bench;

const N: usize = 6;

#[test]
fn turns_go_round_and_a_grant_is_kept_until_released() {
    let mut dut = bench::build("arbiter", Arbiter::<N, 3>::default);
    let mut rng = bench::rng(1);
    let (mut turn, mut held) = (0, false);
    let mut waited = [0; N];
    for _ in 0..5000 {
        let wants: u128 = rng.random_range(0..1 << N);
        let last = rng.random_bool(0.5);
        let next = (1..=N).map(|step| (turn + step) % N).find(|who| wants >> who & 1 == 1);
        let expected = if held { Some(turn) } else { next };
        let take = expected.is_some() && rng.random_bool(0.7);
        dut.set("wants", wants);
        dut.set("take", take.into());
        dut.set("last", last.into());
        dut.eval();
        assert_eq!(dut.get("any") == 1, expected.is_some());
        if let Some(who) = expected {
            assert_eq!(dut.get("grant"), who as u128, "the first after {turn} of {wants:b}");
            if take {
                for (i, n) in waited.iter_mut().enumerate() {
                    *n = if i != who && wants >> i & 1 == 1 { *n + usize::from(!held) } else { 0 };
                    assert!(*n < N, "{i} waited for {n} others");
                }
                (turn, held) = (who, !last);
            }
        }
        dut.clock();
    }
}

#[test]
fn reset_gives_a_grant_back() {
    let mut dut = bench::build("arbiter", Arbiter::<N, 3>::default);
    dut.set("wants", 0b10);
    dut.set("take", 1);
    dut.clock();
    dut.set("wants", 0);
    dut.set("take", 0);
    dut.eval();
    assert_eq!((dut.get("any"), dut.get("grant")), (1, 1));
    dut.reset();
    assert_eq!(dut.get("any"), 0);
}
