//! The statistics of volumes against a plain count: every command in its bin, every binding anew.

use std::collections::VecDeque;

use azote_regs::nvme::volume;
use azote_rtl::storage::records::volume::{Volume, Word};
use azote_rtl::storage::terms::Kind;
use azote_verilate::Dut;
use rand::Rng;

use crate::bench;

const VFS: u64 = 4;

fn word(dut: &mut Dut, slot: u64, index: u64) -> u64 {
    dut.set("ask", 1);
    dut.set("slot", slot.into());
    dut.set("index", index.into());
    for _ in 0..2000 {
        dut.eval();
        let ack = dut.get("ack") == 1;
        let word = dut.get("word") as u64;
        dut.clock();
        if ack {
            dut.set("ask", 0);
            dut.clock();
            return word;
        }
    }
    panic!("no answer");
}

fn bin(time: u64) -> u64 {
    (0..volume::BINS).find(|b| (volume::lower(*b)..volume::upper(*b)).contains(&time)).unwrap()
}

#[test]
fn every_command_is_counted_once_and_where_it_belongs() {
    let mut dut = bench::build("volume", || Volume::new(VFS as usize));
    let mut rng = bench::rng(1);
    bench::settle(&mut dut, "busy");
    let mut rows = vec![[0u64; 64]; VFS as usize + 1];
    let mut open: Vec<VecDeque<u64>> = vec![VecDeque::new(); VFS as usize + 1];
    for round in 0..6000 {
        let slot = rng.random_range(0..=VFS) as usize;
        let kind = [Kind::OTHER, Kind::READ, Kind::WRITE][rng.random_range(0..3)];
        if rng.random() {
            for (port, v) in [("opens", 1), ("opens_slot", slot as u64), ("opens_kind", kind)] {
                dut.set(port, v.into());
            }
            if kind != Kind::OTHER {
                rows[slot][Word::QUEUE as usize] += 1;
            }
            open[slot].push_back(kind);
        }
        dut.clock();
        dut.set("opens", 0);
        let slot = rng.random_range(0..=VFS) as usize;
        if rng.random()
            && let Some(kind) = open[slot].pop_front()
        {
            let time = rng.random::<u64>() >> rng.random_range(40..64);
            let (blocks, good) = (rng.random_range(1..=256u64), !rng.random_ratio(1, 5));
            for (field, v) in
                [("slot", slot as u64), ("kind", kind), ("blocks", blocks), ("time", time), ("good", good.into())]
            {
                dut.set(&format!("closes_{field}"), v.into());
            }
            dut.set("closes", 1);
            if kind != Kind::OTHER {
                let row = &mut rows[slot];
                row[Word::QUEUE as usize] -= 1;
                let side = usize::from(kind == Kind::WRITE);
                if good {
                    row[Word::READ_OPS as usize + side] += 1;
                    row[Word::READ_BYTES as usize + side] += 512 * blocks;
                    row[Word::READ_TIME as usize + side] += time;
                    row[[Word::READ_BINS, Word::WRITE_BINS][side] as usize + bin(time) as usize] += 1;
                }
            }
        }
        dut.clock();
        dut.set("closes", 0);
        if rng.random_ratio(1, 3) {
            let slot = rng.random_range(0..=VFS) as usize;
            let (time, commands, blocks) = (rng.random_range(50..53u64), rng.random::<bool>(), rng.random::<bool>());
            for (field, v) in
                [("slot", slot as u64), ("time", time), ("commands", commands.into()), ("blocks", blocks.into())]
            {
                dut.set(&format!("held_{field}"), v.into());
            }
            dut.set("held", 1);
            rows[slot][Word::OVER_COMMANDS as usize] += if commands { time } else { 0 };
            rows[slot][Word::OVER_BLOCKS as usize] += if blocks { time } else { 0 };
        }
        dut.clock();
        dut.set("held", 0);
        dut.clock_n(30);
        if rng.random_ratio(1, 200) {
            // Another binding: all is forgotten but what is under way.
            let slot = rng.random_range(0..=VFS) as usize;
            dut.set("changed", 1);
            dut.set("changed_slot", slot as u128);
            dut.clock();
            dut.set("changed", 0);
            dut.clock_n(80);
            let queue = rows[slot][Word::QUEUE as usize];
            rows[slot] = [0; 64];
            rows[slot][Word::QUEUE as usize] = queue;
        }
        if round % 500 == 499 {
            for (slot, row) in rows.iter().enumerate() {
                for (index, wanted) in row.iter().enumerate() {
                    assert_eq!(word(&mut dut, slot as u64, index as u64), *wanted, "slot {slot} word {index}");
                }
            }
        }
    }
}

#[test]
fn a_burst_of_ends_is_counted_whole_while_a_page_is_read() {
    let mut dut = bench::build("volume", || Volume::new(VFS as usize));
    bench::settle(&mut dut, "busy");
    // As the poster can tell them, every four clocks, as many as can be under way.
    dut.set("ask", 1);
    for (port, v) in [("closes_kind", Kind::READ), ("closes_blocks", 8), ("closes_time", 3), ("closes_good", 1)] {
        dut.set(port, v.into());
    }
    for i in 0..60 {
        dut.set("closes", 1);
        dut.clock();
        dut.set("closes", 0);
        dut.clock_n(3 + i % 2);
    }
    dut.clock_n(1000);
    assert_eq!(word(&mut dut, 0, Word::READ_OPS), 60);
    assert_eq!(word(&mut dut, 0, Word::READ_BINS + bin(3)), 60);
}
