//! Admin commands: every field that can be wrong, features of each function, and the events that are told.

use std::collections::HashMap;

use azote_regs::bar;
use azote_regs::function::Kind;
use azote_regs::nvme::{command as cmd, entry, identify, limits, log, opcode, status};
use azote_rtl::storage::admin::Admin;
use azote_rtl::storage::terms::{Answer, Next, Op, What};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: u64 = 4;

#[derive(Clone, Copy, Default)]
struct Command {
    slot: u64,
    cdw0: u64,
    nsid: u64,
    prp1: u64,
    cdw: [u64; 4],
}

/// `(next, status)`.
type Verdict = (u64, u64);

struct World {
    dut: Dut,
    rng: SmallRng,
    asked: Vec<u64>,
    answer: u64,
    /// Aborts that the books were asked for: slot, queue, command; whether they find one.
    aborts: Vec<(u64, u64, u64)>,
    aborted: bool,
    /// There is room for an event in the admin completion queue.
    room: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("admin", || Admin::new(VFS as usize));
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            asked: vec![],
            answer: Answer::YES,
            aborts: vec![],
            aborted: false,
            room: true,
        }
    }

    fn clock(&mut self) {
        let dut = &mut self.dut;
        dut.set("q_ack", 0);
        dut.eval();
        if dut.get("q_valid") == 1 && self.rng.random_ratio(1, 3) {
            let op = dut.get("q_op") as u64;
            self.asked.push(op);
            dut.set("q_answer", self.answer.into());
            dut.set("q_found", self.room.into());
            dut.set("q_ack", 1);
        }
        // The books look through all tags of the slot, and hold their answer until they are not asked any more.
        let asked = dut.get("abort_valid") == 1;
        let answers = asked && (dut.get("abort_done") == 1 || self.rng.random_ratio(1, 20));
        if answers && dut.get("abort_done") == 0 {
            let get = |port: &str| dut.get(port) as u64;
            self.aborts.push((get("command_slot"), get("abort_qid"), get("abort_cid")));
            self.aborted = self.rng.random();
        }
        dut.set("aborted", (answers && self.aborted).into());
        dut.set("abort_done", answers.into());
        dut.eval();
    }

    /// Puts a command at the ports.
    fn offer(&mut self, c: &Command) {
        let cdw = ["command_cdw10", "command_cdw11", "command_cdw12", "command_cdw13"];
        for (port, v) in cdw.iter().zip(c.cdw).chain([
            (&"command_cdw0", c.cdw0),
            (&"command_nsid", c.nsid),
            (&"command_prp1", c.prp1),
        ]) {
            self.dut.set(port, v.into());
        }
        self.dut.set("command_slot", c.slot.into());
        self.dut.set("command_start", 1);
    }

    fn run(&mut self, c: &Command) -> Verdict {
        self.asked.clear();
        self.offer(c);
        for _ in 0..500 {
            self.clock();
            let done = self.dut.get("command_done") == 1;
            let verdict = (self.dut.get("command_next") as u64, self.dut.get("command_status") as u64);
            self.dut.clock();
            if done {
                self.dut.set("command_start", 0);
                return verdict;
            }
        }
        panic!("never done");
    }

    /// The events that are told in the next hundred clocks: slot, command, DW 0 of the completion.
    fn events(&mut self) -> Vec<(u64, u64, u64)> {
        let mut seen = vec![];
        for _ in 0..100 {
            self.clock();
            if self.dut.get("tell_valid") == 1 {
                let get = |port: &str| self.dut.get(port) as u64;
                seen.push((get("tell_slot"), get("tell_cid"), get("tell_dw0")));
            }
            self.dut.clock();
        }
        seen
    }

    fn of(&self, slot: u64, opc: u64, cdw10: u64, cdw11: u64) -> Command {
        // Features are of no namespace.
        let nsid = if [opcode::SET_FEATURES, opcode::GET_FEATURES].contains(&opc) { 0 } else { limits::NSID };
        Command { slot, cdw0: opc, nsid, cdw: [cdw10, cdw11, 0, 0], ..Command::default() }
    }
}

const DONE: Verdict = (Next::COMPLETE, status::SUCCESS);

fn refused(code: u64) -> Verdict {
    (Next::COMPLETE, code)
}

