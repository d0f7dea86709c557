//! What everybody says to the books in a clock.

use azote_regs::media;
use azote_regs::nvme::status;
use azote_rtl::storage::flight::books::{FRONT, READS, WRITER};
use rand::Rng;
use rand::seq::IteratorRandom;

use super::commands::place;
use super::{Request, SLOTS, World, slot_of};
use crate::bench::{self, cat};

impl World {
    pub fn drive(&mut self) {
        for port in ["get_ready", "done_ready", "tag_free_ready", "allowed"] {
            let set = self.chance() && !(self.limited && port == "allowed");
            self.dut.set(port, set.into());
        }
        let full = self.rng.random_ratio(1, 10);
        self.dut.set("log_full", full.into());
        let (slot, aside) = self.shows;
        let tag = if aside { self.aside[slot].first() } else { self.free[slot].front() };
        self.dut.set("tag_next", tag.copied().unwrap_or(0).into());
        // The front, the reads.
        for who in [FRONT, READS, WRITER] {
            self.dut.set(&format!("open_{who}"), 0);
        }
        if let Some(id) = self.front {
            let c = &self.commands[&id];
            let reads = c.op == media::READ;
            self.dut.set(&format!("open_{}", if reads { READS } else { FRONT }), self.read.is_none().into());
            for (port, v) in [
                ("slot", c.slot),
                ("qid", c.qid),
                ("cid", c.cid),
                ("pieces", c.pieces as u64),
                ("kind", c.kind),
                ("blocks", c.blocks),
                ("lba", c.lba),
                ("turn", c.turn.into()),
                ("own", c.own.into()),
                ("aside", c.aside.into()),
                ("read_first", (c.opened == 0).into()),
                ("read_cmd", c.first),
            ] {
                self.dut.set(port, v.into());
            }
        }
        // Where a piece goes follows from its number.
        if let Some(id) = self.front {
            let place = place(id, self.commands[&id].opened);
            bench::set(&mut self.dut, "read_place", &place);
        }
        // The writer.
        if self.write.is_none()
            && self.spoilt.is_none()
            && let Some(id) = self.writer.front()
        {
            let c = &self.commands[id];
            self.dut.set(&format!("open_{WRITER}"), 1);
            let spoilt = c.spoilt.is_some_and(|at| c.opened >= at);
            for (port, v) in [
                ("write_first", (c.opened == 0).into()),
                ("write_cmd", c.first),
                ("write_op", c.op),
                ("write_code", if spoilt { status::DATA_TRANSFER } else { 0 }),
                ("write_fua", c.fua.into()),
                ("write_volume", c.volume),
                ("write_lba", c.at),
                ("write_left", c.left),
            ] {
                self.dut.set(port, v.into());
            }
        }
        // What they ask for stands.
        for (i, tag) in [self.read, self.write.as_ref().map(|r| r.tag)].into_iter().enumerate() {
            self.dut.set(&format!("asks_{i}"), tag.is_some().into());
            self.dut.set(&format!("asks_tag_{i}"), tag.unwrap_or(0).into());
        }
        // The medium.
        if self.answer.is_none() && self.rng.random_ratio(self.answers, 100) {
            let spoilt = self.spoilt.as_ref().map(|s| s.request.tag);
            let may = |r: &&Request| spoilt != Some(r.tag) && (r.cancelled || !self.stuck.contains(&slot_of(r.tag)));
            let chosen = self.under_way.values().filter(may).choose(&mut self.rng).cloned();
            self.answer = chosen.map(|r| (r.tag, self.result(&r)));
        }
        // It answers at once what it was told is spoilt, whether it was cancelled or its volume is dead.
        let redo = self.spoilt.as_ref().map_or(self.rng.random(), |s| s.redo);
        self.dut.set("write_redo", redo.into());
        if let Some(s) = &mut self.spoilt {
            s.after = s.after.saturating_sub(1);
            if s.after == 0 && self.answer.is_none() && self.verdict.is_none() {
                self.answer = Some((s.request.tag, media::SPOILT));
            }
        }
        self.dut.set("answer_valid", self.answer.is_some().into());
        let (tag, result) = self.answer.unwrap_or((0, 0));
        self.dut.set("answer_tag", tag.into());
        self.dut.set("answer_result", result.into());
        self.dut.set("media_ready", 0);
        // Whose data is next; the mover.
        if !self.shown && !self.ready.is_empty() && self.chance() {
            // Functions take turns.
            self.last = (1..=SLOTS as u64).map(|i| (self.last + i) % SLOTS as u64).find(|s| self.is_ready(*s)).unwrap();
            let at = self.ready.iter().position(|(tag, _)| tag >> 6 == self.last).unwrap();
            let next = self.ready.remove(at).unwrap();
            self.ready.push_front(next);
            self.shown = true;
        }
        let (tag, hole) = self.ready.front().copied().unwrap_or((0, false));
        for (port, v) in [
            ("next_valid", self.shown.into()),
            ("next_slot", tag >> 6),
            ("next_index", tag & 63),
            ("next_hole", hole.into()),
            ("next_idle", self.ready.is_empty().into()),
            ("piece_ready", (self.mover.len() < 4).into()),
        ] {
            self.dut.set(port, v.into());
        }
        if self.page.is_none() && self.rng.random_ratio(1, 100) {
            let zeroes: bool = self.rng.random_ratio(1, 3);
            let most = if self.rng.random_ratio(1, 4) { 1024 } else { 64 };
            let dws = self.rng.random_range(1..=most);
            let skip = if zeroes { 0 } else { self.rng.random_range(0..4) };
            let place = self.rng.random::<u64>().into();
            self.page = Some(cat(&[(1, 1), (zeroes.into(), 1), (skip, 2), (0, 12), (place, 114), (dws, 11)]));
        }
        self.dut.set("page_valid", self.page.is_some().into());
        if let Some(page) = &self.page {
            bench::set(&mut self.dut, "page_piece", page);
        }
        self.dut.set("drained", 0);
        if let Some((page, zeroes, tag, rows)) = self.mover.front_mut()
            && (*page || *zeroes || self.called.contains(tag))
            && self.rng.random_ratio(self.percent, 100)
        {
            if *rows > 0 {
                *rows -= 1;
                self.dut.set("drained", (!*zeroes).into());
                self.rows -= u64::from(!*zeroes);
            } else {
                if !*page {
                    let code = if self.rng.random_ratio(1, 20) { status::DATA_TRANSFER } else { status::SUCCESS };
                    self.left.push_back((*tag, code));
                    self.called.remove(tag);
                }
                self.mover.pop_front();
            }
        }
        self.dut.set("left_valid", (!self.left.is_empty()).into());
        let (tag, code) = self.left.front().copied().unwrap_or((0, 0));
        self.dut.set("left_tag", tag.into());
        self.dut.set("left_code", code.into());
        self.beat();
        self.dut.eval();
        // The port, behind everybody.
        self.request();
        self.stall = if self.rng.random_ratio(1, 500) { 200 } else { self.stall.saturating_sub(1) };
        if self.port.is_some() && self.stall == 0 && self.chance() {
            let (who, r) = self.port.take().unwrap();
            self.dut.set("media_ready", (who == FRONT).into());
            self.take(who, r);
        }
    }

    /// Has everything come at the same clock of four, and pages in all others, so that the books are never without work.
    fn beat(&mut self) {
        let Some(from) = self.beat else { return };
        if (self.dut.clocks() - from) % 4 == 3 {
            self.dut.set("page_valid", 0);
            return;
        }
        for port in ["open_0", "open_1", "open_2", "answer_valid", "left_valid", "next_valid"] {
            self.dut.set(port, 0);
        }
        self.dut.set("piece_ready", 1);
        let page = self.page.get_or_insert_with(|| cat(&[(1, 1), (1, 1), (0, 127), (1, 12)]));
        bench::set(&mut self.dut, "page_piece", page);
        self.dut.set("page_valid", 1);
    }

    pub fn is_ready(&self, slot: u64) -> bool {
        self.ready.iter().any(|(tag, _)| tag >> 6 == slot)
    }
}
