//! The fetcher: entries ahead, in the ring's order, and how many of a queue are still to come.

use std::collections::VecDeque;

use azote_regs::function::Kind;
use azote_regs::nvme::entry;
use azote_rtl::storage::rings::fetch::{Fetch, PLACES};
use azote_rtl::storage::terms::ENTRIES;
use rand::Rng;
use rand::seq::IteratorRandom;

use crate::bench;

/// An entry: `(slot, qid, address, readable)`.
type Entry = (u64, u64, u64, bool);

#[test]
fn entries_come_in_the_order_of_the_ring_and_those_that_are_not_here_yet_are_counted() {
    let mut dut = bench::build("fetch", Fetch::default);
    let mut rng = bench::rng(1);
    // Found and not handed out; how long each place's read still takes, and whether it will fail.
    let mut ahead: VecDeque<Entry> = VecDeque::new();
    let mut coming: [Option<(u32, bool)>; PLACES] = [None; PLACES];
    let mut failed = 0u128;
    let mut asked = 0;
    let mut counted = [0; PLACES + 1];
    // What the front has in hand, and for how long.
    let mut front: Option<(u32, Entry)> = None;
    let (mut handed, mut full, mut failures) = (0, 0, 0);
    while handed < 3000 {
        let pending = (0..PLACES).fold(0, |m, p| m | u128::from(coming[p].is_some()) << p);
        dut.set("work", rng.random_ratio(3, 4).into());
        dut.set("rd_pending", pending);
        dut.set("rd_failed", failed);
        dut.set("q_ack", 0);
        dut.set("rd_ready", 0);
        dut.set("take", 0);
        let look = match ahead.iter().choose(&mut rng) {
            Some(e) if rng.random_ratio(9, 10) => (e.0, e.1),
            _ => (rng.random_range(0..60), rng.random_range(0..8)),
        };
        dut.set("look_slot", look.0.into());
        dut.set("look_qid", look.1.into());
        dut.eval();
        let away = |i: usize| coming[(handed + i) % PLACES].is_some() || (asked == 1 && i + 1 == ahead.len());
        let unread = ahead.iter().enumerate().filter(|(i, e)| away(*i) && (e.0, e.1) == look).count();
        assert_eq!(dut.get("unread"), unread as u128, "{look:?} of {ahead:?}");
        counted[unread] += 1;
        failed &= !dut.get("rd_forget");
        if dut.get("q_valid") == 1 && rng.random_ratio(1, 3) {
            let found = rng.random_ratio(3, 4);
            let readable = !rng.random_ratio(1, 10);
            let mut e = (rng.random_range(0..60), rng.random_range(0..8), rng.random::<u64>() & !63, readable);
            if let (Some(before), true) = (ahead.back(), rng.random_ratio(3, 4)) {
                (e.0, e.1) = (before.0, before.1);
            }
            for (port, v) in
                [("q_ack", 1), ("q_found", found.into()), ("q_slot", e.0), ("q_qid", e.1), ("q_address", e.2)]
            {
                dut.set(port, v.into());
            }
            if found {
                ahead.push_back(e);
                asked = 1;
            }
        } else if dut.get("rd_valid") == 1 && rng.random_ratio(1, 3) {
            let e = ahead.back().unwrap();
            let place = dut.get("rd_client") as usize - ENTRIES as usize;
            assert!(coming[place].is_none());
            let get = |port: &str| dut.get(port) as u64;
            assert_eq!((get("rd_address"), get("rd_bytes")), (e.2, entry::SQE_SIZE));
            assert_eq!(get("rd_owner"), e.0 << 2 | Kind::Storage.code());
            assert_eq!(get("rd_dest"), place as u64 * entry::SQE_SIZE / 4, "into its own place");
            coming[place] = Some((rng.random_range(1..90), !e.3));
            asked = 0;
            dut.set("rd_ready", 1);
        } else if front.is_none() && dut.get("valid") == 1 && rng.random_ratio(1, 2) {
            let e = ahead.pop_front().unwrap();
            assert!(coming[dut.get("place") as usize].is_none(), "before it is here");
            assert_eq!((dut.get("slot") as u64, dut.get("qid") as u64, dut.get("failed") == 0), (e.0, e.1, e.3));
            front = Some((rng.random_range(0..40), e));
            dut.set("take", 1);
            handed += 1;
            failures += usize::from(!e.3);
        }
        assert!(ahead.len() <= PLACES);
        full += usize::from(ahead.len() - asked == PLACES);
        dut.clock();
        for (p, c) in coming.iter_mut().enumerate() {
            match c {
                Some((0, fails)) => {
                    failed |= u128::from(*fails) << p;
                    *c = None;
                }
                Some((left, _)) => *left -= 1,
                None => {}
            }
        }
        front = match front {
            Some((0, _)) | None => None,
            Some((left, e)) => Some((left - 1, e)),
        };
        assert!(dut.clocks() < 1_000_000, "stuck after {handed}");
    }
    assert!(counted.iter().all(|n| *n > 500), "{counted:?}");
    assert!(full > 1000 && failures > 100, "{full} clocks with all places in use, {failures} failures");
}