#[test]
fn queues_are_created_and_deleted_only_as_the_specification_allows() {
    let mut w = World::new(1);
    for _ in 0..1500 {
        let creates = w.rng.random_bool(0.7);
        let completion: bool = w.rng.random();
        let qid = w.rng.random_range(0..limits::QUEUES + 2);
        let size = if w.rng.random() {
            w.rng.random_range(1..=limits::MQES)
        } else {
            [0, limits::MQES + 1][w.rng.random_range(0..2)]
        };
        let (contiguous, offset) = (!w.rng.random_ratio(1, 6), if w.rng.random_ratio(1, 6) { 8 } else { 0 });
        let other = w.rng.random_range(0..10);
        w.answer = [Answer::YES, Answer::YES, Answer::QID, Answer::CQ, Answer::USED][w.rng.random_range(0..5)];
        let (opc, op) = match (creates, completion) {
            (true, true) => (opcode::CREATE_CQ, Op::CREATE_CQ),
            (true, false) => (opcode::CREATE_SQ, Op::CREATE_SQ),
            (false, true) => (opcode::DELETE_CQ, Op::DELETE_CQ),
            (false, false) => (opcode::DELETE_SQ, Op::DELETE_SQ),
        };
        let cdw10 = cmd::QUEUE_QID.put(qid) | if creates { cmd::QUEUE_SIZE.put(size) } else { 0 };
        let cdw11 = cmd::QUEUE_PC.put(contiguous.into()) | cmd::CQ_IV.put(other);
        let c = Command { prp1: 0x7000 + offset, ..w.of(2, opc, cdw10, cdw11) };
        let bad_id =
            qid == 0 || qid >= limits::QUEUES || (creates && !completion && (other == 0 || other >= limits::QUEUES));
        let wanted = if bad_id {
            refused(status::INVALID_QID)
        } else if creates && (size == 0 || size > limits::MQES) {
            refused(status::INVALID_QUEUE_SIZE)
        } else if creates && !contiguous {
            refused(status::INVALID_FIELD)
        } else if creates && offset != 0 {
            refused(status::PRP_OFFSET)
        } else if creates && completion && other >= bar::msix_vectors(Kind::Storage) {
            refused(status::INVALID_VECTOR)
        } else {
            match w.answer {
                Answer::QID => refused(status::INVALID_QID),
                Answer::CQ => refused(status::CQ_INVALID),
                // A deleted submission queue is gone when what was fetched from it is done, and told then.
                Answer::USED if op == Op::DELETE_SQ => (Next::KEEP, status::SUCCESS),
                Answer::USED => refused(status::INVALID_QUEUE_DELETION),
                _ => DONE,
            }
        };
        assert_eq!(w.run(&c), wanted, "{opc:x} {cdw10:x} {cdw11:x}");
        let reached = bad_id || (creates && wanted != DONE && w.asked.is_empty());
        assert_eq!(w.asked, if reached { vec![] } else { vec![op] });
    }
}

#[test]
fn features_belong_to_their_function_and_closing_it_forgets_them() {
    let mut w = World::new(2);
    let known = [
        opcode::FEATURE_ARBITRATION,
        opcode::FEATURE_TEMPERATURE,
        opcode::FEATURE_ERROR_RECOVERY,
        opcode::FEATURE_WRITE_CACHE,
        opcode::FEATURE_COALESCING,
        opcode::FEATURE_ASYNC_EVENT,
    ];
    let mut features: HashMap<(u64, u64), u64> = HashMap::new();
    for _ in 0..1500 {
        let (slot, fid) = (w.rng.random_range(0..=VFS), known[w.rng.random_range(0..known.len())]);
        match w.rng.random_range(0..20) {
            0..8 => {
                let v = u64::from(w.rng.random::<u32>());
                let v = match fid {
                    opcode::FEATURE_TEMPERATURE => v & cmd::TEMPERATURE_TMPTH.mask(),
                    opcode::FEATURE_ERROR_RECOVERY => v & !cmd::RECOVERY_DULBE.mask(),
                    _ => v,
                };
                assert_eq!(w.run(&w.of(slot, opcode::SET_FEATURES, fid, v)), DONE);
                let kept = match fid {
                    opcode::FEATURE_WRITE_CACHE => v & 1,
                    opcode::FEATURE_COALESCING => v & 0xffff,
                    _ => v,
                };
                features.insert((slot, fid), kept);
            }
            8 => {
                let saved = w.of(slot, opcode::SET_FEATURES, fid | cmd::FEATURE_SV.mask(), 5);
                assert_eq!(w.run(&saved), refused(status::FEATURE_NOT_SAVEABLE));
                let unknown = w.of(slot, opcode::SET_FEATURES, 0x7f, 5);
                assert_eq!(w.run(&unknown), refused(status::INVALID_FIELD));
            }
            9 => {
                features.retain(|k, _| k.0 != slot);
                w.dut.set("forget", 1);
                w.dut.set("forget_slot", slot.into());
                while w.dut.get("forget_done") == 0 {
                    w.clock();
                    w.dut.clock();
                }
                w.dut.set("forget", 0);
                w.clock();
                w.dut.clock();
            }
            _ => {
                assert_eq!(w.run(&w.of(slot, opcode::GET_FEATURES, fid, 0)), DONE);
                let default = match fid {
                    opcode::FEATURE_WRITE_CACHE => 1,
                    opcode::FEATURE_TEMPERATURE => limits::TEMPERATURE_WARNING,
                    _ => 0,
                };
                assert_eq!(w.dut.get("command_dw0") as u64, features.get(&(slot, fid)).copied().unwrap_or(default));
            }
        }
    }
}

