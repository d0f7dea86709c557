//! The poster: each completion once, in its maker's order, the entry before the interrupt.

use std::collections::{HashMap, VecDeque};

use azote_regs::function::Kind;
use azote_regs::nvme::{entry, status};
use azote_regs::pcie::tlp;
use azote_rtl::storage::rings::poster::Poster;
use azote_rtl::storage::terms::Op;
use rand::Rng;

use crate::bench::{self, Feed, Packets, Sink, cat};

const MAKERS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Done {
    release: bool,
    slot: u64,
    qid: u64,
    cid: u64,
    code: u64,
    dw0: u64,
}

/// Where the queues say that it goes.
#[derive(Clone, Debug)]
struct Place {
    address: u64,
    phase: u64,
    head: u64,
    vector: u64,
    interrupt: bool,
}

const CODES: [u64; 6] = [
    status::SUCCESS,
    status::INVALID_FIELD,
    status::DATA_TRANSFER,
    status::WRITE_FAULT,
    status::INVALID_QID,
    status::LBA_OUT_OF_RANGE,
];

/// What would fail again just so says Do Not Retry.
fn field(code: u64) -> u64 {
    let again = status::SCT.of(code) == status::SCT_MEDIA || [status::SUCCESS, status::DATA_TRANSFER].contains(&code);
    code | status::DNR.put((!again).into()) | status::MORE.put((code != status::SUCCESS).into())
}

#[test]
fn completions_are_posted_in_order_and_then_announced() {
    let mut dut = bench::build("poster", Poster::new);
    let mut rng = bench::rng(1);
    let mut feeds: Vec<Feed> = (0..MAKERS).map(|i| Feed::new(&format!("in_{i}_"), 50)).collect();
    // The printer names arrays of plain ports `in_valid_0`.
    let mut made: Vec<VecDeque<Done>> = vec![VecDeque::new(); MAKERS];
    let (mut link, mut irq) = (Packets::new("tx_", 60), Sink::new("irq_", 60));
    let mut posted: Option<(usize, Place)> = None;
    let mut announced: Option<(u64, u64)> = None;
    let mut cid = 0;
    let (mut count, mut dropped, mut errors) = (0, 0, 0);
    while count < 3000 {
        for (i, feed) in feeds.iter_mut().enumerate() {
            if feed.items.is_empty() {
                cid = (cid + 1) & 0xffff;
                let d = Done {
                    release: rng.random_ratio(1, 8),
                    // Each maker has slots of its own here.
                    slot: rng.random_range(0..20) * 3 + i as u64,
                    qid: rng.random_range(0..8),
                    cid,
                    code: CODES[rng.random_range(0..CODES.len())],
                    dw0: rng.random::<u32>().into(),
                };
                let head = [(d.release.into(), 1), (d.slot.into(), 6), (d.qid.into(), 3), (d.cid.into(), 16)];
                feed.push("data", cat(&[head[0], head[1], head[2], head[3], (d.code.into(), 11), (d.dw0.into(), 32)]));
                made[i].push_back(d);
            }
            offer(feed, &mut dut, &mut rng, i);
        }
        link.drive(&mut dut, &mut rng);
        irq.drive(&mut dut, &mut rng);
        dut.set("q_ack", 0);
        dut.eval();
        if dut.get("q_valid") == 1 && rng.random_bool(0.4) {
            assert!(posted.is_none() && announced.is_none(), "one at a time");
            let (slot, qid, op) = (dut.get("q_slot") as u64, dut.get("q_qid") as u64, dut.get("q_op") as u64);
            let found = op == Op::POST && rng.random_ratio(5, 6);
            let place = Place {
                address: rng.random::<u64>() >> (32 * u32::from(rng.random::<bool>())),
                phase: rng.random_range(0..2),
                head: rng.random_range(0..4096),
                vector: rng.random_range(0..8),
                interrupt: rng.random(),
            };
            let place = Place { address: place.address & !15, ..place };
            dut.set("q_ack", 1);
            dut.set("q_found", found.into());
            dut.set("q_address", place.address.into());
            dut.set("q_phase", place.phase.into());
            dut.set("q_head", place.head.into());
            dut.set("q_vector", place.vector.into());
            dut.set("q_interrupt", place.interrupt.into());
            dut.eval();
            // Whose turn it was: the slot says.
            let asks = |d: &Done| (d.slot, d.qid, if d.release { Op::RELEASE } else { Op::POST }) == (slot, qid, op);
            let maker = (slot % MAKERS as u64) as usize;
            assert!(made[maker].front().is_some_and(asks), "not the oldest of its maker");
            count += 1;
            if found {
                posted = Some((maker, place));
            } else {
                made[maker].pop_front();
                dropped += 1;
            }
        }
        if irq.takes(&dut) {
            let got = (dut.get("q_slot") as u64, dut.get("irq_vector") as u64);
            assert_eq!(Some(got), announced.take(), "announced only after its entry has left");
        }
        if let Some(p) = link.taken(&dut) {
            let (maker, place) = posted.take().expect("an entry that nobody posted");
            let d = made[maker].pop_front().unwrap();
            errors += usize::from(d.code != status::SUCCESS);
            let long = tlp::FMT_BIT_4DW.is_set(p.dw(0));
            let at = if long { p.dw(2) << 32 | p.dw(3) } else { p.dw(2) };
            assert_eq!((long, at), (place.address >> 32 != 0, place.address));
            assert_eq!((tlp::LENGTH.of(p.dw(0)), p.payload.len() as u64), (4, entry::CQE_SIZE / 4));
            let dw: Vec<u64> = p.payload.iter().map(|x| u64::from(*x)).collect();
            assert_eq!((dw[0], dw[1]), (d.dw0, 0));
            assert_eq!(dw[2], entry::DW2_SQHD.put(place.head) | entry::DW2_SQID.put(d.qid));
            let dw3 = entry::DW3_CID.put(d.cid) | entry::DW3_PHASE.put(place.phase);
            assert_eq!(dw[3], dw3 | entry::DW3_STATUS.put(field(d.code)));
            let owner = d.slot << 2 | Kind::Storage.code();
            assert_eq!(u64::from(p.owner), owner);
            announced = place.interrupt.then_some((d.slot, place.vector));
        }
        assert!(dut.get("posting") == 1 || (posted.is_none() && announced.is_none()));
        for (i, feed) in feeds.iter_mut().enumerate() {
            accept(feed, &dut, i);
        }
        dut.clock();
        assert!(dut.clocks() < 500_000, "stuck after {count}");
    }
    assert!(dropped > 300 && errors > 300, "{dropped} {errors}");
}

