//! Tables: the sweep after reset, writes, wipes of a slot, reads, each in the clocks of the others.

use azote_rtl::parts::{BlockTable, Table};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

/// Rows, and how many of them are a slot's; not all that the address could name.
const ROWS: usize = 24;
const OF_SLOT: usize = 4;
const SLOTS: usize = ROWS / OF_SLOT;

/// Both kinds, with two ports each, and the clocks in which they answer.
fn models() -> Vec<(Dut, usize)> {
    vec![
        (bench::build("lut_table", || Table::<5, 12, 2>::new(ROWS, 2)), 0),
        (bench::build("block_table", || BlockTable::<5, 12, 2>::new(ROWS, 2)), 1),
    ]
}

/// What a row begins with.
fn first(row: usize) -> u128 {
    0x700 + row as u128
}

/// One clock of both ports and of the owner's answer to `first`; `rows` is what the table must hold before it.
struct Look {
    /// What the ports were asked a clock ago; nothing, if the row was written in that clock.
    asked: [Option<u128>; 2],
}

impl Look {
    fn clock(&mut self, dut: &mut Dut, rng: &mut SmallRng, rows: &[u128; ROWS], after: usize, writes: bool) {
        let now: [usize; 2] = std::array::from_fn(|_| rng.random_range(0..ROWS));
        for (i, row) in now.iter().enumerate() {
            dut.set(&format!("raddr_{i}"), *row as u128);
        }
        dut.eval();
        let row = dut.get("row") as usize;
        dut.set("first", first(row));
        dut.eval();
        for i in 0..2 {
            let wanted = if after == 0 { Some(rows[now[i]]) } else { self.asked[i] };
            let read = dut.get(&format!("rdata_{i}"));
            assert!(wanted.is_none_or(|wanted| wanted == read), "port {i}, row {}: {read:x}, not {wanted:x?}", now[i]);
        }
        self.asked = now.map(|asked| (!writes || asked != row).then(|| rows[asked]));
    }
}

/// Sweeps a table after reset; all rows have been written before.
fn sweep(dut: &mut Dut) {
    for row in 0..ROWS {
        dut.eval();
        assert_eq!((dut.get("ready"), dut.get("row")), (0, row as u128));
        dut.set("first", first(row));
        dut.clock();
    }
    dut.eval();
    assert_eq!(dut.get("ready"), 1, "swept in as many clocks as there are rows");
}

#[test]
fn rows_are_what_was_written_last_whatever_is_wiped_beside() {
    for (mut dut, after) in models() {
        let mut rng = bench::rng(1);
        // A wipe that is asked for while the table is swept waits.
        dut.set("wipe", 1);
        dut.set("wipe_slot", 2);
        sweep(&mut dut);
        dut.set("wipe", 0);
        let mut rows: [u128; ROWS] = std::array::from_fn(first);
        let mut look = Look { asked: [None; 2] };
        // The ports have seen nothing of interest yet.
        dut.set("raddr_0", 0);
        dut.set("raddr_1", 0);
        dut.clock();
        look.asked = [Some(rows[0]); 2];
        let mut wiping: Option<(usize, usize)> = None;
        let (mut wiped, mut beside, mut waited) = (0, 0, 0);
        for _ in 0..20_000 {
            if wiping.is_none() && rng.random_ratio(1, 20) {
                wiping = Some((rng.random_range(0..SLOTS), 0));
            }
            let write = rng.random_bool(0.4).then(|| {
                let slot = wiping.filter(|_| rng.random()).map_or_else(|| rng.random_range(0..SLOTS), |w| w.0);
                (slot * OF_SLOT + rng.random_range(0..OF_SLOT), rng.random_range(0..0x1000u128))
            });
            dut.set("we", write.is_some().into());
            dut.set("waddr", write.map_or(0, |w| w.0 as u128));
            dut.set("wdata", write.map_or(0, |w| w.1));
            dut.set("wipe", wiping.is_some().into());
            dut.set("wipe_slot", wiping.map_or(0, |w| w.0 as u128));
            look.clock(&mut dut, &mut rng, &rows, after, write.is_some() || wiping.is_some());
            let mut done = false;
            match (write, &mut wiping) {
                (Some((row, word)), wiping) => {
                    rows[row] = word;
                    waited += usize::from(wiping.is_some());
                    beside += usize::from(wiping.is_some_and(|w| w.0 == row / OF_SLOT));
                }
                (None, Some((slot, row))) => {
                    rows[*slot * OF_SLOT + *row] = first(*slot * OF_SLOT + *row);
                    *row += 1;
                    done = *row == OF_SLOT;
                }
                _ => {}
            }
            assert_eq!(dut.get("wiped") == 1, done, "told with the last row of the slot");
            if done {
                wiping = None;
                wiped += 1;
            }
            dut.clock();
        }
        assert!(wiped > 500 && beside > 500 && waited > beside, "{wiped} {beside} {waited}");
    }
}

#[test]
fn reset_sweeps_all_rows_again_and_ends_a_wipe() {
    for (mut dut, after) in models() {
        let mut rng = bench::rng(2);
        for begun in 0..OF_SLOT as u64 {
            sweep(&mut dut);
            for row in 0..ROWS {
                dut.set("we", 1);
                dut.set("waddr", row as u128);
                dut.set("wdata", 0xfff);
                dut.clock();
            }
            dut.set("we", 0);
            dut.set("wipe", 1);
            dut.set("wipe_slot", 1);
            dut.clock_n(begun);
            dut.set("wipe", 0);
            dut.reset();
            sweep(&mut dut);
            let rows: [u128; ROWS] = std::array::from_fn(first);
            dut.set("raddr_0", 0);
            dut.set("raddr_1", 0);
            dut.clock();
            let mut look = Look { asked: [Some(rows[0]); 2] };
            for _ in 0..100 {
                look.clock(&mut dut, &mut rng, &rows, after, false);
                dut.clock();
            }
            // A slot is wiped from its first row on, whatever was begun before.
            dut.set("wipe", 1);
            let clocks = (0..10).take_while(|_| {
                dut.eval();
                let going = dut.get("wiped") == 0;
                dut.clock();
                going
            });
            assert_eq!(clocks.count() + 1, OF_SLOT);
            dut.set("wipe", 0);
            dut.reset();
        }
    }
}