#[test]
fn identify_and_logs_choose_their_page_or_refuse() {
    let mut w = World::new(3);
    w.dut.set("command_bound", 1);
    for (cns, what) in [(0, What::NAMESPACE), (1, What::CONTROLLER), (3, What::DESCRIPTORS)] {
        assert_eq!(w.run(&w.of(1, opcode::IDENTIFY, cns, 0)), (Next::PAGE, status::SUCCESS));
        assert_eq!(w.dut.get("what") as u64, what);
    }
    assert_eq!(w.run(&w.of(1, opcode::IDENTIFY, 0x77, 0)), refused(status::INVALID_FIELD));
    let elsewhere = Command { nsid: 2, ..w.of(1, opcode::IDENTIFY, opcode::CNS_NAMESPACE, 0) };
    assert_eq!(w.run(&elsewhere), refused(status::INVALID_NAMESPACE));
    for (lid, what) in
        [(opcode::LOG_ERROR, What::ERROR), (opcode::LOG_SMART, What::SMART), (opcode::LOG_FIRMWARE, What::FIRMWARE)]
    {
        let cdw10 = cmd::LOG_LID.put(lid) | cmd::LOG_NUMDL.put(127);
        assert_eq!(w.run(&w.of(1, opcode::GET_LOG_PAGE, cdw10, 0)), (Next::PAGE, status::SUCCESS));
        assert_eq!((w.dut.get("what") as u64, w.dut.get("command_dws")), (what, 128));
    }
    assert_eq!(w.run(&w.of(1, opcode::GET_LOG_PAGE, 0x80, 0)), refused(status::INVALID_LOG));
    let long = cmd::LOG_LID.put(opcode::LOG_SMART) | cmd::LOG_NUMDL.put(limits::MAX_TRANSFER / 4);
    assert_eq!(w.run(&w.of(1, opcode::GET_LOG_PAGE, long, 0)), refused(status::INVALID_FIELD));
    assert_eq!(w.run(&w.of(1, 0x55, 0, 0)), refused(status::INVALID_OPCODE));
    let fused = Command { cdw0: opcode::IDENTIFY | entry::CDW0_FUSE.put(1), ..w.of(1, 0, 1, 0) };
    assert_eq!(w.run(&fused), refused(status::INVALID_FIELD));
}