/// [`Feed`] over ports whose index comes last.
fn offer(feed: &mut Feed, dut: &mut azote_verilate::Dut, rng: &mut rand::rngs::SmallRng, i: usize) {
    let offered = feed.offer(rng);
    dut.set(&format!("in_valid_{i}"), offered.into());
    if offered {
        bench::set(dut, &format!("in_data_{i}"), &feed.items[0][0].1);
    }
}

fn accept(feed: &mut Feed, dut: &azote_verilate::Dut, i: usize) {
    if dut.get(&format!("in_ready_{i}")) == 1 {
        feed.accepted();
    }
}

#[test]
fn each_completion_is_posted_once_whatever_is_swallowed_and_when() {
    const SLOTS: usize = 8;
    let mut dut = bench::build("poster", Poster::new);
    let mut rng = bench::rng(2);
    let mut feeds: Vec<Feed> = (0..MAKERS).map(|i| Feed::new(&format!("in_{i}_"), 20)).collect();
    let (mut link, mut irq) = (Packets::new("tx_", 70), Sink::new("irq_", 70));
    // Functions that may not send; whose controller is closed; what was made and not posted; how many were not to be.
    let (mut shut, mut closed) = ([false; SLOTS], [false; SLOTS]);
    let mut open: HashMap<u64, usize> = HashMap::new();
    let mut dropped = [0; SLOTS];
    // What was asked of the queues for the entry that leaves; the deletion that is to follow; what was swallowed.
    let mut asked: Option<usize> = None;
    let mut follow: Option<(u64, usize)> = None;
    let mut killed = None;
    let (mut cid, mut posted, mut swallowed, mut deletions, mut announced) = (0, 0, 0, 0, 0);
    while posted < 2000 || dut.get("busy") == 1 || shut.contains(&true) {
        let over = posted >= 2000;
        for (i, feed) in feeds.iter_mut().enumerate() {
            if feed.items.is_empty() && open.len() - dropped.iter().sum::<usize>() < 200 && !over {
                cid += 1;
                let slot = rng.random_range(0..SLOTS);
                feed.push("data", cat(&[(0, 1), (slot as u128, 6), (3, 3), (cid.into(), 16), (0, 43)]));
                open.insert(cid, slot);
            }
            offer(feed, &mut dut, &mut rng, i);
        }
        // The gate changes, and says so. A closing asks again as well.
        let slot = rng.random_range(0..SLOTS);
        dut.set("again", 0);
        if over || rng.random_ratio(1, 50) {
            shut[slot] = !over && !shut[slot];
            dut.set("again", 1);
        } else if rng.random_ratio(1, 500) {
            closed[slot] = !closed[slot];
            dut.set("again", 1);
        }
        link.drive(&mut dut, &mut rng);
        irq.drive(&mut dut, &mut rng);
        dut.set("q_ack", 0);
        dut.eval();
        let slot = dut.get("q_slot") as usize;
        if dut.get("q_valid") == 1 && rng.random_bool(0.5) {
            dut.set("q_ack", 1);
            dut.set("q_drained", 0);
            let op = dut.get("q_op") as u64;
            if op == Op::UNDO {
                assert_eq!(killed.take(), Some(slot), "its place is taken back, once");
                follow = None;
                dut.set("q_found", 1);
            } else {
                assert_eq!((killed, asked, op), (None, None, Op::POST));
                let deletes = dut.get("q_qid") == 0;
                if let Some((cid, of)) = follow.take() {
                    assert!(of == slot && deletes, "the deletion follows its last command");
                    open.insert(cid, slot);
                    deletions += 1;
                } else if !deletes && rng.random_ratio(1, 10) {
                    cid += 1;
                    follow = Some((cid, slot));
                    dut.set("q_drained", 1);
                    dut.set("q_drained_cid", cid.into());
                }
                dut.set("q_found", (!closed[slot]).into());
                dut.set("q_interrupt", 1);
                dropped[slot] += usize::from(closed[slot]);
                asked = (!closed[slot]).then_some(slot);
            }
            dut.eval();
        }
        if dut.get("tx_valid") == 1 && dut.get("tx_sop") == 1 {
            let slot = dut.get("tx_owner") as usize >> 2;
            dut.set("tx_killed", shut[slot].into());
            dut.eval();
            if link.ready() {
                killed = shut[slot].then_some(slot);
                swallowed += u64::from(killed.is_some());
            }
        }
        if let Some(p) = link.taken(&dut) {
            let slot = usize::from(p.owner >> 2);
            assert_eq!(asked.take(), Some(slot));
            if killed.is_none() {
                let cid = entry::DW3_CID.of(p.payload[3].into());
                assert_eq!(open.remove(&cid), Some(slot), "{cid} is posted twice");
                posted += 1;
            }
        }
        announced += u64::from(irq.takes(&dut));
        for (i, feed) in feeds.iter_mut().enumerate() {
            accept(feed, &dut, i);
        }
        dut.clock();
        dut.eval();
        assert!(dut.clocks() < 400_000, "stuck after {posted}");
    }
    for (slot, dropped) in dropped.iter().enumerate() {
        assert_eq!(open.values().filter(|s| **s == slot).count(), *dropped, "slot {slot}: each once");
    }
    assert_eq!(announced, posted, "each entry is announced once");
    assert!(swallowed > 200 && deletions > 50, "{swallowed} {deletions}");
}

