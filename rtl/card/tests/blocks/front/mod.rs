//! The front: random commands against the order of checks written down in Rust; each goes one way and no other.

mod commands;
mod expected;
mod world;

use std::collections::VecDeque;

use azote_regs::media;
use azote_regs::nvme::status;
use azote_rtl::storage::terms::Next;
use azote_verilate::Dut;
use rand::Rng;
use rand::seq::IndexedRandom;

use self::commands::{Command, Volume, random};
use self::expected::{Made, Outcome, expected, expected_admin};
use self::world::World;
use crate::bench;

const NOTHING: Made = Made { next: 0, status: 0, dw0: 0, dws: 0, location: 0 };

#[test]
fn every_command_passes_the_checks_in_their_order_and_goes_one_way() {
    let mut w = World::new(11);
    let (mut refused, mut reads, mut writes) = (0, 0, 0usize);
    for _ in 0..4000 {
        let v = Volume::random(&mut w.rng);
        let c = random(&mut w.rng, &v);
        let want = expected(&c, &v);
        refused += u32::from(want.done.is_some());
        reads += u32::from(!want.pieces.is_empty());
        writes += usize::from(want.writer.is_some());
        assert_eq!(w.run(&c, &v, &NOTHING, false), want, "{c:?} on {v:?}");
    }
    assert!(refused > 1000 && reads > 200 && writes > 1000, "{refused} were refused, {reads} and {writes} started");
    assert!(w.at_once > 300 && w.at_once + 300 < writes, "{} of {writes} were the writer's with their tag", w.at_once);
    assert!(w.given_back > 50, "{} were wrong after their tags were told", w.given_back);
}

#[test]
fn an_admin_command_goes_where_admin_says() {
    let mut w = World::new(13);
    for _ in 0..2000 {
        let v = Volume::random(&mut w.rng);
        let c = Command { qid: 0, opcode: w.rng.random_range(0..256), ..random(&mut w.rng, &v) };
        let next = *[Next::COMPLETE, Next::PAGE, Next::HOLD, Next::ERASE, Next::KEEP].choose(&mut w.rng).unwrap();
        let plain = [Next::COMPLETE, Next::HOLD].contains(&next);
        let code = *[status::SUCCESS, status::INVALID_FIELD, status::INVALID_QID].choose(&mut w.rng).unwrap();
        let made = Made {
            next,
            status: if plain { code } else { status::SUCCESS },
            dw0: w.rng.random::<u32>().into(),
            dws: if next == Next::PAGE { w.rng.random_range(1..=1024) } else { 0 },
            location: w.rng.random_range(0..0x1_0000),
        };
        let mut got = w.run(&c, &v, &made, false);
        let want = expected_admin(&c, &v, &made);
        if next == Next::ERASE {
            // What an admin command pays is nobody's trouble.
            got.paid = want.paid;
        }
        assert_eq!(got, want, "{c:?}, {made:?} on {v:?}");
    }
}

#[test]
fn an_entry_that_could_not_be_read_is_fatal_and_released() {
    let mut w = World::new(12);
    for _ in 0..100 {
        let v = Volume::random(&mut w.rng);
        let mut c = random(&mut w.rng, &v);
        if w.rng.random() {
            c.qid = 0;
        }
        let want = Outcome {
            fatal: true,
            done: Some((status::SUCCESS, 0, true)),
            settled: Some((c.qid == 0, 0)),
            ..Outcome::default()
        };
        assert_eq!(w.run(&c, &v, &NOTHING, true), want);
    }
}

#[test]
fn a_function_that_shuts_down_has_its_volume_flushed_before_the_next_command() {
    let mut w = World::new(14);
    for round in 0..40u64 {
        let v = Volume { bound: round % 2 == 0, ..Volume::random(&mut w.rng) };
        let slot = w.rng.random_range(0..61);
        w.dut.set("flush", 1);
        w.dut.set("flush_slot", slot);
        // The next command stands already.
        w.dut.set("sqe_valid", 1);
        w.dut.set("sqe_slot", 62);
        let mut slots = VecDeque::from([64, 64]);
        let (mut heard, mut judged, mut used, mut own, mut tag, mut over) = (None, false, 0, 0, 0, false);
        let mut asked = false;
        for clock in 0.. {
            assert!(clock < 200, "stuck");
            let shown = if slots.pop_front() == Some(slot) && !judged { v } else { Volume::random(&mut w.rng) };
            bench::set(&mut w.dut, "binding", &shown.bits());
            w.dut.set("wr_ready", u128::from(w.rng.random_bool(0.3)));
            w.dut.set("began", 0);
            w.dut.eval();
            let get = |dut: &Dut, port: &str| dut.get(port) as u64;
            let begins = w.dut.get("begins") == 1;
            let began = begins && asked && w.rng.random_bool(0.3);
            asked = begins && !began;
            if began {
                tag = w.rng.random_range(0..4096);
                w.dut.set("began", 1);
                w.dut.set("tag", tag.into());
                assert_eq!((get(&w.dut, "pieces"), get(&w.dut, "aside"), get(&w.dut, "wr_own")), (1, 1, 1));
                assert_eq!(get(&w.dut, "turn") == 1, v.turn);
            }
            w.dut.eval();
            used += w.dut.get("uses");
            own += w.dut.get("takes_own");
            if w.dut.get("flush_taken") == 1 {
                assert!(heard.is_none(), "taken twice");
                heard = Some(w.dut.get("unbound") == 1);
                judged = true;
            }
            if w.dut.get("wr_valid") == 1 && w.dut.get("wr_ready") == 1 {
                assert_eq!((get(&w.dut, "wr_op"), get(&w.dut, "begun_tag")), (media::FLUSH, tag));
                assert_eq!((w.dut.get("slot"), get(&w.dut, "media_volume")), (slot, v.id));
                over = true;
            }
            over |= heard == Some(true);
            let quiet = ["opens", "done_valid", "failed", "settle", "pays", "unuses", "sqe_take", "count"];
            assert!(quiet.iter().all(|port| w.dut.get(port) == 0), "it is no command of the host's");
            slots.push_back(w.dut.get("slot"));
            w.dut.clock();
            if heard.is_some() {
                w.dut.set("flush", 0);
            }
            if over {
                break;
            }
        }
        assert_eq!((heard, used, own), (Some(!v.bound), u128::from(v.bound), u128::from(v.bound)));
        // And the next is none the worse.
        let v = Volume::random(&mut w.rng);
        let c = random(&mut w.rng, &v);
        assert_eq!(w.run(&c, &v, &NOTHING, false), expected(&c, &v));
    }
}
