//! The memory of rows that is written by DW: each lane goes to its own row.

use azote_rtl::dma::Lanes;
use rand::Rng;

use crate::bench;

#[test]
fn every_lane_keeps_its_dw_at_its_own_row() {
    let mut dut = bench::build("lanes", Lanes::<5>::default);
    let mut rng = bench::rng(1);
    let mut rows = vec![[0u32; 4]; 32];
    for _ in 0..5000 {
        let we: u128 = rng.random_range(0..16);
        let data: u128 = rng.random();
        let (row, next, off) = (rng.random_range(0..32), rng.random_range(0..32), rng.random_range(0..4));
        let at: [usize; 4] = std::array::from_fn(|lane| if off > lane { next } else { row });
        let read = rng.random_range(0..32usize);
        dut.set("we", we);
        dut.set("data", data);
        dut.set("raddr", read as u128);
        for (port, v) in [("row", row), ("next", next), ("off", off)] {
            dut.set(port, v as u128);
        }
        dut.clock();
        for i in 0..4 {
            let writes = we >> i & 1 == 1;
            // A DW that is written is not read in the same clock.
            if !(writes && at[i] == read) {
                assert_eq!((dut.get("rdata") >> (32 * i)) as u32, rows[read][i], "lane {i}");
            }
            if writes {
                rows[at[i]][i] = (data >> (32 * i)) as u32;
            }
        }
    }
}