#[test]
fn an_abort_is_the_books_and_dw0_says_what_came_of_it() {
    let mut w = World::new(6);
    let mut seen = [0; 2];
    for _ in 0..400 {
        let (slot, cid) = (w.rng.random_range(0..=VFS), w.rng.random_range(0..=0xffff));
        // Also queues that cannot be, whose numbers end like those of others.
        let sqid = if w.rng.random() {
            w.rng.random_range(0..limits::QUEUES)
        } else {
            [limits::QUEUES, limits::QUEUES + 1, 0x8001, 0xffff][w.rng.random_range(0..4)]
        };
        w.aborts.clear();
        let cdw10 = cmd::ABORT_SQID.put(sqid) | cmd::ABORT_CID.put(cid);
        assert_eq!(w.run(&w.of(slot, opcode::ABORT, cdw10, 0)), DONE, "it never fails");
        assert!(w.asked.is_empty(), "it reaches no queue");
        let exists = sqid < limits::QUEUES;
        assert_eq!(w.aborts, if exists { vec![(slot, sqid, cid)] } else { vec![] });
        let taken_back = exists && w.aborted;
        assert_eq!(w.dut.get("command_dw0") as u64, if taken_back { 0 } else { cmd::ABORT_NOT_DONE.mask() });
        seen[usize::from(taken_back)] += 1;
        // Its answer is its own: the next command has none of it.
        assert_eq!(w.run(&w.of(slot, opcode::IDENTIFY, opcode::CNS_CONTROLLER, 0)), (Next::PAGE, status::SUCCESS));
        assert_eq!(w.dut.get("command_dw0"), 0);
    }
    assert!(seen[0] > 100 && seen[1] > 50, "{seen:?}");
}

#[test]
fn a_log_page_is_read_from_any_of_its_dws_and_no_further_than_its_end() {
    let mut w = World::new(7);
    let logs = [
        (opcode::LOG_ERROR, log::SMART_SIZE),
        (opcode::LOG_SMART, log::SMART_SIZE),
        (opcode::LOG_FIRMWARE, log::SMART_SIZE),
        (opcode::LOG_CHANGED, identify::SIZE),
        (opcode::LOG_EFFECTS, identify::SIZE),
        (opcode::LOG_VOLUME, identify::SIZE),
    ];
    let mut seen = [0; 2];
    for round in 0..600 {
        let (lid, size) = logs[round % logs.len()];
        let lower = match w.rng.random_range(0..4) {
            0 => w.rng.random_range(0..=size / 4) * 4,
            1 => size - 4 + w.rng.random_range(0..3) * 4,
            2 => w.rng.random_range(0..=size),
            _ => u64::from(w.rng.random::<u32>()),
        };
        let upper = if w.rng.random_ratio(1, 8) { 1 << w.rng.random_range(0..32) } else { 0 };
        let (dws, nsid) = (w.rng.random_range(1..=limits::MAX_TRANSFER / 4), [0, limits::NSID_ALL][round % 2]);
        let cdw10 = cmd::LOG_LID.put(lid) | cmd::LOG_NUMDL.put(dws - 1);
        let slot = w.rng.random_range(0..=VFS);
        let c = Command { nsid, cdw: [cdw10, 0, lower, upper], ..w.of(slot, opcode::GET_LOG_PAGE, 0, 0) };
        let good = lower % 4 == 0 && lower <= size && upper == 0;
        let wanted = if good { (Next::PAGE, status::SUCCESS) } else { refused(status::INVALID_FIELD) };
        assert_eq!(w.run(&c), wanted, "log {lid:#x} from {upper:x}{lower:08x}");
        if good {
            assert_eq!((w.dut.get("offset") as u64, w.dut.get("command_dws") as u64), (lower / 4, dws));
        } else {
            assert_eq!(w.dut.get("command_location") as u64, log::location(entry::SQE_CDW12, 0));
        }
        seen[usize::from(good)] += 1;
        // What is no log begins at its beginning.
        let identify = Command { cdw: [opcode::CNS_CONTROLLER, 0, lower, upper], ..w.of(slot, opcode::IDENTIFY, 0, 0) };
        assert_eq!(w.run(&identify), (Next::PAGE, status::SUCCESS));
        assert_eq!(w.dut.get("offset"), 0);
    }
    assert!(seen[0] > 200 && seen[1] > 200, "{seen:?}");
}

