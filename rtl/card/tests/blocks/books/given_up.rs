//! What is given up: by an Abort, by a time-out, and not while it waits for its own limits.

use std::collections::HashSet;

use azote_regs::media;
use azote_regs::nvme::status;
use rand::Rng;
use rand::seq::IteratorRandom;

use super::{Command, MS, SLOTS, World};

#[test]
fn an_abort_ends_the_command_that_it_names_and_no_other() {
    let mut w = World::new(3);
    let (mut hits, mut misses, mut admin) = (0, 0, 0);
    for round in 0..240 {
        (w.percent, w.answers) = [(100, 30), (60, 10), (30, 10)][round % 3];
        let slot = w.rng.random_range(0..SLOTS as u64);
        let stuck = w.rng.random();
        if stuck {
            w.stuck.insert(slot);
        }
        w.load(1000);
        // The front has no command when an Abort is in it.
        while w.front.is_some() {
            w.clock();
        }
        let of_admin: bool = w.rng.random();
        let mine = |(_, c): &(&u64, &Command)| c.slot == slot && !c.own && (c.qid == 0) == of_admin;
        let chosen = w.commands.iter().filter(mine).map(|(id, c)| (*id, c.qid, c.cid)).choose(&mut w.rng);
        let Some((id, qid, cid)) = chosen else { continue };
        if w.rng.random_ratio(1, 4) {
            assert!(!w.abort(slot, qid, cid ^ 0x8000), "nobody was named");
            misses += 1;
        }
        let asked = w.commands.get(&id).is_some_and(|c| !w.writer.contains(&id) && c.opened == c.pieces);
        let spoilt = w.spoilt.as_ref().is_some_and(|s| s.command == id);
        let waits = asked && stuck && !spoilt && w.under_way.values().any(|r| w.tags[&r.tag].command == id);
        let before = w.cancels;
        let hit = w.abort(slot, qid, cid);
        assert!(hit || !waits, "it was at a medium that does not answer");
        if waits {
            let mut clocks = 0;
            while w.commands.contains_key(&id) {
                w.load(1);
                clocks += 1;
                let at: Vec<_> = w.under_way.values().filter(|r| w.tags[&r.tag].command == id).collect();
                assert!(clocks < 100_000, "what was aborted does not end: {:?} {at:?}", w.commands[&id]);
            }
            assert!(w.cancels > before);
            hits += 1;
            admin += usize::from(qid == 0);
        }
        if !hit && let Some(c) = w.commands.get_mut(&id) {
            // It goes on as if nothing had been said.
            c.aborted = false;
        }
        w.stuck.clear();
    }
    w.drain();
    let aborted = w.last_code.values().filter(|code| **code == status::ABORT_REQUESTED).count();
    assert!(hits > 8 && misses > 8 && aborted > 8 && admin > 4, "{hits} {misses} {aborted} {admin}");
}

#[test]
fn what_waits_for_longer_than_its_functions_time_out_is_given_up_and_not_before() {
    let mut w = World::new(4);
    let mut failed = 0;
    (w.percent, w.answers) = (90, 30);
    for round in 0..4 {
        w.limits = [0; SLOTS];
        let slot = round;
        w.limits[slot as usize] = 2;
        w.stuck.extend([slot, 4]);
        let ids: Vec<u64> = (0..6)
            .filter_map(|_| {
                let op = [media::READ, media::WRITE, media::FLUSH, media::DEALLOCATE][w.rng.random_range(0..4)];
                let id = w.begin(slot, op);
                while w.front.is_some() || !w.writer.is_empty() {
                    w.clock();
                }
                id
            })
            .collect();
        // And one that nobody limits.
        let other = w.begin(4, media::READ).unwrap();
        w.refused = HashSet::from([slot, 4]);
        let asked = w.dut.clocks();
        while w.dut.clocks() < asked + MS - 2000 {
            w.load(1);
        }
        let unspoilt: Vec<u64> = ids.iter().copied().filter(|id| w.commands.contains_key(id)).collect();
        assert!(!unspoilt.is_empty() && w.cancels == 0 || round > 0, "given up too soon");
        while w.dut.clocks() < asked + 2 * MS + 10_000 {
            w.load(1);
        }
        assert!(ids.iter().all(|id| !w.commands.contains_key(id)), "never given up");
        // One that the medium does after all may still end well.
        failed += unspoilt.iter().filter(|id| w.last_code[id] != status::SUCCESS).count();
        assert!(w.commands.contains_key(&other), "who has no limit waits");
        w.drain();
        w.cancels = 0;
    }
    assert!(failed > 3 && w.asides > 1, "{failed} {}", w.asides);
}

#[test]
fn a_long_command_that_waits_for_its_limits_is_not_late() {
    let mut w = World::new(5);
    for slot in 0..3 {
        let op = [media::ZEROES, media::VERIFY][slot as usize % 2];
        let id = w.begin(slot, op).unwrap();
        w.commands.get_mut(&id).unwrap().left = 3 * media::LONG_BLOCKS;
        w.limited = true;
        // Its medium answers in time, so that it has no reason to end early; a part that fails ends it.
        w.limits[slot as usize] = 1;
        let asked = w.dut.clocks();
        while w.dut.clocks() < asked + 3 * MS {
            w.clock();
        }
        w.limited = false;
        w.drain();
        w.limits = [0; SLOTS];
    }
    assert!(w.continued > 0 && w.cancels == 0);
}

#[test]
fn an_abort_is_done_however_busy_the_books_are() {
    let mut w = World::new(6);
    for phase in 1..=4 {
        // A medium that has much to answer, and answers all at once.
        (w.percent, w.answers) = (100, 0);
        w.load(6000);
        while w.front.is_some() {
            w.clock();
        }
        let waits = |(_, c): &(&u64, &Command)| c.op == media::READ && c.qid != 0;
        let (id, c) = w.commands.iter().rfind(waits).unwrap();
        let (id, slot, qid, cid) = (*id, c.slot, c.qid, c.cid);
        w.stuck.insert(slot);
        (w.answers, w.beat) = (100, Some(w.dut.clocks() - phase));
        let asked = w.dut.clocks();
        assert!(w.abort(slot, qid, cid) || !w.commands.contains_key(&id));
        // Twice 64 tags, each look behind one thing of those that there were to do.
        let took = w.dut.clocks() - asked;
        assert!(took < 2 * media::TAGS_PER_SLOT * 8 + 16, "done after {took} clocks");
        w.beat = None;
        w.drain();
    }
}
