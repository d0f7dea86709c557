//! The skid buffer: nothing lost, every output a register, one word a clock.

use std::collections::VecDeque;

use azote_rtl::parts::Skid;
use azote_verilate::Dut;
use rand::Rng;

use crate::bench::{self, Feed, Sink};

fn dut() -> Dut {
    bench::build("skid", Skid::<20>::default)
}

#[test]
fn every_word_comes_out_once_and_in_order() {
    let mut dut = dut();
    let mut rng = bench::rng(1);
    let (mut feed, mut sink) = (Feed::new("in_", 60), Sink::new("out_", 60));
    let mut inside = VecDeque::new();
    for _ in 0..5000 {
        if feed.items.is_empty() {
            feed.push("data", rng.random_range(0..1u32 << 20).into());
        }
        feed.drive(&mut dut, &mut rng);
        sink.drive(&mut dut, &mut rng);
        dut.eval();
        if let Some(word) = sink.taken(&dut, "data") {
            assert_eq!(Some(word), inside.pop_front());
        }
        if let Some(mut item) = feed.taken(&dut) {
            inside.push_back(item.remove(0).1);
        }
        assert!(inside.len() <= 2);
        dut.clock();
    }
}

#[test]
fn no_input_reaches_an_output_in_its_own_clock() {
    let mut dut = dut();
    let mut rng = bench::rng(2);
    for _ in 0..1000 {
        let seen = |dut: &Dut| (dut.get("in_ready"), dut.get("out_valid"), dut.get("out_data"));
        dut.eval();
        let before = seen(&dut);
        dut.set("in_valid", rng.random_range(0..2));
        dut.set("in_data", rng.random_range(0..1 << 20));
        dut.set("out_ready", rng.random_range(0..2));
        dut.eval();
        assert_eq!(seen(&dut), before);
        dut.clock();
    }
}

#[test]
fn one_word_a_clock_goes_through() {
    let mut dut = dut();
    dut.set("in_valid", 1);
    dut.set("out_ready", 1);
    for n in 0..100u128 {
        dut.set("in_data", n);
        dut.eval();
        assert_eq!(dut.get("in_ready"), 1);
        if n > 0 {
            assert_eq!((dut.get("out_valid"), dut.get("out_data")), (1, n - 1));
        }
        dut.clock();
    }
}
