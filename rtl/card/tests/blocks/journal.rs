//! The journal: each end finds what its command began with, in the order of its path.

use std::collections::VecDeque;

use azote_regs::clock;
use azote_rtl::storage::records::journal::Journal;
use rand::Rng;

use crate::bench::{self, part};

#[test]
fn every_end_finds_its_own_beginning() {
    let mut dut = bench::build("journal", Journal::default);
    let mut rng = bench::rng(1);
    let mut open: [VecDeque<[u64; 4]>; 2] = Default::default();
    let mut ended = 0;
    while ended < 5000 {
        let writer = rng.random_range(0..2usize);
        let opens = rng.random_ratio(1, 12) && open[writer].len() < 200;
        let line = [dut.get("now") as u64, rng.random_range(0..257), rng.random_range(0..3), rng.random::<u64>() >> 16];
        let [_, blocks, kind, lba] = line;
        for (port, v) in
            [("opens", opens.into()), ("opens_writer", writer as u64), ("blocks", blocks), ("kind", kind), ("lba", lba)]
        {
            dut.set(port, v.into());
        }
        // An end comes some clocks after its beginning at the least.
        let path = rng.random_range(0..2usize);
        let closes = open[path].len() > 2 && rng.random_ratio(1, 12);
        dut.set("writer", path as u128);
        dut.set("closes", closes.into());
        dut.eval();
        if closes {
            let l = bench::get(&dut, "line");
            let field = |lo, bits| part(&l, lo, bits) as u64;
            assert_eq!([field(59, 24), field(50, 9), field(48, 2), field(0, 48)], open[path].pop_front().unwrap());
            ended += 1;
        }
        if opens {
            open[writer].push_back(line);
        }
        let (clocks, now) = (dut.clocks(), dut.get("now") as u64);
        dut.clock();
        assert!(now.abs_diff(clocks / clock::MHZ) <= 1, "{now} us after {clocks} clocks");
    }
}
