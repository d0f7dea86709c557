//! FIFOs: order, capacity, latency and throughput.

use azote_hdl::BigUint;
use azote_rtl::parts::{BlockFifo, Fifo};
use azote_verilate::Dut;
use rand::Rng;
use std::collections::VecDeque;

use crate::bench::{self, Feed, Sink};

const DEPTH: usize = 8;

fn models() -> Vec<(Dut, u64)> {
    vec![
        (bench::build("fifo", || Fifo::<20>::new(DEPTH)), 1),
        (bench::build("block_fifo", BlockFifo::<3, 20>::default), 2),
    ]
}

#[test]
fn every_word_comes_out_once_and_in_order() {
    for (mut dut, _) in models() {
        let mut rng = bench::rng(1);
        let (mut feed, mut sink) = (Feed::new("in_", 50), Sink::new("out_", 50));
        let mut inside: VecDeque<BigUint> = VecDeque::new();
        for clock in 0..6000 {
            // Phases that fill it, empty it, and keep it moving.
            (feed.percent, sink.percent) = [(90, 20), (20, 90), (100, 100), (50, 50)][clock / 50 % 4];
            if feed.items.is_empty() {
                feed.push("data", rng.random_range(0..1u32 << 20).into());
            }
            feed.drive(&mut dut, &mut rng);
            sink.drive(&mut dut, &mut rng);
            dut.eval();
            assert_eq!(dut.get("level"), inside.len() as u128);
            assert_eq!(dut.get("in_ready") == 1, inside.len() < DEPTH, "full exactly at its depth");
            if let Some(word) = sink.taken(&dut, "data") {
                assert_eq!(Some(word), inside.pop_front());
            }
            if let Some(mut item) = feed.taken(&dut) {
                inside.push_back(item.remove(0).1);
            }
            dut.clock();
        }
    }
}

#[test]
fn a_word_is_readable_after_the_stated_clocks() {
    for (mut dut, latency) in models() {
        dut.set("in_valid", 1);
        dut.set("in_data", 0xabc);
        dut.clock();
        dut.set("in_valid", 0);
        for n in 1..=latency {
            dut.eval();
            assert_eq!(dut.get("out_valid") == 1, n == latency, "{n} clocks after the write");
            if n < latency {
                dut.clock();
            }
        }
        assert_eq!(dut.get("out_data"), 0xabc);
    }
}

#[test]
fn one_word_a_clock_goes_through() {
    for (mut dut, latency) in models() {
        dut.set("in_valid", 1);
        dut.set("out_ready", 1);
        for n in 0..100u64 {
            dut.set("in_data", n.into());
            dut.eval();
            assert_eq!(dut.get("in_ready"), 1);
            if n >= latency {
                assert_eq!((dut.get("out_valid"), dut.get("out_data")), (1, (n - latency).into()));
            }
            dut.clock();
        }
    }
}

#[test]
fn reset_empties_it() {
    for (mut dut, _) in models() {
        dut.set("in_valid", 1);
        dut.clock_n(5);
        dut.set("in_valid", 0);
        dut.reset();
        assert_eq!((dut.get("out_valid"), dut.get("level"), dut.get("in_ready")), (0, 0, 1));
    }
}
