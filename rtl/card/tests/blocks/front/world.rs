//! The front's neighbours, who do what a command needs and look whether it does what it may.

use std::collections::VecDeque;

use azote_rtl::storage::flight::tags::LARGEST;
use azote_rtl::storage::front::Front;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use super::commands::{Command, Volume, quads, row};
use super::expected::{Made, Outcome};
use crate::bench::{self, part};

/// The front among them.
pub struct World {
    pub dut: Dut,
    pub rng: SmallRng,
    /// When something was told to the tags last.
    told: u64,
    /// Commands that were the writer's in the clock in which they had their tag; whose tags were told too early and given back.
    pub at_once: usize,
    pub given_back: usize,
}

impl World {
    pub fn new(seed: u64) -> World {
        let dut = bench::build("front", Front::default);
        World { dut, rng: bench::rng(seed), told: 0, at_once: 0, given_back: 0 }
    }

    /// What becomes of a command of these, its function's binding being another as soon as it was looked at.
    pub fn run(&mut self, c: &Command, v: &Volume, made: &Made, failed: bool) -> Outcome {
        let (dut, rng) = (&mut self.dut, &mut self.rng);
        let mut out = Outcome::default();
        let inputs = [
            ("sqe_valid", 1),
            ("sqe_failed", failed.into()),
            ("sqe_place", c.place),
            ("sqe_slot", c.slot),
            ("sqe_qid", c.qid),
            ("through", v.through.into()),
            ("command_next", made.next),
            ("command_status", made.status),
            ("command_dw0", made.dw0),
            ("command_dws", made.dws),
            ("command_location", made.location),
        ];
        for (port, value) in inputs {
            dut.set(port, value.into());
        }
        // The binding comes two clocks after its slot.
        let mut slots = VecDeque::from([64, 64]);
        let (mut row_data, mut taken, mut judged) = (0, false, false);
        let (mut uses, mut unuses, mut tag, mut pieces) = (0, 0, None, 0);
        // It asks for its tag since a clock before this; what was told of how many it leaves of those that were put aside.
        let (mut asked, mut leaves) = (false, Vec::new());
        // A controller stands that cannot go on.
        let mut stuck = false;
        for _ in 0..2000 {
            let shown = if slots.pop_front() == Some(c.slot) && !judged { *v } else { Volume::random(rng) };
            bench::set(dut, "binding", &shown.bits());
            dut.set("row_data", row_data);
            for port in ["piece_ready", "wr_ready", "seg_ready", "done_ready"] {
                dut.set(port, u128::from(rng.random_bool(0.6)));
            }
            // The registers answer in the clock after they were told at the earliest.
            let ready = stuck && rng.random_bool(0.6);
            dut.set("fatal_ready", ready.into());
            dut.set("began", 0);
            dut.set("command_done", 0);
            dut.eval();
            let hit = |dut: &Dut, valid: &str, ready: &str| dut.get(valid) == 1 && dut.get(ready) == 1;
            let get = |dut: &Dut, port: &str| dut.get(port) as u64;
            let begins = dut.get("begins") == 1;
            assert!(begins || !asked, "it does not wait for its tag");
            // The books answer in the clock after it is asked for at the earliest.
            let began = begins && asked && rng.random_bool(0.5);
            if began {
                assert!(tag.is_none(), "a command begins twice");
                tag = Some(rng.random_range(0..4096u64));
                dut.set("began", 1);
                dut.set("tag", tag.unwrap().into());
                assert_eq!(get(dut, "turn") == 1, v.turn, "it is over for the binding that it was judged by");
                assert_eq!(get(dut, "wr_own"), 0);
                out.begun = Some((get(dut, "pieces"), dut.get("aside") == 1));
            }
            if dut.get("command_start") == 1 {
                assert_eq!(c.qid, 0, "no admin command");
                let dws = [
                    "command_cdw0",
                    "command_nsid",
                    "command_cdw10",
                    "command_cdw11",
                    "command_cdw12",
                    "command_cdw13",
                ]
                .map(|port| get(dut, port));
                let quads = quads(c);
                let low = |quad: u64| quad & 0xffff_ffff;
                assert_eq!(dws[..2], [low(quads[0]), quads[0] >> 32]);
                assert_eq!(dws[2..], [low(quads[5]), quads[5] >> 32, low(quads[6]), quads[6] >> 32]);
                assert_eq!(get(dut, "command_prp1"), c.prp1);
                let seen =
                    ["command_bound", "command_read_only", "command_tiny", "turn"].map(|port| dut.get(port) == 1);
                assert_eq!(seen, [v.bound, v.read_only, v.length < 8, v.turn]);
                dut.set("command_done", u128::from(rng.random_bool(0.2)));
            }
            dut.eval();
            taken |= dut.get("sqe_take") == 1;
            let turn = if dut.get("uses") == 1 { shown.turn } else { dut.get("turn") == 1 };
            assert!(dut.get("uses") + dut.get("unuses") == 0 || turn == v.turn, "counted as the binding's own");
            uses += dut.get("uses");
            unuses += dut.get("unuses");
            judged |= dut.get("uses") == 1;
            assert!(uses <= 1 && unuses <= uses && dut.get("takes_own") + dut.get("unbound") == 0);
            if hit(dut, "done_valid", "done_ready") {
                assert!(out.done.is_none());
                out.done = Some((get(dut, "done_status"), get(dut, "done_dw0"), dut.get("done_release") == 1));
            }
            if c.qid != 0 && (begins || dut.get("piece_valid") == 1) {
                assert!(!leaves.is_empty(), "what it needs is told before it begins");
            }
            if dut.get("settle") == 1 {
                assert!(dut.clocks() - self.told >= 4, "told twice within four clocks");
                self.told = dut.clocks();
                let admin = dut.get("settle_admin") == 1;
                let aside = if admin { 1 } else { LARGEST };
                leaves.push(aside.checked_sub(get(dut, "settle_count")).expect("more than was put aside"));
                let left = aside.checked_sub(leaves.iter().sum()).expect("more is given back than was put aside");
                assert!(out.settled.is_none_or(|s| s.0 == admin));
                out.settled = Some((admin, left));
            }
            if dut.get("pays") == 1 {
                assert!(out.paid.is_none());
                out.paid = Some(get(dut, "pays_blocks"));
            }
            if dut.get("opens") == 1 {
                assert!(out.opened.is_none());
                out.opened = Some((get(dut, "kind"), get(dut, "lba")));
            }
            if dut.get("count") == 1 {
                assert!(out.counted.is_none());
                out.counted = Some((dut.get("count_write") == 1, get(dut, "count_blocks")));
            }
            if dut.get("failed") == 1 {
                assert!(out.refused.is_none());
                out.refused = Some((get(dut, "failed_location"), get(dut, "failed_lba")));
            }
            let volume =
                (dut.get("media_fua") == 1, get(dut, "media_volume"), get(dut, "media_lba"), get(dut, "media_blocks"));
            if hit(dut, "wr_valid", "wr_ready") {
                assert!(out.writer.is_none());
                assert_eq!(Some(get(dut, "begun_tag")), tag, "its tag goes with it");
                self.at_once += usize::from(began);
                (out.writer, out.media) = (Some(get(dut, "wr_op")), Some(volume));
                assert_eq!(dut.get("wr_big") == 1, v.big);
            }
            let who = (get(dut, "slot"), get(dut, "qid"), get(dut, "cid"));
            if hit(dut, "piece_valid", "piece_ready") {
                assert_eq!(who, (c.slot, c.qid, c.cid), "pieces carry their command");
                assert!(out.writer.is_none());
                let page = dut.get("to_page") == 1;
                if !page {
                    assert!(out.media.is_none_or(|m| m == volume), "all pieces of a command are of one place");
                    assert_eq!(get(dut, "turn") == 1, v.turn);
                    // The books hear the rest with the first piece.
                    out.media = Some(volume);
                    out.begun = Some((get(dut, "pieces"), dut.get("aside") == 1));
                }
                let [first, second, at, dws] = [(73, 52), (21, 52), (11, 10), (0, 11)]
                    .map(|(lo, n)| part(&bench::get(dut, "piece"), lo, n) as u64);
                out.pieces.push((first, (at + dws > 1024).then_some(second), at, dws));
                out.page = page;
                assert_eq!(dut.get("piece_first") == 1, pieces == 0);
                pieces += dws;
                let whole = if page { made.dws } else { 128 * volume.3 };
                assert_eq!(dut.get("piece_last") == 1, pieces == whole);
            }
            if hit(dut, "seg_valid", "seg_ready") {
                assert_eq!(who, (c.slot, c.qid, c.cid));
                assert!(out.writer.is_some(), "a segment before its command");
                out.segments.push((get(dut, "seg_address"), get(dut, "seg_dws"), dut.get("seg_last") == 1));
            }
            out.fatal |= hit(dut, "fatal", "fatal_ready");
            assert_eq!(dut.get("rd_valid"), 0, "two pages need no list");
            row_data = row(c, get(dut, "row"));
            slots.push_back(who.0);
            asked = begins && !began;
            stuck = dut.get("fatal") == 1;
            dut.clock();
            if taken {
                dut.set("sqe_valid", 0);
                dut.eval();
                if dut.get("busy") == 0 {
                    out.used = uses != unuses;
                    self.given_back += usize::from(leaves.len() > 1);
                    return out;
                }
            }
        }
        panic!("{c:?} did not end: {out:?}");
    }
}
