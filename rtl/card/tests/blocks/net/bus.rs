//! The management BAR's pages, each to its table.

use azote_regs::manage;
use azote_rtl::manage::Bus;
use rand::Rng;

use crate::bench;

#[test]
fn an_access_reaches_one_table_and_gets_its_answer() {
    let mut dut = bench::build("manage_bus", Bus::default);
    let mut rng = bench::rng(1);
    let tables = ["bindings", "ports", "counters"];
    for _ in 0..5000 {
        let offset = rng.random_range(0..0x1_0000u64) & !3;
        let valid = rng.random_bool(0.9);
        let to = match offset {
            manage::PORTS..0x3000 => 1,
            manage::COUNTERS..0x6000 => 2,
            _ => 0,
        };
        let fields = [("write", 1), ("owner", 8), ("be", 4), ("wdata", 32)].map(|(name, bits)| {
            let v = rng.random::<u64>() & ((1 << bits) - 1);
            dut.set(&format!("bus_{name}"), v.into());
            (name, v)
        });
        dut.set("bus_offset", offset.into());
        dut.set("bus_valid", valid.into());
        let answers = tables.map(|table| {
            let (ack, rdata) = (rng.random_range(0..2u128), rng.random::<u32>());
            dut.set(&format!("{table}_ack"), ack);
            dut.set(&format!("{table}_rdata"), rdata.into());
            (ack, u128::from(rdata))
        });
        dut.eval();
        for (i, table) in tables.iter().enumerate() {
            assert_eq!(dut.get(&format!("{table}_valid")) == 1, valid && i == to, "{offset:x}");
            for (name, v) in fields {
                assert_eq!(dut.get(&format!("{table}_{name}")), v.into());
            }
            assert_eq!(dut.get(&format!("{table}_offset")), offset.into());
        }
        assert_eq!((dut.get("bus_ack"), dut.get("bus_rdata")), answers[to]);
    }
}