#[test]
fn makers_take_turns() {
    let mut dut = bench::build("poster", Poster::new);
    dut.set("tx_ready", 1);
    for i in 0..MAKERS {
        dut.set(&format!("in_valid_{i}"), 1);
        // The maker's number as its slot.
        bench::set(&mut dut, &format!("in_data_{i}"), &cat(&[(0, 1), (i as u128, 6), (1, 3), (0, 59)]));
    }
    let mut order = Vec::new();
    while order.len() < 30 {
        dut.set("q_ack", 0);
        dut.eval();
        if dut.get("q_valid") == 1 {
            order.push(dut.get("q_slot") as usize);
            dut.set("q_ack", 1);
        }
        dut.clock();
    }
    for pair in order.windows(2) {
        assert_eq!(pair[1], (pair[0] + 1) % MAKERS, "{order:?}");
    }
}

/// What a poster did: an operation `(op, slot, qid)` that was answered, an entry that left with its cid, an interrupt.
#[derive(Debug, PartialEq)]
enum Seen {
    Op(u64, u64, u64),
    Entry(u64),
    Interrupt,
}

/// So many clocks of a poster whose link and interrupts are always ready.
fn watch(dut: &mut azote_verilate::Dut, clocks: u64) -> Vec<Seen> {
    let mut seen = vec![];
    for _ in 0..clocks {
        dut.set("q_ack", 0);
        dut.eval();
        if dut.get("q_valid") == 1 {
            let get = |port: &str| dut.get(port) as u64;
            seen.push(Seen::Op(get("q_op"), get("q_slot"), get("q_qid")));
            dut.set("q_ack", 1);
            dut.eval();
        }
        if dut.get("tx_valid") == 1 && dut.get("tx_eop") == 1 && dut.get("tx_killed") == 0 {
            seen.push(Seen::Entry((dut.get("tx_data") >> 96) as u64 & 0xffff));
        }
        if dut.get("irq_valid") == 1 {
            seen.push(Seen::Interrupt);
        }
        dut.clock();
        dut.set("in_valid_0", 0);
    }
    seen
}

