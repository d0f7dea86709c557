//! The queues of all functions against the same queues in Rust: four clients at once, good and bad doorbells, creation and
//! deletion in every state, resets in between.

use std::collections::{HashSet, VecDeque};

use azote_regs::nvme::{entry, limits};
use azote_rtl::storage::rings::fetch::PLACES;
use azote_rtl::storage::rings::queues::{ADMIN, FRONT, POSTER, Queues, REGISTERS};
use azote_rtl::storage::terms::{Answer, Op};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: usize = 4;
const SLOTS: usize = VFS + 1;
const QUEUES: usize = limits::QUEUES as usize;

#[derive(Clone, Copy, Default)]
struct Sq {
    valid: bool,
    base: u64,
    size: u64,
    head: u64,
    tail: u64,
    cqid: usize,
    inflight: u64,
    /// The command that deleted it, while what was fetched from it is under way.
    deletion: Option<u64>,
}

#[derive(Clone, Copy, Default)]
struct Cq {
    valid: bool,
    base: u64,
    size: u64,
    head: u64,
    tail: u64,
    phase: bool,
    iv: u64,
    ien: bool,
    reserved: u64,
    /// The host said that it has read what was never posted. Its own queue may then wait for its next doorbell.
    rogue: bool,
}

impl Cq {
    /// Entries from the head to `to`.
    fn until(&self, to: u64) -> u64 {
        if to >= self.head { to - self.head } else { to + self.size + 1 - self.head }
    }
    fn full(&self) -> bool {
        self.until(self.tail) + self.reserved >= self.size
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Clear,
    Open,
    Closing,
}

#[derive(Clone, Copy)]
struct Request {
    op: u64,
    slot: usize,
    qid: usize,
    value: u64,
    base: u64,
    size: u64,
    cqid: usize,
    iv: u64,
    ien: bool,
    beyond: bool,
    cid: u64,
}

/// An entry that was posted.
#[derive(Clone, Copy, Default)]
struct Posted {
    slot: usize,
    qid: usize,
    cqid: usize,
    sq_gone: bool,
    cq_gone: bool,
}

struct World {
    dut: Dut,
    rng: SmallRng,
    sqs: [[Sq; QUEUES]; SLOTS],
    cqs: [[Cq; QUEUES]; SLOTS],
    life: [Life; SLOTS],
    /// Commands that were fetched and not given back.
    out: Vec<(usize, usize)>,
    /// What the poster posted last, whether it may come back still, and whether its queues were deleted meanwhile; entries that are
    /// not here yet.
    posted: Option<(usize, usize)>,
    last: Posted,
    unread: u64,
    /// Deletions that were told late.
    late: usize,
    /// Entries that were taken back when their queue was gone.
    lost: usize,
    standing: [Option<Request>; 4],
    fetched: Vec<(usize, usize)>,
    /// Commands of each slot for which there are tags, of the I/O queues and of the admin queue; what a fetch takes, two clocks
    /// later; who has some again.
    tags: [[u64; 2]; SLOTS],
    takes: VecDeque<Option<(usize, usize)>>,
    again: VecDeque<usize>,
    /// When a command was granted last; how many were found to have none.
    granted: u64,
    waited: usize,
}

/// What `tags` begins with.
const TAGS: [u64; 2] = [3, 2];

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("queues", || Queues::new(VFS));
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            sqs: Default::default(),
            cqs: Default::default(),
            life: [Life::Clear; SLOTS],
            out: vec![],
            posted: None,
            last: Posted::default(),
            lost: 0,
            unread: 0,
            late: 0,
            standing: [None; 4],
            fetched: vec![],
            tags: [TAGS; SLOTS],
            takes: VecDeque::from([None, None]),
            again: VecDeque::new(),
            granted: 0,
            waited: 0,
        }
    }

    /// Whether something can be fetched, once it is known whose turn it is.
    fn work(&mut self) -> bool {
        for _ in 0..64 {
            self.dut.eval();
            if self.dut.get("work") == 1 {
                return true;
            }
            self.clock();
        }
        false
    }

    fn random(&mut self, client: usize) -> Option<Request> {
        let slot = self.rng.random_range(0..SLOTS);
        let qid = if self.rng.random_ratio(1, 4) { 0 } else { self.rng.random_range(0..QUEUES) };
        let size = if self.rng.random_ratio(1, 10) { limits::MQES } else { self.rng.random_range(1..5) };
        let mut r = Request {
            op: 0,
            slot,
            qid,
            value: 0,
            base: self.rng.random::<u64>() >> 12,
            size,
            cqid: self.rng.random_range(0..QUEUES),
            iv: self.rng.random_range(0..8),
            ien: self.rng.random(),
            beyond: false,
            cid: self.rng.random_range(0..0x1_0000),
        };
        match client {
            POSTER => {
                // The link may take its time before it is known what becomes of an entry.
                if self.posted.is_some() && self.rng.random_ratio(1, 2) {
                    return None;
                }
                if let Some((slot, qid)) = self.posted.take()
                    && self.rng.random_ratio(1, 4)
                {
                    return Some(Request { op: Op::UNDO, slot, qid, ..r });
                }
                if self.out.is_empty() {
                    return None;
                }
                let n = self.rng.random_range(0..self.out.len());
                (r.slot, r.qid) = self.out.swap_remove(n);
                r.op = if self.rng.random_ratio(1, 5) { Op::RELEASE } else { Op::POST };
            }
            REGISTERS => match self.life[slot] {
                Life::Clear if self.rng.random() => (r.op, r.qid) = (Op::ENABLE, 0),
                Life::Closing => (r.op, r.qid) = (Op::CLEAR, 0),
                Life::Open if self.rng.random_ratio(1, 60) => r.op = Op::QUIESCE,
                _ => {
                    // Doorbells; of a closed controller too.
                    let submission = self.rng.random();
                    r.op = if submission { Op::SQ_DOORBELL } else { Op::CQ_DOORBELL };
                    let size = if submission { self.sqs[slot][qid].size } else { self.cqs[slot][qid].size };
                    let bad = self.rng.random_ratio(1, 12);
                    r.beyond = self.rng.random_ratio(1, 12);
                    r.value =
                        if bad { self.rng.random_range(size + 1..0x1_0000) } else { self.rng.random_range(0..=size) };
                    if !submission && !bad && self.rng.random_ratio(19, 20) {
                        r.value = self.cqs[slot][qid].tail;
                    }
                }
            },
            ADMIN => {
                if self.life[slot] != Life::Open {
                    return None;
                }
                let ops = [Op::CREATE_CQ, Op::CREATE_SQ, Op::CREATE_SQ, Op::DELETE_CQ, Op::DELETE_SQ, Op::RESERVE];
                r.op = ops[self.rng.random_range(0..ops.len())];
                if [Op::DELETE_CQ, Op::DELETE_SQ].contains(&r.op) && self.rng.random_ratio(3, 4) {
                    return None;
                }
                r.qid = if r.op == Op::RESERVE { 0 } else { r.qid.max(1) };
                let used = (1..QUEUES).find(|q| self.sqs[slot][*q].valid && self.sqs[slot][*q].inflight != 0);
                if let (Op::DELETE_SQ, Some(used)) = (r.op, used) {
                    r.qid = used;
                }
                let Posted { slot, qid, cqid, .. } = self.last;
                if self.posted.is_some() && self.life[slot] == Life::Open && qid != 0 && self.rng.random() {
                    match r.op {
                        Op::DELETE_SQ => (r.slot, r.qid) = (slot, qid),
                        Op::DELETE_CQ if cqid != 0 => (r.slot, r.qid) = (slot, cqid),
                        _ => {}
                    }
                }
            }
            _ => r.op = Op::FETCH,
        }
        Some(r)
    }

    fn ask(&mut self, client: usize, r: Request) {
        let dut = &mut self.dut;
        dut.set(&format!("valid_{client}"), 1);
        for (port, v) in [("op", r.op), ("slot", r.slot as u64), ("qid", r.qid as u64)] {
            dut.set(&format!("{port}_{client}"), v.into());
        }
        if client == POSTER {
            self.unread = self.rng.random_range(0..=PLACES as u64).min(self.sqs[r.slot][r.qid].size);
            dut.set("unread", self.unread.into());
        }
        if client == REGISTERS {
            dut.set("value", r.value.into());
            dut.set("beyond", r.beyond.into());
            for port in ["asq", "acq"] {
                dut.set(port, r.base.into());
            }
            for port in ["asqs", "acqs"] {
                dut.set(port, r.size.into());
            }
        }
        if client == ADMIN {
            for (port, v) in [("base", r.base), ("size", r.size), ("cqid", r.cqid as u64), ("iv", r.iv)] {
                dut.set(port, v.into());
            }
            dut.set("interrupts", r.ien.into());
            dut.set("cid", r.cid.into());
        }
        self.standing[client] = Some(r);
    }

    fn eligible(&self, slot: usize, qid: usize) -> bool {
        let sq = &self.sqs[slot][qid];
        self.life[slot] == Life::Open && sq.valid && sq.head != sq.tail && !self.cqs[slot][sq.cqid].full()
    }

    /// One clock; what is acknowledged in it happens to the model too.
    fn clock(&mut self) -> bool {
        if let Some((slot, kind)) = self.takes.pop_front().unwrap() {
            assert!(self.tags[slot][kind] > 0, "a command of slot {slot} was fetched for which there are no tags");
            self.tags[slot][kind] -= 1;
            self.waited += usize::from(self.tags[slot][kind] == 0);
        }
        self.dut.set("again", (!self.again.is_empty()).into());
        self.dut.set("again_slot", self.again.front().copied().unwrap_or(0) as u128);
        self.dut.eval();
        let asked = self.tags[self.dut.get("ask") as usize % SLOTS];
        self.dut.set("allowed", (asked[0] > 0).into());
        self.dut.set("admin_allowed", (asked[1] > 0).into());
        self.dut.eval();
        if self.dut.get("again_take") == 1 {
            self.again.pop_front().expect("nobody has tags again");
        }
        let client = (0..4).find(|c| self.dut.get(&format!("ack_{c}")) == 1);
        let wrong = self.dut.get("wrong") == 1;
        let mut expected_wrong = None;
        if let Some(client) = client {
            let r = self.standing[client].take().expect("an answer that nobody waits for");
            expected_wrong = self.done(&r);
        }
        let seen = wrong.then(|| (self.dut.get("wrong_slot") as usize, self.dut.get("wrong_value") == 1));
        assert_eq!(seen, expected_wrong);
        // What was fetched takes tags, and is told with whose it was; what was not takes none.
        let fetched = client == Some(FRONT) && self.dut.get("found") == 1;
        let (slot, qid) = (self.dut.get("f_slot") as usize, self.dut.get("f_qid") as usize);
        let seen = ["granted", "fetched"].map(|port| self.dut.get(port) == 1);
        assert_eq!(seen, [fetched, fetched && qid != 0]);
        if fetched {
            assert!(self.dut.clocks() - self.granted >= 4, "two grants within four clocks");
            self.granted = self.dut.clocks();
        }
        self.takes.push_back(fetched.then_some((slot, usize::from(qid == 0))));
        self.dut.clock();
        if let Some(client) = client {
            self.dut.set(&format!("valid_{client}"), 0);
        }
        client.is_some()
    }

    /// The effect of a request, and what must have been answered; a doorbell that was wrong is `(slot, value)`.
    fn done(&mut self, r: &Request) -> Option<(usize, bool)> {
        let get = |port: &str| self.dut.get(port) as u64;
        let (answer, found, address) = (get("answer"), get("found") == 1, get("address"));
        let (slot, qid) = (r.slot, r.qid);
        let open = self.life[slot] == Life::Open;
        let (sq, cq) = (self.sqs[slot][qid], self.cqs[slot][qid]);
        match r.op {
            Op::SQ_DOORBELL | Op::CQ_DOORBELL if r.beyond => return open.then_some((slot, false)),
            Op::SQ_DOORBELL if open && sq.valid && r.value <= sq.size => self.sqs[slot][qid].tail = r.value,
            Op::CQ_DOORBELL if open && cq.valid && r.value <= cq.size => {
                self.cqs[slot][qid].rogue |= cq.until(r.value) > cq.until(cq.tail);
                self.cqs[slot][qid].head = r.value;
            }
            Op::SQ_DOORBELL => return open.then_some((slot, sq.valid)),
            Op::CQ_DOORBELL => return open.then_some((slot, cq.valid)),
            Op::ENABLE => {
                self.sqs[slot][0] = Sq { valid: true, base: r.base, size: r.size, ..Sq::default() };
                self.cqs[slot][0] =
                    Cq { valid: true, base: r.base, size: r.size, phase: true, ien: true, ..Cq::default() };
                self.life[slot] = Life::Open;
            }
            Op::QUIESCE => self.life[slot] = Life::Closing,
            Op::CLEAR => {
                let used = self.sqs[slot].iter().any(|q| q.inflight != 0);
                assert_eq!(answer, if used { Answer::USED } else { Answer::YES });
                if !used {
                    self.sqs[slot] = Default::default();
                    self.cqs[slot] = Default::default();
                    // The registers ask again while its last completion is on its way: it may come back.
                    let undoes = self.standing[POSTER].is_some_and(|r| r.op == Op::UNDO && r.slot == slot);
                    if !(undoes || self.posted.is_some_and(|p| p.0 == slot)) {
                        self.life[slot] = Life::Clear;
                    }
                }
            }
            Op::CREATE_CQ => {
                assert_eq!(answer, if cq.valid { Answer::QID } else { Answer::YES });
                if !cq.valid {
                    let (base, size, iv, ien) = (r.base, r.size, r.iv, r.ien);
                    self.cqs[slot][qid] = Cq { valid: true, base, size, phase: true, iv, ien, ..Cq::default() };
                }
            }
            Op::CREATE_SQ => {
                let good = self.cqs[slot][r.cqid].valid;
                let taken = sq.valid || sq.inflight != 0;
                assert_eq!(
                    answer,
                    if taken {
                        Answer::QID
                    } else if good {
                        Answer::YES
                    } else {
                        Answer::CQ
                    }
                );
                if !taken && good {
                    self.sqs[slot][qid] = Sq { valid: true, base: r.base, size: r.size, cqid: r.cqid, ..Sq::default() };
                }
            }
            Op::DELETE_CQ => {
                let used = self.sqs[slot].iter().any(|q| (q.valid || q.inflight != 0) && q.cqid == qid);
                assert_eq!(
                    answer,
                    if !cq.valid {
                        Answer::QID
                    } else if used {
                        Answer::USED
                    } else {
                        Answer::YES
                    }
                );
                if cq.valid && !used {
                    self.last.cq_gone |= (self.last.slot, self.last.cqid) == (slot, qid);
                    self.cqs[slot][qid] = Cq::default();
                }
            }
            Op::DELETE_SQ => {
                let late = sq.inflight != 0;
                let wanted = if late { Answer::USED } else { Answer::YES };
                assert_eq!(answer, if sq.valid { wanted } else { Answer::QID });
                if sq.valid {
                    self.last.sq_gone |= !late && (self.last.slot, self.last.qid) == (slot, qid);
                    self.sqs[slot][qid].valid = false;
                    self.sqs[slot][qid].deletion = late.then_some(r.cid);
                }
            }
            Op::UNDO => {
                let Posted { cqid, sq_gone, cq_gone, .. } = self.last;
                assert_eq!(found, !(sq_gone || cq_gone), "what is taken back comes again if its queue is there");
                if found {
                    self.sqs[slot][qid].inflight += 1;
                    self.out.push((slot, qid));
                }
                self.lost += usize::from(!found);
                let cq = &mut self.cqs[slot][cqid];
                if open && !cq_gone {
                    // It is taken back, and nobody can have read it.
                    cq.rogue |= cq.head == cq.tail;
                    cq.reserved += u64::from(!sq_gone);
                    cq.phase ^= cq.tail == 0;
                    cq.tail = if cq.tail == 0 { cq.size } else { cq.tail - 1 };
                }
            }
            Op::RESERVE => {
                let room = open && sq.valid && !self.cqs[slot][sq.cqid].full();
                assert_eq!(found, room);
                if room {
                    self.sqs[slot][qid].inflight += 1;
                    self.cqs[slot][sq.cqid].reserved += 1;
                    self.out.push((slot, qid));
                }
            }
            Op::FETCH if found => {
                let (slot, qid) = (get("f_slot") as usize, get("f_qid") as usize);
                assert!(self.eligible(slot, qid), "slot {slot} queue {qid} may not be fetched from");
                let sq = &mut self.sqs[slot][qid];
                assert_eq!(address, (sq.base << limits::PAGE_SHIFT).wrapping_add(sq.head * entry::SQE_SIZE));
                sq.head = if sq.head == sq.size { 0 } else { sq.head + 1 };
                sq.inflight += 1;
                self.cqs[slot][sq.cqid].reserved += 1;
                self.out.push((slot, qid));
                self.fetched.push((slot, qid));
            }
            Op::FETCH => {}
            op => {
                // Its tags are free, whatever became of it.
                let kind = usize::from(qid == 0);
                if self.tags[slot][kind] == 0 {
                    self.again.push_back(slot);
                }
                self.tags[slot][kind] = (self.tags[slot][kind] + 1).min(TAGS[kind]);
                let sq = &mut self.sqs[slot][qid];
                sq.inflight -= 1;
                let told = (get("drained") == 1).then(|| get("drained_cid"));
                assert_eq!(told, sq.deletion.filter(|_| sq.inflight == 0 && !sq.valid));
                self.late += usize::from(told.is_some());
                self.last = Posted { slot, qid, cqid: sq.cqid, ..Posted::default() };
                // A controller that is closed has no queues.
                assert_eq!(found, open && op == Op::POST);
                if !open {
                    return None;
                }
                let head = (sq.head + sq.size + 1 - self.unread) % (sq.size + 1);
                let cq = &mut self.cqs[slot][sq.cqid];
                assert!(cq.valid, "a completion has the queue that was promised");
                cq.reserved -= 1;
                if op == Op::POST {
                    self.posted = Some((slot, qid));
                    assert_eq!(address, (cq.base << limits::PAGE_SHIFT).wrapping_add(cq.tail * entry::CQE_SIZE));
                    let seen = (get("phase") == 1, get("head"), get("p_vector"), get("p_interrupt") == 1);
                    assert_eq!(seen, (cq.phase, head, cq.iv, cq.ien));
                    cq.phase ^= cq.tail == cq.size;
                    cq.tail = if cq.tail == cq.size { 0 } else { cq.tail + 1 };
                }
            }
        }
        None
    }

    /// Serves one request alone.
    fn serve(&mut self, client: usize, r: Request) {
        self.ask(client, r);
        while !self.clock() {}
    }
}

