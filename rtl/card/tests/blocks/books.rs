//! The books, among models of everybody they speak to: every command ends once and with the right status, in whatever order the
//! medium answers; what is cancelled ends in bounded time however dead its volume is, and nobody else notices.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use azote_hdl::BigUint;
use azote_regs::nvme::status;
use azote_regs::{clock, media};
use azote_rtl::storage::flight::books::{Books, FRONT, READS, WRITER};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, IteratorRandom};

use crate::bench::{self, cat, part};

const VFS: usize = 4;
const SLOTS: usize = VFS + 1;
const MS: u64 = 1000 * clock::MHZ;
/// Rows that may be called for and not have left: 256, and one piece more, which may begin amid a row.
const ROWS: u64 = 256 + 257;

/// A command, as whoever made it knows it.
#[derive(Debug)]
struct Command {
    slot: u64,
    qid: u64,
    cid: u64,
    op: u64,
    pieces: usize,
    kind: u64,
    blocks: u64,
    lba: u64,
    turn: bool,
    own: bool,
    aside: bool,
    fua: bool,
    volume: u64,
    at: u64,
    /// Blocks of a long one that are not asked for yet, and how many continuations have been paid.
    left: u64,
    /// From this piece on the writer could not read its data.
    spoilt: Option<usize>,
    first: u64,
    opened: usize,
    over: usize,
    /// What it may end with, by all that became of its pieces so far.
    codes: BTreeSet<u64>,
    /// Why it may be cancelled.
    aborted: bool,
    shut: bool,
    late: bool,
    begun: u64,
}

impl Command {
    fn fault(&self) -> u64 {
        let reads = [media::READ, media::VERIFY, media::COMPARE].contains(&self.op);
        if reads { status::UNRECOVERED_READ } else { status::WRITE_FAULT }
    }

    fn cancelled(&self) -> Vec<u64> {
        let abort = self.aborted.then_some(status::ABORT_REQUESTED);
        abort.into_iter().chain((self.shut || self.late).then_some(self.fault())).collect()
    }

    /// A piece of it came to one of these: the first that is wrong counts.
    fn ends(&mut self, codes: &[u64]) {
        if self.codes.remove(&status::SUCCESS) {
            self.codes.extend(codes);
        }
        self.over += 1;
    }
}

/// Whose a tag is, where its data goes; it has only begun.
#[derive(Debug)]
struct Tag {
    command: u64,
    place: BigUint,
    /// Its part of a long one is done, the next is not asked for.
    again: bool,
}

/// A request that stands or is under way at the medium.
#[derive(Clone, Debug)]
struct Request {
    op: u64,
    tag: u64,
    fields: Option<(bool, u64, u64, u64)>,
    cancelled: bool,
}