/// A poster whose link and interrupts are ready, with one completion of slot 5, queue 3, command 77.
fn one() -> azote_verilate::Dut {
    let mut dut = bench::build("poster", Poster::new);
    for port in ["tx_ready", "irq_ready", "q_found", "q_interrupt", "in_valid_0"] {
        dut.set(port, 1);
    }
    bench::set(&mut dut, "in_data_0", &cat(&[(0, 1), (5, 6), (3, 3), (77, 16), (0, 43)]));
    dut
}

/// One clock in which the gate may have opened.
fn again(dut: &mut azote_verilate::Dut) -> Vec<Seen> {
    dut.set("again", 1);
    let mut seen = watch(dut, 1);
    dut.set("again", 0);
    seen.extend(watch(dut, 100));
    seen
}

#[test]
fn what_was_swallowed_leaves_no_hole_and_is_posted_when_the_gate_opens() {
    let mut dut = one();
    dut.set("tx_killed", 1);
    let tried = [Seen::Op(Op::POST, 5, 3), Seen::Op(Op::UNDO, 5, 3)];
    assert_eq!(watch(&mut dut, 200), tried);
    assert_eq!(dut.get("busy"), 0, "nothing is tried that nothing has changed for");
    for _ in 0..20 {
        let seen = again(&mut dut);
        assert!((2..=4).contains(&seen.len()) && seen.chunks(2).all(|pair| pair == tried), "{seen:?}");
    }
    // In the clocks in which it is just being swallowed again, too.
    for late in 0..12 {
        dut.set("again", 1);
        watch(&mut dut, 1);
        dut.set("again", 0);
        watch(&mut dut, late);
        dut.set("tx_killed", 0);
        let seen = again(&mut dut);
        assert!(seen.contains(&Seen::Interrupt), "at {late}: {seen:?}");
        assert_eq!(dut.get("busy"), 0);
        dut.set("tx_killed", 1);
        dut.set("in_valid_0", 1);
        watch(&mut dut, 100);
    }
    // What is new is posted beside them, however often they are tried.
    dut.set("tx_killed", 1);
    dut.set("again", 1);
    dut.set("in_valid_1", 1);
    bench::set(&mut dut, "in_data_1", &cat(&[(0, 1), (2, 6), (1, 3), (88, 16), (0, 43)]));
    let seen = watch(&mut dut, 60);
    assert!(seen.contains(&Seen::Op(Op::POST, 2, 1)), "{seen:?}");
    dut.set("again", 0);
    dut.set("in_valid_1", 0);
    dut.set("tx_killed", 0);
    again(&mut dut);
    again(&mut dut);
    watch(&mut dut, 600);
    dut.set("tx_killed", 1);
    dut.set("in_valid_0", 1);
    watch(&mut dut, 100);
    // The controller may be closed before the gate opens.
    dut.set("q_found", 0);
    assert_eq!(again(&mut dut), [Seen::Op(Op::POST, 5, 3)], "taken from the books");
    assert_eq!(again(&mut dut), []);
}

#[test]
fn the_last_command_of_a_deleted_queue_is_followed_by_the_deletion() {
    let mut dut = one();
    dut.set("q_drained", 1);
    dut.set("q_drained_cid", 99);
    let first = watch(&mut dut, 4);
    dut.set("q_drained", 0);
    let seen: Vec<Seen> = first.into_iter().chain(watch(&mut dut, 40)).collect();
    let deletion = [Seen::Op(Op::POST, 5, 0), Seen::Entry(99), Seen::Interrupt];
    let wanted: Vec<Seen> =
        [Seen::Op(Op::POST, 5, 3), Seen::Entry(77), Seen::Interrupt].into_iter().chain(deletion).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn what_was_swallowed_of_a_queue_that_is_gone_is_not_tried_again() {
    for drained in [0, 1] {
        let mut dut = one();
        dut.set("tx_killed", 1);
        dut.set("q_drained", drained);
        dut.set("q_drained_cid", 99);
        assert_eq!(watch(&mut dut, 4), [Seen::Op(Op::POST, 5, 3)]);
        dut.set("q_drained", 0);
        // The answer to UNDO; the deletion may still leave.
        dut.set("q_found", 0);
        let mut seen = vec![];
        while !seen.contains(&Seen::Op(Op::UNDO, 5, 3)) {
            seen.extend(watch(&mut dut, 1));
            assert!(dut.clocks() < 100, "{seen:?}");
        }
        dut.set("q_found", 1);
        dut.set("tx_killed", 0);
        let deletion = [Seen::Op(Op::POST, 5, 0), Seen::Entry(99), Seen::Interrupt];
        assert_eq!(watch(&mut dut, 40), deletion.into_iter().take(3 * drained as usize).collect::<Vec<_>>());
        assert_eq!(again(&mut dut), [], "it is nobody's");
    }
}