const NOTHING: Request =
    Request { op: 0, slot: 0, qid: 0, value: 0, base: 0, size: 0, cqid: 0, iv: 0, ien: false, beyond: false, cid: 0 };

#[test]
fn the_queues_do_what_their_clients_ask_and_nothing_is_fetched_that_may_not_be() {
    let mut w = World::new(1);
    for round in 0..120_000 {
        // Now and then commands take long, and queues are deleted with some under way.
        let long = round / 1000 % 2 == 1;
        for client in 0..4 {
            let seldom = if long && client == POSTER { 128 } else { 8 };
            if w.standing[client].is_none()
                && w.rng.random_ratio(1, seldom)
                && let Some(r) = w.random(client)
            {
                w.ask(client, r);
            }
        }
        w.clock();
        if round % 500 == 0 {
            // Nothing that could be fetched is forgotten: whoever waits stands in the ring.
            while w.standing.iter().any(Option::is_some) {
                w.clock();
            }
            while w.work() {
                w.serve(FRONT, Request { op: Op::FETCH, ..NOTHING });
            }
            for slot in 0..SLOTS {
                for qid in 0..QUEUES {
                    let rogue = w.cqs[slot][w.sqs[slot][qid].cqid].rogue;
                    let waits = w.tags[slot][usize::from(qid == 0)] == 0;
                    let forgotten = w.eligible(slot, qid) && !(rogue || waits);
                    assert!(!forgotten, "slot {slot} queue {qid} is forgotten in round {round}");
                }
            }
        }
    }
    let all: HashSet<_> = w.fetched.iter().collect();
    assert!(w.late > 20 && w.waited > 100, "{} deletions were told late, {} waited for tags", w.late, w.waited);
    assert!(w.lost > 3, "{} entries were taken back when their queue was gone", w.lost);
    assert!(w.fetched.len() > 1000 && all.len() > SLOTS * QUEUES / 2, "{} of {}", w.fetched.len(), all.len());
}