#[test]
fn a_wrong_doorbell_is_told_to_its_own_function_once_until_the_log_is_read() {
    let mut w = World::new(4);
    let event = |cid: u64| opcode::ASYNC_EVENT | entry::CDW0_CID.put(cid);
    for cid in 0..=limits::AERL {
        assert_eq!(w.run(&Command { cdw0: event(cid), ..w.of(2, 0, 0, 0) }), (Next::HOLD, status::SUCCESS));
    }
    assert_eq!(w.run(&Command { cdw0: event(9), ..w.of(2, 0, 0, 0) }), refused(status::EVENT_LIMIT));
    for slot in [2, 3] {
        w.dut.set("began", 1);
        w.dut.set("began_slot", slot);
        w.clock();
        w.dut.clock();
    }
    w.dut.set("began", 0);
    let told = |w: &mut World, slot: u64| {
        w.dut.set("wrong", 1);
        w.dut.set("wrong_slot", slot.into());
        w.dut.set("wrong_value", 1);
        w.clock();
        w.dut.clock();
        w.dut.set("wrong", 0);
        w.dut.set("tell_ready", 1);
        w.events().into_iter().map(|(slot, _, dw0)| (slot, dw0)).collect::<Vec<_>>()
    };
    let dw0 = cmd::EVENT_TYPE.put(cmd::EVENT_TYPE_ERROR)
        | cmd::EVENT_INFO.put(cmd::EVENT_INFO_INVALID_DOORBELL_VALUE)
        | cmd::EVENT_LOG.put(opcode::LOG_ERROR);
    assert_eq!(told(&mut w, 3), [], "slot 3 has not asked");
    assert_eq!(told(&mut w, 2), [(2, dw0)]);
    assert_eq!(told(&mut w, 2), [], "masked until the log is read");
    let log = cmd::LOG_LID.put(opcode::LOG_ERROR) | cmd::LOG_NUMDL.put(15);
    assert_eq!(w.run(&w.of(2, opcode::GET_LOG_PAGE, log, 0)).0, Next::PAGE);
    assert_eq!(told(&mut w, 2), [(2, dw0)]);
    // What happened while nobody had asked is told to the next that asks.
    assert_eq!(w.run(&Command { cdw0: event(1), ..w.of(3, 0, 0, 0) }), DONE);
    assert_eq!(w.dut.get("command_dw0") as u64, dw0);
    // One that meets a full completion queue is told when the host has read from it, and not before.
    assert_eq!(w.run(&w.of(2, opcode::GET_LOG_PAGE, log, 0)).0, Next::PAGE);
    w.room = false;
    assert_eq!(told(&mut w, 2), []);
    let eased = |w: &mut World| {
        w.dut.set("eased", 1);
        w.clock();
        w.dut.clock();
        w.dut.set("eased", 0);
        w.events().into_iter().map(|(slot, _, dw0)| (slot, dw0)).collect::<Vec<_>>()
    };
    assert_eq!(eased(&mut w), [], "still full");
    w.room = true;
    assert_eq!(eased(&mut w), [(2, dw0)]);
    assert_eq!(eased(&mut w), [], "once");
    // One of a life that is over is not told in the next.
    assert_eq!(w.run(&w.of(3, opcode::GET_LOG_PAGE, log, 0)).0, Next::PAGE);
    w.dut.set("forget", 1);
    w.dut.set("forget_slot", 3);
    while w.dut.get("forget_done") == 0 {
        w.clock();
        w.dut.clock();
    }
    w.dut.set("forget", 0);
    assert_eq!(told(&mut w, 3), []);
    assert_eq!(w.run(&Command { cdw0: event(1), ..w.of(3, 0, 0, 0) }), (Next::HOLD, status::SUCCESS));
}

