//! Commands, and what they may end with.

use std::collections::BTreeSet;

use azote_hdl::BigUint;
use azote_regs::media;
use azote_regs::nvme::status;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::{Command, World};
use crate::bench::cat;

impl Command {
    pub fn fault(&self) -> u64 {
        let reads = [media::READ, media::VERIFY, media::COMPARE].contains(&self.op);
        if reads { status::UNRECOVERED_READ } else { status::WRITE_FAULT }
    }

    pub fn cancelled(&self) -> Vec<u64> {
        let abort = self.aborted.then_some(status::ABORT_REQUESTED);
        abort.into_iter().chain((self.shut || self.late).then_some(self.fault())).collect()
    }

    /// A piece of it came to one of these: the first that is wrong counts.
    pub fn ends(&mut self, codes: &[u64]) {
        if self.codes.remove(&status::SUCCESS) {
            self.codes.extend(codes);
        }
        self.over += 1;
    }
}

impl World {
    /// The front has a new command, if it has none and there are tags.
    pub fn begin(&mut self, slot: u64, op: u64) -> Option<u64> {
        let rng = &mut self.rng;
        let data = [media::READ, media::WRITE, media::COMPARE].contains(&op);
        let most = if rng.random_ratio(1, 10) { 32 } else { 6 };
        let pieces = if data { rng.random_range(1..=most) } else { 1 };
        let begun = |c: &&Command| c.slot == slot && !c.aside && c.opened < c.pieces;
        let owed: usize = self.commands.values().filter(begun).map(|c| c.pieces).sum();
        // What a function's last flush and its admin commands need is set aside.
        let own = op == media::FLUSH && rng.random_ratio(1, 3);
        let admin = op == media::DEALLOCATE && rng.random();
        let aside = own || admin;
        let there =
            if aside { !self.aside[slot as usize].is_empty() } else { self.free[slot as usize].len() >= owed + pieces };
        if self.front.is_some() || !there {
            return None;
        }
        let long = [media::ZEROES, media::VERIFY].contains(&op);
        self.next += 1;
        // A flush of the card's own has no name, and what stands there may be another's.
        let mut admins = self.commands.values().filter(|c| c.slot == slot && c.qid == 0).map(|c| c.cid);
        let cid = admins.next_back().filter(|_| own).unwrap_or(self.next & 0xffff);
        let command = Command {
            slot,
            qid: if aside { 0 } else { rng.random_range(1..8) },
            cid,
            op,
            pieces,
            kind: rng.random_range(0..3),
            blocks: rng.random_range(0..512),
            lba: rng.random_range(0..1 << 48),
            turn: rng.random(),
            own,
            aside,
            fua: rng.random(),
            volume: rng.random_range(0..256),
            at: rng.random_range(0..1 << 40),
            left: if long { rng.random_range(1..4 * media::LONG_BLOCKS) } else { rng.random_range(0..8) },
            spoilt: (data && op != media::READ && rng.random_ratio(1, 6)).then(|| rng.random_range(0..pieces)),
            first: 0,
            opened: 0,
            over: 0,
            codes: BTreeSet::from([status::SUCCESS]),
            aborted: false,
            shut: self.shut.contains(&slot),
            late: self.limits[slot as usize] != 0,
            begun: 0,
        };
        self.commands.insert(self.next, command);
        self.front = Some(self.next);
        Some(self.next)
    }

    pub fn some(&mut self) -> u64 {
        *[
            media::READ,
            media::READ,
            media::READ,
            media::WRITE,
            media::COMPARE,
            media::FLUSH,
            media::ZEROES,
            media::VERIFY,
            media::DEALLOCATE,
            media::DEALLOCATE,
            media::RANGES,
        ]
        .choose(&mut self.rng)
        .unwrap()
    }
}

/// Where piece `n` of a command goes: the DWs are 1 to 1024.
pub fn place(id: u64, n: usize) -> BigUint {
    let most = if id.is_multiple_of(4) { 1024 } else { 64 };
    let dws = 1 + (id * 37 + n as u64 * 331) % most;
    cat(&[(id.into(), 52), ((n as u128), 52), ((id % 1024).into(), 10), (dws.into(), 11)])
}
