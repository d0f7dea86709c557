//! What the books say in a clock, and whether they may.

use azote_hdl::BigUint;
use azote_regs::clock;
use azote_regs::nvme::status;
use azote_rtl::storage::flight::books::{FRONT, READS, WRITER};

use super::commands::place;
use super::{ROWS, Request, SLOTS, Tag, World, is_aside, slot_of};
use crate::bench::{self, part};

impl World {
    pub fn look(&mut self) {
        self.verdict();
        let get = |port: &str| self.dut.get(port) as u64;
        let now = self.dut.clocks();
        // What is opened gets a tag that nobody has.
        let tag = get("tag");
        let taken = get("tag_take") == 1;
        let opened = [FRONT, READS, WRITER].map(|who| get(&format!("opened_{who}")) == 1);
        if taken {
            let (slot, aside) = self.shows;
            assert_eq!((get("tag_slot") as usize, get("tag_aside") == 1), self.shows, "it was not shown");
            let next = if aside { self.aside[slot].pop_first() } else { self.free[slot].pop_front() };
            assert_eq!(tag, next.expect("a tag is taken that is not there"));
        }
        self.shows = (get("tag_slot") as usize % SLOTS, get("tag_aside") == 1);
        if opened[FRONT] || opened[READS] {
            assert!(taken);
            let id = self.front.unwrap();
            let c = self.commands.get_mut(&id).unwrap();
            let piece = Tag { command: id, place: place(id, c.opened), again: false };
            assert!(self.tags.insert(tag, piece).is_none(), "a tag is out twice");
            assert_eq!((slot_of(tag), is_aside(tag)), (c.slot, c.aside));
            if c.opened == 0 {
                (c.first, c.begun) = (tag, now);
            }
            if opened[FRONT] {
                self.writer.push_back(id);
                self.front = None;
            } else {
                c.opened += 1;
                self.read = Some(tag);
            }
        }
        if opened[WRITER] {
            let id = *self.writer.front().unwrap();
            let c = self.commands.get_mut(&id).unwrap();
            assert_eq!(taken, c.opened != 0, "the first has the tag of its command");
            let spoilt = c.spoilt.is_some_and(|at| c.opened >= at);
            if taken {
                assert!(self.tags.insert(tag, Tag { command: id, place: BigUint::ZERO, again: false }).is_none());
            }
            assert_eq!(slot_of(tag), c.slot);
            c.opened += 1;
            if c.opened == c.pieces {
                self.writer.pop_front();
            }
            if spoilt {
                c.ends(&[status::DATA_TRANSFER]);
            } else {
                self.write = Some(Request { op: c.op, tag, fields: None, cancelled: false });
            }
        }
        let answer = self.answer.filter(|_| get("answer_ready") == 1);
        let hits = |valid: &str, ready: &str| self.dut.get(valid) == 1 && self.dut.get(ready) == 1;
        let got = hits("get_valid", "get_ready").then(|| get("get_tag"));
        let leaves = hits("left_valid", "left_ready");
        let frees = hits("tag_free", "tag_free_ready");
        let done = hits("done_valid", "done_ready");
        let pushes =
            (get("ready_push") == 1).then(|| (get("ready_slot") << 6 | get("ready_index"), get("ready_hole") == 1));
        let next = get("next_take") == 1;
        let piece = hits("piece_valid", "piece_ready").then(|| bench::get(&self.dut, "piece_data"));
        let page = get("page_ready") == 1;
        assert!(self.dut.get("piece_valid") == 0 || piece.is_some(), "a piece for which there is no room");
        if next {
            assert!(self.shown);
            self.ready.pop_front();
            self.shown = false;
        }
        self.ready.extend(pushes);
        if let Some(tag) = got {
            assert_eq!(self.calls.pop_front(), Some(tag), "calls are in the order of the pieces");
            assert!(self.held.remove(&tag), "data is called for that nobody has");
            self.called.insert(tag);
        }
        if let Some(data) = piece {
            let bits = |lo, n| part(&data, lo, n) as u64;
            let (tag, zeroes, dws, skip) = (bits(125, 12), bits(139, 1) == 1, bits(0, 11), bits(137, 2));
            if page {
                assert_eq!(Some(data), self.page.take());
                self.pages += 1;
            } else {
                let t = &self.tags[&tag];
                assert_eq!((bits(140, 1), skip), (0, 0));
                assert_eq!(part(&data, 0, 125), part(&t.place, 0, 125), "its data goes where it should");
                assert!(zeroes != self.held.contains(&tag), "a hole has no data, and all others have");
                if !zeroes {
                    self.calls.push_back(tag);
                }
            }
            let rows = (dws + skip).div_ceil(4);
            self.rows += if zeroes { 0 } else { rows };
            assert!(self.rows <= ROWS, "{} rows are called for", self.rows);
            self.mover.push_back((page, zeroes, tag, rows));
        }
        if leaves {
            let (tag, code) = self.left.pop_front().unwrap();
            let c = self.commands.get_mut(&self.tags[&tag].command).unwrap();
            c.ends(&[code]);
        }
        // The end of a command, and of tags.
        let closed = self.dut.get("closed") == 1;
        if frees {
            let tag = self.dut.get("tag_freed") as u64;
            let t = self.tags.remove(&tag).expect("a tag is given back twice");
            assert!(!self.under_way.contains_key(&tag), "a tag is free that was not answered");
            assert!(!self.mover.iter().any(|m| !m.0 && m.2 == tag) && !self.calls.contains(&tag));
            let slot = slot_of(tag) as usize;
            if is_aside(tag) {
                self.aside[slot].insert(tag);
            } else {
                self.free[slot].push_back(tag);
            }
            assert_eq!(closed, tag == self.commands[&t.command].first, "its first tag is its last");
            if closed {
                self.close(t.command, t.again, done);
            }
        } else {
            assert!(!closed && !done);
        }
        if let Some((tag, result)) = answer {
            self.answer = None;
            self.answered(tag, result);
        }
    }

    pub fn close(&mut self, id: u64, again: bool, done: bool) {
        let mut c = self.commands.remove(&id).unwrap();
        if again {
            // It was given up between two of its parts.
            let cancelled = c.cancelled();
            assert!(!cancelled.is_empty());
            c.ends(&cancelled);
        }
        let get = |port: &str| self.dut.get(port) as u64;
        assert_eq!((done, get("closed_own") == 1), (!c.own, c.own));
        let who = (get("done_slot"), get("done_qid"), get("done_cid"));
        assert_eq!(who, (c.slot, c.qid, c.cid));
        let code = get("done_code");
        assert!(c.codes.contains(&code), "ended with {code:x}: {c:?}");
        assert_eq!(get("closed_told") == 1, !self.shut.contains(&c.slot));
        let told = (get("closed_kind"), get("closed_blocks"), get("closed_lba"), get("closed_turn") == 1);
        assert_eq!(told, (c.kind, c.blocks, c.lba, c.turn));
        let time = (self.dut.clocks() - c.begun) / clock::MHZ;
        assert!(get("closed_time").abs_diff(time) <= 1, "{} microseconds for {time}", get("closed_time"));
        assert_eq!(c.opened, c.pieces, "it ended before its last piece began");
        // What was given up may have ended without a sign of it here.
        assert!(c.over == c.pieces || !c.cancelled().is_empty(), "it ended before its last piece did: {c:?}");
        self.asides += usize::from(c.aside && c.cancelled().contains(&code));
        *self.closed.entry(c.slot).or_default() += 1;
        self.last_code.insert(id, code);
    }
}
