//! The books, among models of everybody they speak to: every command ends once and with the right status, in whatever order the
//! medium answers; what is cancelled ends in bounded time however dead its volume is, and nobody else notices.

mod commands;
mod drive;
mod ends;
mod given_up;
mod look;
mod medium;
mod run;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use azote_hdl::BigUint;
use azote_regs::{clock, media};
use azote_rtl::storage::flight::books::Books;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

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

struct Tag {
    command: u64,
    place: BigUint,
    /// Its part of a long one is done, the next is not asked for.
    again: bool,
}

/// Whose a tag is, also one of those set aside.
fn slot_of(tag: u64) -> u64 {
    if is_aside(tag) { tag & 63 } else { tag >> 6 }
}

/// Whether it is one of those set aside, which admin commands and the card's own flushes have.
fn is_aside(tag: u64) -> bool {
    tag >> 6 >= media::ASIDE_FIRST
}

/// A request whose data is being sent, and that the card says is spoilt with the last of it. The writer waits for what becomes of it.
struct Spoilt {
    request: Request,
    command: u64,
    /// It would do to ask for it again.
    redo: bool,
    /// Clocks until the last of its data.
    after: u32,
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
    aside: Vec<BTreeSet<u64>>,
    /// Whose the tag is that is shown, and whether of those set aside.
    shows: (usize, bool),
    /// The front's command, and how far: it begins, or its reads are asked for; a request of these that stands.
    front: Option<u64>,
    read: Option<u64>,
    /// The writer's commands, and its request that stands.
    writer: VecDeque<u64>,
    write: Option<Request>,
    spoilt: Option<Spoilt>,
    /// It was answered in the clock before: it is to be asked again, or has ended.
    verdict: Option<bool>,
    asked_again: Option<u64>,
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
    /// Only in the last clock of each four, counted from this one, is there anything to do but pages of zeroes.
    beat: Option<u64>,
    /// How many of a hundred clocks everybody is ready in, and the medium answers in.
    percent: u32,
    answers: u32,
    refused: HashSet<u64>,
    closed: HashMap<u64, usize>,
    last_code: HashMap<u64, u64>,
    cancels: usize,
    continued: usize,
    /// Commands under tags that were set aside, and that were given up.
    asides: usize,
    /// Requests that were asked again; that were not; that were not because they had been given up.
    again: usize,
    gone: usize,
    gone_cancelled: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("books", || Books::new(VFS));
        dut.set("awake", 1);
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            commands: BTreeMap::new(),
            next: 0,
            tags: HashMap::new(),
            free: (0..SLOTS as u64).map(|s| (0..media::TAGS_PER_SLOT).map(|i| s << 6 | i).collect()).collect(),
            aside: (0..SLOTS as u64)
                .map(|s| (0..media::TAGS_ASIDE).map(|i| (media::ASIDE_FIRST + i) << 6 | s).collect())
                .collect(),
            shows: (0, false),
            front: None,
            read: None,
            writer: VecDeque::new(),
            write: None,
            spoilt: None,
            verdict: None,
            asked_again: None,
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
            beat: None,
            percent: 70,
            answers: 10,
            refused: HashSet::new(),
            closed: HashMap::new(),
            last_code: HashMap::new(),
            cancels: 0,
            continued: 0,
            asides: 0,
            again: 0,
            gone: 0,
            gone_cancelled: 0,
        }
    }

    fn chance(&mut self) -> bool {
        self.rng.random_ratio(self.percent, 100)
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
}
