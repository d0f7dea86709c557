//! The register bus between reads and writes: one access at a time, whole, and neither starves.

use azote_rtl::transaction::Shared;
use rand::Rng;

use crate::bench;

#[test]
fn every_access_is_answered_once_with_its_own_data_and_neither_master_starves() {
    let mut dut = bench::build("shared", Shared::default);
    let mut rng = bench::rng(1);
    // What each master asks for, and since when.
    let mut asks: [Option<(u16, u32)>; 2] = [None; 2];
    let mut begun: Option<(usize, u16)> = None;
    let mut answered = [0; 2];
    for clock in 0..20_000u32 {
        for (i, name) in ["writes", "reads"].into_iter().enumerate() {
            if asks[i].is_none() && rng.random_ratio(2, 3) {
                asks[i] = Some((rng.random::<u16>() & 0xfffc | i as u16, clock));
            }
            dut.set(&format!("{name}_valid"), asks[i].is_some().into());
            dut.set(&format!("{name}_offset"), asks[i].map_or(0, |a| a.0.into()));
            dut.set(&format!("{name}_write"), (i == 0).into());
            dut.set(&format!("{name}_manage"), asks[i].map_or(0, |a| a.0 >> 4 & 1).into());
        }
        let ack = rng.random_ratio(1, 3);
        dut.set("bus_ack", ack.into());
        dut.eval();
        let valid = dut.get("bus_valid") == 1;
        assert_eq!(valid, asks.iter().any(Option::is_some));
        let offset = dut.get("bus_offset") as u16;
        let who = usize::from(offset & 1);
        dut.set("bus_rdata", (u32::from(offset) ^ 0x5a5a).into());
        dut.eval();
        for (i, name) in ["writes", "reads"].into_iter().enumerate() {
            assert_eq!(dut.get(&format!("{name}_ack")) == 1, valid && ack && who == i);
        }
        if valid {
            assert_eq!(Some(offset), asks[who].map(|a| a.0));
            assert_eq!((dut.get("bus_write") == 1, dut.get("manage") as u16), (who == 0, offset >> 4 & 1));
            assert!(begun.is_none_or(|b| b == (who, offset)), "an access is cut by another");
            begun = (!ack).then_some((who, offset));
            if ack {
                if who == 1 {
                    assert_eq!(dut.get("reads_rdata") as u32, u32::from(offset) ^ 0x5a5a);
                }
                let (_, since) = asks[who].take().unwrap();
                assert!(clock - since < 60, "an access waited {} clocks", clock - since);
                answered[who] += 1;
            }
        }
        dut.clock();
    }
    assert!(answered.iter().all(|n| *n > 2000), "{answered:?}");
}
