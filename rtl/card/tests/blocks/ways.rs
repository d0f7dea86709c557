//! The ways to the registers: on each one access at a time, whole, and none waits for another way's.

use azote_regs::bar;
use azote_rtl::transaction::Ways;
use azote_rtl::transaction::ways::{OWN, WAYS};
use rand::Rng;

use crate::bench;

/// Clocks that an engine takes for an access, at most; one of them takes so many always.
const QUICK: u32 = 6;
const SLOW: u32 = 3000;

/// An access: whether it is to the management BAR, owner, offset, enables, data.
type Access = (bool, u8, u16, u8, u32);

fn way((manage, owner, offset, ..): Access) -> usize {
    if manage || u64::from(offset) >= bar::MSIX_TABLE { OWN } else { usize::from(owner & 3) }
}

#[test]
fn every_access_is_made_once_and_whole_and_a_slow_way_holds_up_no_other() {
    let mut dut = bench::build("ways", Ways::default);
    let mut rng = bench::rng(1);
    let mut written: Option<(Access, u32)> = None;
    // What was asked, and whether it has begun; what is open on each way, and its last answer.
    let mut asked: Option<(Access, bool, u32)> = None;
    let mut open: [Option<(Access, bool)>; WAYS] = [None; WAYS];
    let mut answers: [Option<u32>; WAYS] = [None; WAYS];
    // On each bus: the access, clocks that are left of it, whether a write.
    let mut bus: [Option<(Access, u32, bool)>; WAYS] = [None; WAYS];
    let (mut writes, mut asks, mut slow) = (0, 0, 0);
    for clock in 0..40_000u32 {
        let access = |rng: &mut rand::rngs::SmallRng, quick: bool| -> Access {
            let kind = if quick { rng.random_range(1..3) } else { rng.random_range(0..3) };
            let manage = rng.random_ratio(1, 6);
            let offset = rng.random::<u16>() & if manage { 0xfffc } else { 0x3ffc };
            let owner = if manage { 2 } else { (rng.random::<u8>() & 0xfc) | kind };
            (manage, owner, offset, rng.random_range(1..16), rng.random())
        };
        // Way 0 is the slow one. Whoever writes there waits for it, so writes go to the others.
        if written.is_none() && rng.random_ratio(1, 2) {
            written = Some((access(&mut rng, true), clock));
        }
        if asked.is_none() && rng.random_ratio(2, 3) {
            let a = access(&mut rng, false);
            if open[way(a)].is_none() {
                asked = Some((a, rng.random_ratio(1, 4), clock));
            }
        }
        for (name, a, write) in
            [("writes", written.map(|w| w.0), true), ("asks", asked.map(|a| a.0), asked.is_some_and(|a| a.1))]
        {
            let (manage, owner, offset, be, data) = a.unwrap_or_default();
            dut.set(&format!("{name}_valid"), a.is_some().into());
            dut.set(&format!("{name}_write"), write.into());
            dut.set(&format!("{name}_manage"), manage.into());
            dut.set(&format!("{name}_owner"), owner.into());
            dut.set(&format!("{name}_offset"), offset.into());
            dut.set(&format!("{name}_be"), be.into());
            dut.set(&format!("{name}_wdata"), data.into());
        }
        // Between two accesses somebody looks at an answer.
        let to = asked.map_or_else(|| rng.random_range(0..WAYS), |a| way(a.0));
        dut.set("asks_to", to as u128);
        dut.eval();
        if asked.is_none()
            && let Some(answer) = answers[to]
        {
            assert_eq!((dut.get("asks_open") >> to & 1, dut.get("asks_rdata") as u32), (0, answer), "way {to}");
        }
        for (w, bus) in bus.iter_mut().enumerate() {
            let valid = dut.get(&format!("bus_{w}_valid")) == 1;
            assert_eq!(dut.get("asks_taken") >> w & 1 == 1, valid);
            let port = |name: &str| dut.get(&format!("bus_{w}_{name}"));
            let write = port("write") == 1;
            let seen: Access = (
                w == OWN && dut.get("manage") == 1,
                port("owner") as u8,
                port("offset") as u16,
                port("be") as u8,
                port("wdata") as u32,
            );
            if valid && bus.is_none() {
                *bus = Some((seen, if w == 0 { SLOW } else { rng.random_range(0..QUICK) }, write));
                assert_eq!(way(seen), w, "an access is on another way than its own");
            }
            let mut acks = false;
            if let Some((access, left, of_write)) = bus {
                assert!(valid && *access == seen && *of_write == write, "an access changes on its way");
                acks = *left == 0;
                *left = left.saturating_sub(1);
            }
            dut.set(&format!("bus_{w}_ack"), acks.into());
            dut.set(&format!("bus_{w}_rdata"), rng.random::<u32>().into());
        }
        dut.eval();
        let ready = dut.get("asks_ready") == 1;
        let mut acked = false;
        for w in 0..WAYS {
            if dut.get(&format!("bus_{w}_ack")) == 0 {
                continue;
            }
            let (access, _, write) = bus[w].take().unwrap();
            match open[w].take() {
                Some((mine, of_write)) => {
                    assert_eq!((access, write), (mine, of_write));
                    answers[w] = Some(dut.get(&format!("bus_{w}_rdata")) as u32);
                    (asks, slow) = (asks + 1, slow + u32::from(w == 0));
                }
                None => {
                    let (mine, since) = written.take().unwrap();
                    assert_eq!((access, write), (mine, true));
                    assert!(clock - since <= 4 * QUICK, "a write waited {} clocks", clock - since);
                    acked = true;
                    writes += 1;
                }
            }
        }
        assert_eq!(dut.get("writes_ack") == 1, acked);
        if ready {
            let (access, write, since) = asked.take().unwrap();
            assert!(clock - since <= 4 * QUICK, "an access waited {} clocks to begin", clock - since);
            open[way(access)] = Some((access, write));
            answers[way(access)] = None;
        }
        dut.clock();
    }
    assert!(writes > 2000 && asks > 2000 && slow > 8, "{writes} writes, {asks} others, {slow} of them slow");
}