#[test]
fn all_queues_with_work_take_turns() {
    let mut w = World::new(2);
    w.tags = [[u64::MAX; 2]; SLOTS];
    let size = 100;
    for slot in 0..SLOTS {
        w.serve(REGISTERS, Request { op: Op::ENABLE, slot, size, ..NOTHING });
        for qid in 1..=slot {
            w.serve(ADMIN, Request { op: Op::CREATE_CQ, slot, qid, size, ..NOTHING });
            w.serve(ADMIN, Request { op: Op::CREATE_SQ, slot, qid, cqid: qid, size, ..NOTHING });
        }
        for qid in 0..=slot {
            w.serve(REGISTERS, Request { op: Op::SQ_DOORBELL, slot, qid, value: 50, ..NOTHING });
        }
    }
    // Functions take turns, whatever number of queues they have, and the queues of a function do.
    // At first those that had nothing in flight go before the others.
    for _ in 0..4 * SLOTS {
        assert!(w.work(), "there is something to fetch");
        w.serve(FRONT, Request { op: Op::FETCH, ..NOTHING });
    }
    for _ in 0..5 {
        w.fetched.clear();
        for round in 1..=SLOTS {
            for _ in 0..SLOTS {
                assert!(w.work(), "there is something to fetch");
                w.serve(FRONT, Request { op: Op::FETCH, ..NOTHING });
            }
            for slot in 0..SLOTS {
                assert_eq!(w.fetched.iter().filter(|f| f.0 == slot).count(), round, "slot {slot} once a round");
            }
        }
        for slot in 0..SLOTS {
            let different: HashSet<_> = w.fetched.iter().filter(|f| f.0 == slot).collect();
            assert_eq!(different.len(), slot + 1, "each queue of slot {slot} in its turn");
        }
    }
}