struct World {
    dut: Dut,
    rng: SmallRng,
    commands: BTreeMap<u64, Command>,
    next: u64,
    tags: HashMap<u64, Tag>,
    free: Vec<VecDeque<u64>>,
    tag_slot: usize,
    /// The front's command, and how far: it begins, or its reads are asked for; a request of these that stands.
    front: Option<u64>,
    read: Option<u64>,
    /// The writer's commands, and its request that stands.
    writer: VecDeque<u64>,
    write: Option<Request>,
    /// The port: whose request stands.
    port: Option<(usize, Request)>,
    turn: bool,
    /// Clocks in which the medium takes no request.
    stall: u32,
    /// The medium.
    under_way: BTreeMap<u64, Request>,
    held: HashSet<u64>,
    answer: Option<(u64, u64)>,
    stuck: HashSet<u64>,
    /// What is ready, as `(tag, hole)`; what the mover has: `(page, zeroes, tag, rows)`; calls, as they must come and came.
    ready: VecDeque<(u64, bool)>,
    shown: bool,
    last: u64,
    mover: VecDeque<(bool, bool, u64, u64)>,
    calls: VecDeque<u64>,
    called: HashSet<u64>,
    rows: u64,
    left: VecDeque<(u64, u64)>,
    page: Option<BigUint>,
    pages: usize,
    shut: HashSet<u64>,
    limits: [u64; SLOTS],
    /// Nobody is within the limits of what it may move.
    limited: bool,
    /// How many of a hundred clocks everybody is ready in, and the medium answers in.
    percent: u32,
    answers: u32,
    refused: HashSet<u64>,
    closed: HashMap<u64, usize>,
    last_code: HashMap<u64, u64>,
    cancels: usize,
    continued: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("books", || Books::new(VFS));
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            commands: BTreeMap::new(),
            next: 0,
            tags: HashMap::new(),
            free: (0..SLOTS).map(|_| (0..media::TAGS_PER_SLOT).collect()).collect(),
            tag_slot: 0,
            front: None,
            read: None,
            writer: VecDeque::new(),
            write: None,
            port: None,
            turn: false,
            stall: 0,
            under_way: BTreeMap::new(),
            held: HashSet::new(),
            answer: None,
            stuck: HashSet::new(),
            ready: VecDeque::new(),
            shown: false,
            last: 0,
            mover: VecDeque::new(),
            calls: VecDeque::new(),
            called: HashSet::new(),
            rows: 0,
            left: VecDeque::new(),
            page: None,
            pages: 0,
            shut: HashSet::new(),
            limits: [0; SLOTS],
            limited: false,
            percent: 70,
            answers: 10,
            refused: HashSet::new(),
            closed: HashMap::new(),
            last_code: HashMap::new(),
            cancels: 0,
            continued: 0,
        }
    }

    fn chance(&mut self) -> bool {
        self.rng.random_ratio(self.percent, 100)
    }

    /// The front has a new command, if it has none and there are tags.
    fn begin(&mut self, slot: u64, op: u64) -> Option<u64> {
        let rng = &mut self.rng;
        let data = [media::READ, media::WRITE, media::COMPARE].contains(&op);
        let most = if rng.random_ratio(1, 10) { 32 } else { 6 };
        let pieces = if data { rng.random_range(1..=most) } else { 1 };
        let owed: usize =
            self.commands.values().filter(|c| c.slot == slot && c.opened < c.pieces).map(|c| c.pieces).sum();
        if self.front.is_some() || self.free[slot as usize].len() < owed + pieces {
            return None;
        }
        let own = op == media::FLUSH && rng.random_ratio(1, 3);
        let long = [media::ZEROES, media::VERIFY].contains(&op);
        self.next += 1;
        let command = Command {
            slot,
            qid: rng.random_range(0..8),
            cid: self.next & 0xffff,
            op,
            pieces,
            kind: rng.random_range(0..3),
            blocks: rng.random_range(0..512),
            lba: rng.random_range(0..1 << 48),
            turn: rng.random(),
            own,
            aside: own || rng.random(),
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

    /// Who has a request for the port, by the port's own turns.
    fn request(&mut self) {
        if self.port.is_some() {
            return;
        }
        let get = |port: &str| self.dut.get(&format!("media_{port}")) as u64;
        if self.dut.get("media_valid") == 1 {
            let fields =
                (get("op") != media::CANCEL).then(|| (get("fua") == 1, get("volume"), get("lba"), get("blocks")));
            self.port = Some((FRONT, Request { op: get("op"), tag: get("tag"), fields, cancelled: false }));
        } else if self.write.is_some() && (self.read.is_none() || !self.turn) {
            self.turn = true;
            self.port = self.write.clone().map(|r| (WRITER, r));
        } else if let Some(tag) = self.read {
            self.turn = false;
            self.port = Some((READS, Request { op: media::READ, tag, fields: None, cancelled: false }));
        }
    }

    /// The medium takes the request that stands.
    fn take(&mut self, who: usize, r: Request) {
        match who {
            READS => {
                self.read = None;
                let id = self.front.unwrap();
                if self.commands[&id].opened == self.commands[&id].pieces {
                    self.front = None;
                }
            }
            WRITER => self.write = None,
            _ => {}
        }
        if r.op == media::CANCEL {
            self.cancels += 1;
            if let Some(request) = self.under_way.get_mut(&r.tag) {
                let c = &self.commands[&self.tags[&r.tag].command];
                assert!(!c.cancelled().is_empty(), "a command that nobody gave up is cancelled: {c:?}");
                request.cancelled = true;
            }
            if self.held.remove(&r.tag) {
                assert!(!self.calls.contains(&r.tag), "what is called for is let go");
            }
            return;
        }
        if who == FRONT {
            let t = self.tags.get_mut(&r.tag).unwrap();
            assert!(std::mem::take(&mut t.again), "a part is asked for twice");
            let c = self.commands.get_mut(&t.command).unwrap();
            c.at += media::LONG_BLOCKS;
            c.left -= media::LONG_BLOCKS;
            assert_eq!(
                r.fields,
                Some((c.fua, c.volume, c.at, c.left.min(media::LONG_BLOCKS))),
                "it goes on where it was"
            );
            assert_eq!(r.op, c.op);
            self.continued += 1;
        }
        assert!(!self.held.contains(&r.tag), "a tag whose data was not called for is used again");
        assert!(self.under_way.insert(r.tag, r).is_none(), "a tag is used twice");
    }

    /// What the medium makes of a request.
    fn result(&mut self, r: &Request) -> u64 {
        let rng = &mut self.rng;
        if r.cancelled && rng.random_ratio(2, 3) {
            return media::ABORTED;
        }
        let other = match r.op {
            media::READ => *[media::HOLE, media::HOLE, media::FAILED].choose(rng).unwrap(),
            media::COMPARE => *[media::DIFFERS, media::FAILED].choose(rng).unwrap(),
            _ => media::FAILED,
        };
        if rng.random_ratio(1, 8) { other } else { media::DONE }
    }

    /// The books have taken an answer.
    fn answered(&mut self, tag: u64, result: u64) {
        let r = self.under_way.remove(&tag).unwrap();
        let t = self.tags.get_mut(&tag).unwrap();
        let c = self.commands.get_mut(&t.command).unwrap();
        let cancelled = c.cancelled();
        let good = [media::DONE, media::HOLE].contains(&result);
        let long = [media::ZEROES, media::VERIFY].contains(&r.op);
        if good && r.op == media::READ {
            if result == media::DONE && !r.cancelled {
                self.held.insert(tag);
            }
            // It goes on with its data, or ends here if it was given up before.
            if !cancelled.is_empty() && c.codes.contains(&status::SUCCESS) {
                c.codes.extend(&cancelled);
            }
        } else if good && long && c.left > media::LONG_BLOCKS {
            t.again = true;
        } else {
            let code = match result {
                _ if good => vec![status::SUCCESS],
                media::DIFFERS => vec![status::COMPARE_FAILURE],
                media::ABORTED if !cancelled.is_empty() => cancelled,
                _ => vec![c.fault()],
            };
            c.ends(&code);
        }
    }

    /// One clock of everybody.
    fn clock(&mut self) {
        self.drive();
        self.dut.eval();
        let asked = self.dut.get("look_slot") as usize % SLOTS;
        self.dut.set("limit", self.limits[asked].into());
        self.dut.eval();
        self.look();
        self.dut.clock();
        self.dut.set("shut", 0);
        self.dut.set("unshut", 0);
    }

    fn drive(&mut self) {
        for port in ["get_ready", "done_ready", "tag_free_ready", "allowed"] {
            let set = self.chance() && !(self.limited && port == "allowed");
            self.dut.set(port, set.into());
        }
        let full = self.rng.random_ratio(1, 10);
        self.dut.set("log_full", full.into());
        let index = self.free[self.tag_slot].front().copied();
        self.dut.set("tag_index", index.unwrap_or(0).into());
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
            let may = |r: &&Request| r.cancelled || !self.stuck.contains(&(r.tag >> 6));
            let chosen = self.under_way.values().filter(may).choose(&mut self.rng).cloned();
            self.answer = chosen.map(|r| (r.tag, self.result(&r)));
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

    fn is_ready(&self, slot: u64) -> bool {
        self.ready.iter().any(|(tag, _)| tag >> 6 == slot)
    }

    fn look(&mut self) {
        let get = |port: &str| self.dut.get(port) as u64;
        let now = self.dut.clocks();
        // What is opened gets a tag that nobody has.
        let tag = get("tag");
        let taken = get("tag_take") == 1;
        let opened = [FRONT, READS, WRITER].map(|who| get(&format!("opened_{who}")) == 1);
        if taken {
            let slot = get("tag_slot") as usize;
            let index = self.free[slot].pop_front().expect("a tag is taken that is not there");
            assert_eq!(tag, (slot as u64) << 6 | index);
        }
        self.tag_slot = get("tag_slot") as usize % SLOTS;
        if opened[FRONT] || opened[READS] {
            assert!(taken);
            let id = self.front.unwrap();
            let c = self.commands.get_mut(&id).unwrap();
            let piece = Tag { command: id, place: place(id, c.opened), again: false };
            assert!(self.tags.insert(tag, piece).is_none(), "a tag is out twice");
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
            assert_eq!(tag >> 6, c.slot);
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
            let tag = self.dut.get("tag_free_slot") as u64 * 64 + self.dut.get("tag_free_index") as u64;
            let t = self.tags.remove(&tag).expect("a tag is given back twice");
            assert!(!self.under_way.contains_key(&tag), "a tag is free that was not answered");
            assert!(!self.mover.iter().any(|m| !m.0 && m.2 == tag) && !self.calls.contains(&tag));
            self.free[tag as usize >> 6].push_back(tag & 63);
            let c = self.commands.get_mut(&t.command).unwrap();
            let aside = self.dut.get("tag_free_aside") == 1;
            assert_eq!((closed, aside), (tag == c.first, closed && c.aside), "its first tag is its last");
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

    fn close(&mut self, id: u64, again: bool, done: bool) {
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
        *self.closed.entry(c.slot).or_default() += 1;
        self.last_code.insert(id, code);
    }

    fn some(&mut self) -> u64 {
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
            media::RANGES,
        ]
        .choose(&mut self.rng)
        .unwrap()
    }

    /// So many clocks, with commands of all who are not kept from it.
    fn load(&mut self, clocks: usize) {
        for _ in 0..clocks {
            let slot = self.rng.random_range(0..SLOTS as u64);
            if self.front.is_none() && !self.refused.contains(&slot) && self.rng.random_ratio(1, 4) {
                let op = self.some();
                self.begin(slot, op);
            }
            self.clock();
        }
    }

    /// Clocks until all of a slot's commands are over.
    fn ends(&mut self, slot: u64, clocks: usize) {
        for _ in 0..clocks {
            if !self.commands.values().any(|c| c.slot == slot) {
                return;
            }
            self.load(1);
        }
        let left: Vec<_> = self.commands.values().filter(|c| c.slot == slot).collect();
        let outside = (&self.under_way, &self.held, &self.ready, &self.mover, &self.calls, &self.left, self.answer);
        panic!(
            "slot {slot} is never over: {left:?}, {outside:?}, {:?} {:?} {:?} {:?}",
            self.front, self.read, self.write, self.port
        );
    }

    /// Everything ends, and everything is given back.
    fn drain(&mut self) {
        self.stuck.clear();
        self.refused = (0..SLOTS as u64).collect();
        for slot in 0..SLOTS as u64 {
            self.ends(slot, 200_000);
        }
        while self.page.is_some() || !self.mover.is_empty() || self.port.is_some() {
            self.clock();
        }
        for _ in 0..1000 {
            if self.page.is_none() && self.mover.is_empty() {
                self.dut.eval();
                assert_eq!(self.dut.get("busy"), 0);
            }
            self.clock();
        }
        assert!(self.free.iter().all(|f| f.len() == 64) && self.tags.is_empty());
        assert!(self.under_way.is_empty() && self.held.is_empty(), "{:?} {:?}", self.under_way, self.held);
        self.refused.clear();
    }

    /// Closes a slot's commands, and opens it again.
    fn close_slot(&mut self, slot: u64, bound: usize) {
        self.dut.set("shut", 1);
        self.dut.set("shut_slot", slot.into());
        self.commands.values_mut().filter(|c| c.slot == slot).for_each(|c| c.shut = true);
        self.clock();
        self.shut.insert(slot);
        self.commands.values_mut().filter(|c| c.slot == slot).for_each(|c| c.shut = true);
        // The front may have one of its commands in hand.
        self.load(10);
        self.refused.insert(slot);
        self.ends(slot, bound);
        // Nothing of it comes afterwards: every piece, call and end is looked up among what is under way.
        self.load(200);
        self.dut.set("unshut", 1);
        self.dut.set("shut_slot", slot.into());
        self.shut.remove(&slot);
        self.load(1);
        self.refused.remove(&slot);
    }

    /// Aborts a command, or one that is not there; whether something of it was cancelled.
    fn abort(&mut self, slot: u64, qid: u64, cid: u64) -> bool {
        let named = |c: &&mut Command| (c.slot, c.qid, c.cid) == (slot, qid, cid);
        self.commands.values_mut().filter(named).for_each(|c| c.aborted = true);
        for (port, v) in [("aborts", 1), ("abort_slot", slot), ("abort_qid", qid), ("abort_cid", cid)] {
            self.dut.set(port, v.into());
        }
        let refused = std::mem::replace(&mut self.refused, (0..SLOTS as u64).collect());
        let mut clocks = 0;
        while self.dut.get("abort_done") == 0 {
            self.clock();
            self.dut.eval();
            clocks += 1;
            assert!(clocks < 4000, "an abort is never done");
        }
        let hit = self.dut.get("aborted") == 1;
        self.dut.set("aborts", 0);
        self.refused = refused;
        self.clock();
        hit
    }
}

/// Where piece `n` of a command goes: the DWs are 1 to 1024.
fn place(id: u64, n: usize) -> BigUint {
    let most = if id.is_multiple_of(4) { 1024 } else { 64 };
    let dws = 1 + (id * 37 + n as u64 * 331) % most;
    cat(&[(id.into(), 52), ((n as u128), 52), ((id % 1024).into(), 10), (dws.into(), 11)])
}

#[test]
fn every_command_ends_once_with_the_first_error_whatever_the_order_of_answers() {
    let mut w = World::new(1);
    for round in 0..12 {
        (w.percent, w.answers) = [(100, 100), (70, 10), (30, 50), (100, 2)][round % 4];
        w.load(6000);
        w.drain();
    }
    assert!(w.last_code.len() > 1000 && w.pages > 100 && w.continued > 100, "{} {}", w.last_code.len(), w.continued);
    assert!(w.last_code.values().collect::<BTreeSet<_>>().len() >= 5, "all sorts of ends");
    assert_eq!(w.cancels, 0, "nobody gave anything up");
}

#[test]
fn a_function_that_is_closed_ends_in_bounded_time_and_nobody_else_notices() {
    let mut w = World::new(2);
    for round in 0..40 {
        (w.percent, w.answers) = [(100, 30), (60, 10), (40, 30)][round % 3];
        let slot = w.rng.random_range(0..SLOTS as u64);
        if w.rng.random() {
            w.stuck.insert(slot);
        }
        w.load(3000);
        if round % 2 == 0 {
            // The medium takes nothing for a while, and a command is just asking.
            while w.front.is_some() {
                w.clock();
            }
            let op = w.some();
            w.begin(slot, op);
            w.stall = 300;
            w.load(5);
        }
        w.close_slot(slot, 100_000);
        w.stuck.clear();
    }
    assert!(w.cancels > 100, "{}", w.cancels);
    w.drain();
    assert!((0..SLOTS as u64).all(|slot| w.closed[&slot] > 200), "{:?}", w.closed);
}

#[test]
fn an_abort_ends_the_command_that_it_names_and_no_other() {
    let mut w = World::new(3);
    let (mut hits, mut misses) = (0, 0);
    for round in 0..200 {
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
        let chosen =
            w.commands.iter().filter(|(_, c)| c.slot == slot).map(|(id, c)| (*id, c.qid, c.cid)).choose(&mut w.rng);
        let Some((id, qid, cid)) = chosen else { continue };
        if w.rng.random_ratio(1, 4) {
            assert!(!w.abort(slot, qid, cid ^ 0x8000), "nobody was named");
            misses += 1;
        }
        let asked = w.commands.get(&id).is_some_and(|c| !w.writer.contains(&id) && c.opened == c.pieces);
        let waits = asked && stuck && w.under_way.values().any(|r| w.tags[&r.tag].command == id);
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
        }
        if !hit && let Some(c) = w.commands.get_mut(&id) {
            // It goes on as if nothing had been said.
            c.aborted = false;
        }
        w.stuck.clear();
    }
    w.drain();
    let aborted = w.last_code.values().filter(|code| **code == status::ABORT_REQUESTED).count();
    assert!(hits > 8 && misses > 8 && aborted > 8, "{hits} {misses} {aborted}");
}

#[test]
fn what_waits_for_longer_than_its_functions_time_out_is_given_up_and_not_before() {
    let mut w = World::new(4);
    let mut failed = 0;
    (w.percent, w.answers) = (90, 30);
    for round in 0..3 {
        w.limits = [0; SLOTS];
        let slot = round;
        w.limits[slot as usize] = 2;
        w.stuck.extend([slot, 4]);
        let ids: Vec<u64> = (0..6)
            .filter_map(|_| {
                let op = [media::READ, media::WRITE, media::FLUSH][w.rng.random_range(0..3)];
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
    assert!(failed > 3, "{failed}");
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