#[test]
fn another_namespace_is_told_to_who_is_enabled_and_asked_for_it_and_listed_until_it_is_read() {
    let mut w = World::new(5);
    let event = |cid: u64| opcode::ASYNC_EVENT | entry::CDW0_CID.put(cid);
    let pulse = |w: &mut World, port: &str, slot: u64| {
        w.dut.set(port, 1);
        w.dut.set(&format!("{port}_slot"), slot.into());
        w.clock();
        w.dut.clock();
        w.dut.set(port, 0);
    };
    let told = |w: &mut World, slot: u64| {
        pulse(w, "changed", slot);
        w.dut.set("tell_ready", 1);
        w.events()
    };
    let ask = |w: &mut World, slot: u64, cid: u64| w.run(&Command { cdw0: event(cid), ..w.of(slot, 0, 0, 0) });
    let read = |w: &mut World, slot: u64| {
        let log = cmd::LOG_LID.put(opcode::LOG_CHANGED) | cmd::LOG_NUMDL.put(1023);
        assert_eq!(w.run(&w.of(slot, opcode::GET_LOG_PAGE, log, 0)).0, Next::PAGE);
        w.dut.get("what") as u64
    };
    let wants = |w: &mut World, slot: u64| {
        let wanted = identify::OAES_NAMESPACE.mask();
        assert_eq!(w.run(&w.of(slot, opcode::SET_FEATURES, opcode::FEATURE_ASYNC_EVENT, wanted)), DONE);
    };
    let dw0 = cmd::EVENT_TYPE.put(cmd::EVENT_TYPE_NOTICE)
        | cmd::EVENT_INFO.put(cmd::EVENT_INFO_NAMESPACE)
        | cmd::EVENT_LOG.put(opcode::LOG_CHANGED);

    // Slot 1 is not enabled: nothing is told, nor kept for later.
    assert_eq!(ask(&mut w, 1, 7), (Next::HOLD, status::SUCCESS));
    wants(&mut w, 1);
    assert_eq!(told(&mut w, 1), []);
    assert_eq!(read(&mut w, 1), What::ZERO);
    // Slot 2 is, but has not asked for notices: it is on the list all the same.
    pulse(&mut w, "began", 2);
    assert_eq!(ask(&mut w, 2, 8), (Next::HOLD, status::SUCCESS));
    assert_eq!(told(&mut w, 2), []);
    assert_eq!(read(&mut w, 2), What::LIST);
    assert_eq!(read(&mut w, 2), What::ZERO, "once");
    // Now it has.
    wants(&mut w, 2);
    assert_eq!(told(&mut w, 2), [(2, 8, dw0)]);
    assert_eq!(ask(&mut w, 2, 9), (Next::HOLD, status::SUCCESS));
    assert_eq!(told(&mut w, 2), [], "masked until the list is read");
    assert_eq!(read(&mut w, 2), What::LIST);
    assert_eq!(told(&mut w, 2), [(2, 9, dw0)]);
    assert_eq!(read(&mut w, 2), What::LIST);
    // What happens while nobody has asked is told to the next that asks.
    assert_eq!(told(&mut w, 2), []);
    assert_eq!(ask(&mut w, 2, 10), DONE);
    assert_eq!(w.dut.get("command_dw0") as u64, dw0);
    // A controller that is closed is told nothing afterwards.
    assert_eq!(ask(&mut w, 2, 11), (Next::HOLD, status::SUCCESS));
    w.dut.set("forget", 1);
    w.dut.set("forget_slot", 2);
    while w.dut.get("forget_done") == 0 {
        w.clock();
        w.dut.clock();
        w.dut.eval();
    }
    w.dut.set("forget", 0);
    assert_eq!(told(&mut w, 2), []);
}

#[test]
fn a_function_is_forgotten_whatever_another_ones_command_is_just_doing() {
    let mut w = World::new(9);
    let full = limits::TEMPERATURE - 1;
    let commands = [
        w.of(1, opcode::GET_LOG_PAGE, cmd::LOG_LID.put(opcode::LOG_ERROR) | cmd::LOG_NUMDL.put(15), 0),
        w.of(1, opcode::ASYNC_EVENT, 0, 0),
        w.of(1, opcode::SET_FEATURES, opcode::FEATURE_TEMPERATURE, full),
        w.of(1, opcode::GET_FEATURES, opcode::FEATURE_TEMPERATURE, 0),
        w.of(1, opcode::DELETE_SQ, 1, 0),
        w.of(1, opcode::ABORT, 1, 0),
    ];
    for c in &commands {
        // `forget` comes in each of the clocks from before the command to after its end.
        for late in 0..24 {
            w.offer(c);
            w.dut.set("command_start", 0);
            let (mut done, mut gone) = (false, false);
            for clock in 0..500 {
                w.dut.set("command_start", (clock >= 4 && !done).into());
                w.dut.set("forget", (clock >= late && !gone).into());
                w.dut.set("forget_slot", 2);
                w.clock();
                done |= w.dut.get("command_done") == 1;
                gone |= w.dut.get("forget_done") == 1;
                w.dut.clock();
                if done && gone {
                    break;
                }
            }
            assert!(done && gone, "opcode {:#x}, forget at {late}: done {done}, forgotten {gone}", c.cdw0);
            w.dut.set("command_start", 0);
            w.dut.set("forget", 0);
            for _ in 0..8 {
                w.clock();
                w.dut.clock();
            }
        }
    }
}