/// A queue pair of which a completion was swallowed is deleted before that is known, and made anew.
#[test]
fn a_queue_that_is_made_anew_owes_nothing_to_what_was_swallowed_of_the_one_before() {
    let (slot, qid, size) = (1, 2, 3);
    for (again, makes_sq) in [(false, false), (true, false), (true, true)] {
        let mut w = World::new(3);
        w.tags = [[u64::MAX; 2]; SLOTS];
        let pair = Request { slot, qid, cqid: qid, size, ..NOTHING };
        let create = |w: &mut World| {
            w.serve(ADMIN, Request { op: Op::CREATE_CQ, ..pair });
            w.serve(ADMIN, Request { op: Op::CREATE_SQ, ..pair });
        };
        let fetch = |w: &mut World| {
            while w.work() {
                w.serve(FRONT, Request { op: Op::FETCH, ..NOTHING });
            }
        };
        w.serve(REGISTERS, Request { op: Op::ENABLE, slot, size, ..NOTHING });
        create(&mut w);
        w.serve(REGISTERS, Request { op: Op::SQ_DOORBELL, value: 1, ..pair });
        fetch(&mut w);
        assert_eq!(w.out.pop(), Some((slot, qid)));
        w.serve(POSTER, Request { op: Op::POST, ..pair });
        w.serve(ADMIN, Request { op: Op::DELETE_SQ, ..pair });
        w.serve(ADMIN, Request { op: Op::DELETE_CQ, ..pair });
        // It is taken back before the queue is there again, or after.
        if again {
            w.serve(ADMIN, Request { op: Op::CREATE_CQ, ..pair });
        }
        if makes_sq {
            w.serve(ADMIN, Request { op: Op::CREATE_SQ, ..pair });
        }
        w.serve(POSTER, Request { op: Op::UNDO, ..pair });
        assert!(w.out.is_empty(), "nothing of it is tried again");
        if !again {
            w.serve(ADMIN, Request { op: Op::CREATE_CQ, ..pair });
        }
        if !makes_sq {
            w.serve(ADMIN, Request { op: Op::CREATE_SQ, ..pair });
        }
        // As many commands as the new queue has room for; the first is told in its first place.
        w.serve(REGISTERS, Request { op: Op::SQ_DOORBELL, value: size, ..pair });
        fetch(&mut w);
        assert_eq!(w.out.len(), size as usize);
        w.serve(POSTER, Request { op: Op::POST, ..pair });
    }
}

/// A submission queue is deleted whose last completion comes back, and another waits for room in the same completion queue.
#[test]
fn what_comes_back_of_a_deleted_queue_makes_room_for_others() {
    let mut w = World::new(4);
    w.tags = [[u64::MAX; 2]; SLOTS];
    let (slot, cqid, size) = (2, 1, 1);
    let cq = Request { slot, qid: cqid, size, ..NOTHING };
    w.serve(REGISTERS, Request { op: Op::ENABLE, slot, size: 3, ..NOTHING });
    w.serve(ADMIN, Request { op: Op::CREATE_CQ, ..cq });
    for qid in [1, 2] {
        w.serve(ADMIN, Request { op: Op::CREATE_SQ, slot, qid, cqid, size: 3, ..NOTHING });
        w.serve(REGISTERS, Request { op: Op::SQ_DOORBELL, slot, qid, value: 1, ..NOTHING });
    }
    while w.work() {
        w.serve(FRONT, Request { op: Op::FETCH, ..NOTHING });
    }
    let (_, first) = w.out.pop().expect("one of them was fetched");
    assert!(w.out.is_empty(), "there is room for one");
    let gone = Request { slot, qid: first, ..NOTHING };
    w.serve(POSTER, Request { op: Op::POST, ..gone });
    w.serve(ADMIN, Request { op: Op::DELETE_SQ, ..gone });
    w.serve(POSTER, Request { op: Op::UNDO, ..gone });
    assert!(w.work(), "there is room again, and nobody rings for it");
    w.serve(FRONT, Request { op: Op::FETCH, ..NOTHING });
    assert_eq!(w.out, [(slot, 3 - first)]);
}
