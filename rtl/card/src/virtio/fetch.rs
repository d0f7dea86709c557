//! Fetches what drivers make available: the index of a ring, its entries, the descriptors, and where they lead (virtio §2.7).
//!
//! A fetcher serves every second queue of all functions. A queue that was notified stands in a ring of those that have something to do,
//! once. When its turn has come a **job** takes up to eight entries: it reads them, then the descriptors of all of them at once, then
//! the tables of all that have one, and gives the chains on. Jobs go on side by side, also of one queue; they give on in the order of
//! the ring. A queue whose index stands still is left when the driver knows that it must notify: `avail_event` is written first, and the
//! index read once more after it.
//!
//! Promises: chains are whole and in order by queue; what is malformed (an index that jumps, a head or a link beyond the table, a loop, a
//! length of zero, a table in a table) ends with `bad` at its place and breaks its own function's device alone; a queue that was
//! notified is looked at after it.
//!
//! Tables must not cross a page within a descriptor: ours are 16 bytes from the page's end at least, as all drivers have them.

use azote_hdl::prelude::*;

use super::bundles::{BrokenOut, BufferOut, FlightOut, KickIn, RingOut, Terms, UsedOut, WipeIn};
use super::registers::{Meta, Word};
use crate::dma::{Lanes, ReadOut};
use crate::parts::{BlockFifo, BlockTable, Table, least, slots_of};

/// Jobs at most, each with a client of reads.
pub const JOBS: usize = 4;
/// Entries of a job, and descriptors that are read at an entry's head.
const HEADS: usize = 8;
const ROWS: usize = 4;
/// Bits of a fetcher's queues: slot and pair.
const QUEUE: usize = 9;
/// Who notifies.
pub const KICKS: usize = 2;

packed! {
    /// How far a queue is.
    Place {
        /// `avail_event` is `next`.
        armed: 1,
        /// The index as it was read last, and the entry that is taken next.
        seen: 16,
        next: 16,
    }
}

packed! {
    /// What a job does while it waits.
    Job {
        slot: 6,
        pair: 3,
        /// Entries; the one in hand.
        many: 4,
        at: 4,
        /// The ring's entries begin in the upper half of a DW.
        odd: 1,
        /// The descriptors in hand begin with this one; if not `moved`, with the head or the table's first.
        moved: 1,
        base: 16,
        /// Descriptors of the chain so far.
        steps: 9,
    }
}

packed! {
    /// Where an entry's chain lies.
    Chain {
        indirect: 1,
        bad: 1,
        entries: 16,
        address: 64,
    }
}

packed! {
    /// A descriptor.
    pub Desc {
        next: 16,
        reserved: 13,
        indirect: 1,
        write: 1,
        more: 1,
        len: 32,
        addr: 64,
    }
}

/// What a job waits for.
struct Waits;
impl Waits {
    const NONE: u64 = 0;
    const INDEX: u64 = 1;
    const RING: u64 = 2;
    const HEADS: u64 = 3;
    const CHAINS: u64 = 4;
    /// Nothing: what is under way for it lands nowhere that matters.
    const DRAIN: u64 = 5;
}

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const LOOK: u64 = 2;
    const TAKE: u64 = 3;
    const DRIVER: u64 = 4;
    const CLIP: u64 = 5;
    const ASK: u64 = 6;
    const LOAD: u64 = 7;
    const INDEX: u64 = 8;
    const ARM: u64 = 9;
    const RING: u64 = 10;
    const ENTRIES: u64 = 11;
    const DESC: u64 = 12;
    const HEAD: u64 = 13;
    const READ_HEAD: u64 = 14;
    const PASS: u64 = 15;
    const PASSED: u64 = 16;
    const READ_TABLE: u64 = 17;
    const WALK: u64 = 18;
    const SEE: u64 = 19;
    const GIVE: u64 = 20;
    const MORE: u64 = 21;
    const READ_MORE: u64 = 22;
    const FREE: u64 = 23;
    const BREAK: u64 = 24;
    const RESUME: u64 = 25;
}

#[derive(LogicBlock, Default)]
pub struct Fetch {
    pub clock: Clk,
    pub reset: Rst,
    pub kick: [KickIn; KICKS],
    pub ring: RingOut,
    pub rd: ReadOut,
    /// Of its clients, the jobs in order.
    pub pending: I<JOBS>,
    pub failed: I<JOBS>,
    pub forget: O<JOBS>,
    /// What lands for them.
    pub lanes: I<4>,
    pub row: I<11>,
    pub next: I<11>,
    pub off: I<2>,
    pub data: I<128>,
    pub out: BufferOut,
    /// How many entries there is room for in the place where those of `ask` go, in the same clock; one clock: so many are fetched.
    pub ask_slot: O<6>,
    pub ask_pair: O<3>,
    pub room: I<4>,
    pub reserve: O<1>,
    pub reserves: O<4>,
    /// One clock: a queue's index was read; it had nothing new, and the driver knows that it must notify.
    pub looked: O<1>,
    pub looked_slot: O<6>,
    pub looked_pair: O<3>,
    pub dry: O<1>,
    pub used: UsedOut,
    pub broken: BrokenOut,
    pub wipe: WipeIn,
    /// A job begins and ends; a chain begins.
    pub begins: FlightOut,
    pub ends: FlightOut,
    pub chain: FlightOut,
    pub busy: O<1>,
    /// Whether it walks chains, serves the odd queues (and the control queue), the first of its clients, the kind of its functions,
    /// and which pair of the odd ones is the control queue.
    walks: Param,
    odd: Param,
    client: Param,
    kind: Param,
    jobs_there: Param,
    st: Reg<5>,
    slot: Reg<6>,
    pair: Reg<3>,
    place: Reg<{ Place::WIDTH }>,
    size: Reg<16>,
    job: Reg<{ Job::WIDTH }>,
    number: Reg<2>,
    is_ring: Reg<1>,
    address: Reg<64>,
    bytes: Reg<13>,
    entries: Reg<128>,
    base: Reg<64>,
    desc: Reg<{ Desc::WIDTH }>,
    sub: Reg<2>,
    rows: Reg<3>,
    /// Chains are not single descriptors, as far as was seen.
    chains: Reg<1>,
    turn: Reg<2>,
    wiped: Reg<1>,
    /// A chain is given on in part: nobody else's may come between.
    open: Reg<1>,
    open_job: Reg<2>,
    waits: [Reg<3>; JOBS],
    whose: [Reg<QUEUE>; JOBS],
    /// Jobs of the same queue that give on before it; it was notified while its index was read.
    after: [Reg<JOBS>; JOBS],
    again: [Reg<1>; JOBS],
    jobs: LutRam<2, { Job::WIDTH }>,
    heads: LutRam<5, 16>,
    tables: LutRam<5, { Chain::WIDTH }>,
    loaded: LutRam<5, 3>,
    landed: Lanes<7>,
    todo: BlockFifo<QUEUE, QUEUE>,
    stands: Table<QUEUE, 1, 1>,
    places: BlockTable<QUEUE, { Place::WIDTH }, 1>,
}

/// Which queues a fetcher serves, and how.
#[derive(Clone, Copy, Debug)]
pub struct Serves {
    /// Those with odd numbers, and the last one. Otherwise the even ones.
    pub odd: bool,
    /// Chains are walked. Otherwise their heads alone are given on.
    pub walks: bool,
    /// How many jobs it has, and the first of their clients of reads.
    pub jobs: usize,
    pub client: usize,
    /// The kind of its functions.
    pub kind: u64,
}

impl Fetch {
    /// For the PF and `vfs` VFs.
    pub fn new(vfs: usize, serves: Serves) -> Self {
        let slots = slots_of(vfs);
        Fetch {
            walks: Param::new(serves.walks.into()),
            odd: Param::new(serves.odd.into()),
            client: Param::new(serves.client),
            jobs_there: Param::new(serves.jobs),
            kind: Param::new(serves.kind as usize),
            stands: Table::new(slots << 3, 3),
            places: BlockTable::new(slots << 3, 3),
            ..Self::default()
        }
    }
}

/// The number of a queue in its function: those with odd numbers end with the control queue, which is behind all pairs.
#[pure]
fn number_of(pair: V, odd: usize) -> V {
    if const { odd == 0 } {
        cat(pair, sized(0, 1))
    } else {
        if pair.bit(2) { sized(8, 4) } else { cat(pair, sized(1, 1)) }
    }
}

#[kernel]
impl Logic for Fetch {
    fn update(&mut self) {
        clocked!(self.todo, self.stands, self.places);
        memories!(self.jobs, self.heads, self.tables, self.loaded, self.landed);
        let walks: usize = self.walks.get();
        let odd: usize = self.odd.get();
        let idle = self.st.q == St::IDLE;
        let job = self.job.q;
        let at = job.get(Job::AT).trunc(3);
        let here = cat(self.number.q, at);
        let queue = cat(self.slot.q, self.pair.q);

        self.landed.we = self.lanes;
        self.landed.row = self.row.trunc(7);
        self.landed.next = self.next.trunc(7);
        self.landed.off = self.off;
        self.landed.data = self.data;

        // --- who stands in the ring of those that have something to do: ourselves first
        let mut requeues = sized(0, 1);
        let mut pops = sized(0, 1);
        // One is put in or taken out in a clock; who notifies pauses in between.
        let mut notified = sized(0, 1);
        for i in 0..KICKS {
            notified = notified | self.kick[i].valid;
        }

        // --- jobs
        let mut some = sized(0, 1);
        let mut pick = sized(0, 2);
        let mut free = sized(0, 1);
        let mut spare = sized(0, 2);
        let mut same = sized(0, JOBS);
        let mut same_index = sized(0, JOBS);
        for back in 0..JOBS {
            let j: usize = JOBS - 1 - back;
            if self.waits[j].q == Waits::NONE {
                if const { j < self.jobs_there.get() } {
                    free = 1;
                    spare = konst(j);
                }
            } else if self.whose[j].q == queue {
                if self.waits[j].q == Waits::INDEX {
                    same_index = same_index | konst(1 << j);
                } else {
                    same = same | konst(1 << j);
                }
            }
        }
        // Whoever follows the one that was served last comes first.
        for back in 0..JOBS {
            for last in 0..JOBS {
                let j: usize = (last + JOBS - back) % JOBS;
                let ordered = if const { walks != 0 } {
                    self.waits[j].q == Waits::CHAINS
                } else {
                    self.waits[j].q == Waits::HEADS
                };
                let closed = (!self.open.q) | (self.open_job.q == j);
                let may = (!ordered) | ((self.after[j].q == 0) & closed);
                let waits = self.waits[j].q != Waits::NONE;
                if (self.turn.q == last) & waits & (!self.pending.bit(j)) & may {
                    some = 1;
                    pick = konst(j);
                }
            }
        }
        let mut frees = sized(0, 1);
        let mut parks = sized(0, 1);
        let mut waits_for = sized(Waits::NONE, 3);
        let mut begins_job = sized(0, 1);
        let mut notes = sized(0, JOBS);
        let number_failed = self.failed.sel(self.number.q);

        self.jobs.we = 0;
        self.jobs.waddr = self.number.q;
        self.jobs.wdata = job;
        self.jobs.raddr = self.number.q;
        self.heads.we = 0;
        self.heads.waddr = here;
        self.heads.wdata = self.entries.q.bits(15, 0);
        self.heads.raddr = here;
        self.tables.we = 0;
        self.tables.waddr = here;
        self.tables.wdata = 0;
        self.tables.raddr = here;
        self.loaded.we = 0;
        self.loaded.waddr = here;
        self.loaded.wdata = self.rows.q;
        self.loaded.raddr = here;
        self.landed.raddr = cat(self.number.q, at, self.sub.q);
        self.places.raddr[0] = queue;
        let mut place_we = sized(0, 1);
        let mut place_new = self.place.q;
        self.places.first = 0;

        self.ring.slot = self.slot.q;
        self.ring.queue = number_of(self.pair.q, { odd });
        self.ring.word = Word::META;
        let meta = self.ring.data;
        let terms = self.ring.terms;
        let word_there = !self.ring.taken;

        let chain = self.tables.rdata;
        let d = self.desc.q;
        let row = self.landed.rdata;
        let indirect = chain.get(Chain::INDIRECT);
        let first_base = if indirect { sized(0, 16) } else { self.heads.rdata };
        let begin = if job.get(Job::MOVED) { job.get(Job::BASE) } else { first_base };
        let limit = if indirect { chain.get(Chain::ENTRIES) } else { self.size.q };
        let steps = job.get(Job::STEPS);

        self.rd.valid = 0;
        self.rd.owner = cat(self.slot.q, sized({ self.kind.get() }, 2));
        self.rd.address = self.address.q;
        self.rd.bytes = self.bytes.q;
        self.rd.client = cat(sized({ self.client.get() / 4 }, 2), self.number.q);
        self.rd.dest = cat(sized(0, 4), self.number.q, at, sized(0, 4));
        self.forget = 0;
        self.reserve = 0;
        self.reserves = job.get(Job::MANY);
        self.ask_slot = self.slot.q;
        self.ask_pair = self.pair.q;
        self.looked = 0;
        self.looked_slot = self.slot.q;
        self.looked_pair = self.pair.q;
        self.dry = 0;
        self.used.valid = self.st.q == St::ARM;
        self.used.slot = self.slot.q;
        self.used.queue = number_of(self.pair.q, { odd });
        self.used.head = self.place.q.get(Place::NEXT);
        self.used.bytes = 0;
        self.used.event = 1;
        self.used.none = 0;
        self.used.more = 0;
        self.broken.valid = self.st.q == St::BREAK;
        self.broken.slot = self.slot.q;

        // --- what is given on
        let more = d.get(Desc::MORE);
        let link = d.get(Desc::NEXT);
        let empty = d.get(Desc::LEN) == 0;
        let nested = d.get(Desc::INDIRECT) & (indirect | (steps != 1) | chain.get(Chain::BAD));
        let beyond = more & (link >= limit);
        let endless = more & (steps >= self.size.q.trunc(9));
        // Only the control queue's chains end with what the device writes.
        let is_control = if const { odd != 0 } { self.pair.q.bit(2) } else { sized(1, 1) };
        let wrong_way = d.get(Desc::WRITE) & !is_control;
        let not_written = !(d.get(Desc::WRITE) | d.get(Desc::INDIRECT));
        let bad = if const { walks != 0 } {
            empty | nested | beyond | endless | wrong_way | chain.get(Chain::BAD)
        } else {
            empty | not_written
        };
        let whole = if const { walks != 0 } { !more } else { !(more | d.get(Desc::INDIRECT)) };
        self.out.valid = self.st.q == St::GIVE;
        self.out.slot = self.slot.q;
        self.out.pair = self.pair.q;
        self.out.head = self.heads.rdata;
        self.out.address = d.get(Desc::ADDR);
        self.out.bytes = d.get(Desc::LEN);
        self.out.first = steps == 1;
        self.out.last = whole | bad;
        self.out.write = d.get(Desc::WRITE);
        self.out.bad = bad;
        self.out.next = link;
        self.out.indirect = d.get(Desc::INDIRECT);
        let given = self.out.valid & self.out.ready;
        if given {
            self.open.d = !self.out.last;
            self.open_job.d = self.number.q;
        }
        self.chain.valid = given & self.out.first;
        self.chain.slot = self.slot.q;

        // --- forgetting
        self.places.wipe = self.wipe.slot_valid & !self.wiped.q;
        self.places.wipe_slot = self.wipe.slot;
        self.wipe.done = self.wiped.q;
        if !(self.wipe.slot_valid | self.wipe.queue_valid) {
            self.wiped.d = 0;
        } else if self.places.wiped & self.wipe.slot_valid {
            self.wiped.d = 1;
        }
        let wipe_is_ours = if const { odd != 0 } {
            self.wipe.queue.bit(0) | self.wipe.queue.bit(3)
        } else {
            !(self.wipe.queue.bit(0) | self.wipe.queue.bit(3))
        };
        let wipe_pair = if self.wipe.queue.bit(3) { sized(4, 3) } else { self.wipe.queue.bits(3, 1) };

        let known = self.places.rdata[0].get(Place::SEEN) - self.places.rdata[0].get(Place::NEXT);
        let next_at = self.places.rdata[0].get(Place::NEXT) & (meta.get(Meta::SIZE) - 1);
        let to_end = meta.get(Meta::SIZE) - next_at;
        let few = least(least(known, to_end), sized(HEADS, 16));
        let many = least(few.trunc(4), self.room);

        match self.st.q {
            St::BOOT => {
                if self.stands.ready & self.places.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.sub.d = 0;
                if some {
                    self.number.d = pick;
                    self.turn.d = pick;
                    for j in 0..JOBS {
                        if pick == j {
                            self.slot.d = self.whose[j].q.bits(8, 3);
                            self.pair.d = self.whose[j].q.bits(2, 0);
                        }
                    }
                    self.st.d = St::LOAD;
                } else if self.todo.out_valid & free & !notified {
                    pops = 1;
                    self.slot.d = self.todo.out_data.bits(8, 3);
                    self.pair.d = self.todo.out_data.bits(2, 0);
                    self.number.d = spare;
                    self.st.d = St::LOOK;
                }
            }

            // A queue that has something to do.
            St::LOOK => self.st.d = St::TAKE,
            St::TAKE => {
                self.place.d = self.places.rdata[0];
                self.size.d = meta.get(Meta::SIZE);
                let is_there = meta.get(Meta::ENABLE) & terms.get(Terms::ALIVE);
                self.is_ring.d = known != 0;
                self.job.d = Job {
                    slot: self.slot.q,
                    pair: self.pair.q,
                    many: if known == 0 { sized(0, 4) } else { many },
                    ..0
                };
                if word_there {
                    self.st.d = St::DRIVER;
                    if (!is_there) | ((known != 0) & (many == 0)) {
                        // Of a queue that is not there nothing comes.
                        self.looked = !is_there;
                        self.dry = 1;
                        self.st.d = St::IDLE;
                    } else if (known == 0) & same_index.any() {
                        notes = same_index;
                        self.st.d = St::IDLE;
                    } else {
                        begins_job = 1;
                        self.ring.word = Word::DRIVER;
                    }
                }
            }
            St::DRIVER => {
                self.ring.word = Word::DRIVER;
                let place = self.place.q.get(Place::NEXT) & (self.size.q - 1);
                let offset = if self.is_ring.q { cat(sized(0, 15), place, sized(0, 1)) + 4 } else { 2 };
                self.address.d = self.ring.data + offset.zext(64);
                if word_there {
                    self.st.d = St::CLIP;
                }
            }
            St::CLIP => {
                let left = sized(2048, 12) - self.address.q.bits(11, 1).zext(12);
                let kept = if left < job.get(Job::MANY).zext(12) { left.trunc(4) } else { job.get(Job::MANY) };
                self.job.d = Job { many: kept, odd: self.address.q.bit(1), ..job };
                self.bytes.d = if self.is_ring.q { cat(sized(0, 8), kept, sized(0, 1)) } else { 2 };
                self.st.d = St::ASK;
            }
            St::ASK => {
                self.rd.valid = 1;
                let next = self.place.q.get(Place::NEXT) + job.get(Job::MANY).zext(16);
                if self.rd.ready {
                    parks = 1;
                    waits_for = if self.is_ring.q { sized(Waits::RING, 3) } else { Waits::INDEX };
                    if self.is_ring.q {
                        place_we = sized(1, 1);
                        place_new = Place { armed: 0, next: next, ..self.place.q };
                        self.reserve = 1;
                        // When all that is known is taken the index is looked at again.
                        requeues = 1;
                    }
                    self.st.d = St::IDLE;
                }
            }

            // What a job waited for is there.
            St::LOAD => {
                self.job.d = self.jobs.rdata;
                self.landed.raddr = cat(self.number.q, self.jobs.rdata.get(Job::AT).trunc(3), sized(0, 2));
                for j in 0..JOBS {
                    if self.number.q == j {
                        self.st.d = match self.waits[j].q {
                            Waits::INDEX => sized(St::INDEX, 5),
                            Waits::RING => St::RING,
                            Waits::HEADS => St::PASS,
                            Waits::DRAIN => St::FREE,
                            _ => St::RESUME,
                        };
                    }
                }
            }
            St::INDEX => {
                self.place.d = self.places.rdata[0];
                self.size.d = meta.get(Meta::SIZE);
                let index = if job.get(Job::ODD) { row.bits(31, 16) } else { row.bits(15, 0) };
                let fresh = index - self.places.rdata[0].get(Place::NEXT);
                let arms =
                    terms.get(Terms::EVENT_IDX) & terms.get(Terms::ALIVE) & !self.places.rdata[0].get(Place::ARMED);
                if word_there {
                    if number_failed {
                        self.looked = 1;
                        self.dry = 1;
                        self.st.d = St::BREAK;
                    } else if fresh == 0 {
                        self.looked = !arms;
                        self.dry = 1;
                        self.st.d = if arms { sized(St::ARM, 5) } else { St::FREE };
                    } else if fresh > meta.get(Meta::SIZE) {
                        self.st.d = St::BREAK;
                    } else {
                        self.looked = 1;
                        place_we = sized(1, 1);
                        place_new = Place { seen: index, ..self.places.rdata[0] };
                        requeues = 1;
                        self.st.d = St::FREE;
                    }
                }
            }
            St::ARM => {
                if self.used.ready {
                    place_we = sized(1, 1);
                    place_new = self.place.q.set(Place::ARMED, sized(1, 1));
                    self.place.d = self.place.q.set(Place::ARMED, sized(1, 1));
                    self.is_ring.d = 0;
                    self.ring.word = Word::DRIVER;
                    self.st.d = St::DRIVER;
                }
            }
            St::RING => {
                self.sub.d = 1;
                self.landed.raddr = cat(self.number.q, sized(0, 3), sized(1, 2));
                self.entries.d = row;
                self.size.d = meta.get(Meta::SIZE);
                if word_there {
                    self.st.d = St::ENTRIES;
                } else {
                    self.landed.raddr = cat(self.number.q, sized(0, 3), sized(0, 2));
                }
            }
            St::ENTRIES => {
                let both = cat(row.bits(15, 0), self.entries.q);
                self.entries.d = if job.get(Job::ODD) { both.bits(143, 16) } else { both.bits(127, 0) };
                self.sub.d = 0;
                self.ring.word = Word::DESC;
                self.st.d = if number_failed { sized(St::BREAK, 5) } else { St::DESC };
            }
            St::DESC => {
                self.ring.word = Word::DESC;
                self.base.d = self.ring.data;
                if word_there {
                    self.st.d = St::HEAD;
                }
            }
            St::HEAD => {
                let head = self.entries.q.bits(15, 0);
                let to = self.size.q - head;
                let wanted = if const { walks != 0 } {
                    if self.chains.q { sized(ROWS, 3) } else { sized(1, 3) }
                } else {
                    sized(1, 3)
                };
                let place = self.base.q.bits(63, 4) + head.zext(60);
                // Behind it in the table, and in its page.
                let in_table = if to < ROWS { to.trunc(3) } else { wanted };
                let in_page = if place.bits(7, 2).all() { sized(ROWS, 3) - place.bits(1, 0).zext(3) } else { wanted };
                let rows = least(least(wanted, in_table), in_page);
                self.address.d = cat(place, sized(0, 4));
                self.rows.d = rows;
                self.bytes.d = cat(sized(0, 6), rows, sized(0, 4));
                self.heads.we = 1;
                self.st.d = if head < self.size.q { sized(St::READ_HEAD, 5) } else { St::BREAK };
            }
            St::READ_HEAD => {
                self.rd.valid = 1;
                if self.rd.ready {
                    let next = job.get(Job::AT) + 1;
                    self.loaded.we = 1;
                    self.tables.we = 1;
                    self.entries.d = cat(sized(0, 16), self.entries.q.bits(127, 16));
                    self.job.d = job.set(Job::AT, next);
                    self.st.d = St::HEAD;
                    if next == job.get(Job::MANY) {
                        parks = 1;
                        self.job.d = job.set(Job::AT, sized(0, 4));
                        self.jobs.wdata = job.set(Job::AT, sized(0, 4));
                        waits_for = konst(Waits::HEADS);
                        self.st.d = St::IDLE;
                    }
                }
            }

            // Descriptors are there: the tables are asked for, or what has none is given on.
            St::PASS => {
                self.sub.d = 0;
                self.size.d = meta.get(Meta::SIZE);
                self.job.d = job.set(Job::STEPS, sized(1, 9));
                if word_there {
                    self.st.d = if number_failed { sized(St::BREAK, 5) } else { St::PASSED };
                }
            }
            St::PASSED => {
                self.desc.d = row;
                if const { walks != 0 } {
                    let len = row.get(Desc::LEN);
                    let crosses = row.bits(11, 4).all() & (row.bits(3, 0) != 0);
                    let odd_table = (len.bits(3, 0) != 0) | (row.bits(1, 0) != 0) | crosses;
                    let long = len.bits(31, 4) > self.size.q.zext(28);
                    let wrong = row.get(Desc::MORE) | (len == 0) | odd_table | long;
                    let next = job.get(Job::AT) + 1;
                    let rows = if len.bits(31, 4) < konst(ROWS) { len.bits(6, 4) } else { sized(ROWS, 3) };
                    let in_page =
                        if row.bits(11, 6).all() { sized(ROWS, 3) - row.bits(5, 4).zext(3) } else { sized(ROWS, 3) };
                    let last_partly = (row.bits(3, 0) != 0) & row.bits(11, 6).all();
                    let fits = if last_partly { in_page - 1 } else { in_page };
                    let asked = least(rows, fits);
                    self.address.d = row.get(Desc::ADDR);
                    self.rows.d = asked;
                    self.bytes.d = cat(sized(0, 6), asked, sized(0, 4));
                    self.tables.we = row.get(Desc::INDIRECT);
                    self.tables.wdata =
                        Chain { indirect: 1, bad: wrong, entries: len.bits(19, 4), address: row.get(Desc::ADDR) };
                    if row.get(Desc::INDIRECT) & !wrong {
                        self.st.d = St::READ_TABLE;
                    } else {
                        self.job.d = job.set(Job::AT, next);
                        self.st.d = St::PASS;
                        if next == job.get(Job::MANY) {
                            parks = 1;
                            self.jobs.wdata = Job { at: 0, steps: 1, moved: 0, ..job };
                            waits_for = konst(Waits::CHAINS);
                            self.st.d = St::IDLE;
                        }
                    }
                } else {
                    self.st.d = St::GIVE;
                }
            }
            St::READ_TABLE => {
                self.rd.valid = 1;
                if self.rd.ready {
                    let next = job.get(Job::AT) + 1;
                    self.loaded.we = 1;
                    self.job.d = job.set(Job::AT, next);
                    self.st.d = St::PASS;
                    if next == job.get(Job::MANY) {
                        parks = 1;
                        self.jobs.wdata = Job { at: 0, steps: 1, moved: 0, ..job };
                        waits_for = konst(Waits::CHAINS);
                        self.st.d = St::IDLE;
                    }
                }
            }

            // All that a chain begins with is there.
            St::RESUME => {
                self.size.d = meta.get(Meta::SIZE);
                if word_there {
                    self.st.d = St::WALK;
                }
            }
            St::WALK => {
                // What was begun must end: as a descriptor of no length does.
                self.desc.d = 0;
                self.st.d = if number_failed { sized(St::GIVE, 5) } else { St::SEE };
            }
            St::SEE => {
                self.desc.d = row;
                self.st.d = St::GIVE;
            }
            St::GIVE => {
                let next = job.get(Job::AT) + 1;
                let over = next == job.get(Job::MANY);
                if given {
                    if bad {
                        self.st.d = St::BREAK;
                    } else if const { walks == 0 } {
                        self.job.d = job.set(Job::AT, next);
                        self.st.d = if over { sized(St::FREE, 5) } else { St::PASS };
                    } else if more {
                        let rel = link - begin;
                        self.chains.d = self.chains.q | !indirect;
                        self.job.d = Job { steps: steps + 1, ..job };
                        self.sub.d = rel.trunc(2);
                        self.st.d = if rel < self.loaded.rdata.zext(16) { sized(St::WALK, 5) } else { St::MORE };
                        self.ring.word = Word::DESC;
                    } else {
                        if (steps == 1) & !indirect {
                            self.chains.d = 0;
                        }
                        self.sub.d = 0;
                        self.job.d = Job { at: next, steps: 1, moved: 0, ..job };
                        self.st.d = if over { sized(St::FREE, 5) } else { St::WALK };
                    }
                }
            }
            St::MORE => {
                self.ring.word = Word::DESC;
                let table = if indirect { chain.get(Chain::ADDRESS) } else { self.ring.data };
                let place = table + cat(sized(0, 44), link, sized(0, 4));
                let crosses = place.bits(11, 4).all() & (place.bits(3, 0) != 0);
                self.address.d = place;
                self.rows.d = 1;
                self.bytes.d = 16;
                self.job.d = Job { moved: 1, base: link, ..job };
                if word_there {
                    self.st.d = if crosses { sized(St::GIVE, 5) } else { St::READ_MORE };
                    if crosses {
                        self.desc.d = 0;
                    }
                }
            }
            St::READ_MORE => {
                self.rd.valid = 1;
                if self.rd.ready {
                    self.loaded.we = 1;
                    parks = 1;
                    waits_for = konst(Waits::CHAINS);
                    self.st.d = St::IDLE;
                }
            }
            St::FREE => {
                frees = 1;
                for j in 0..JOBS {
                    if (self.number.q == j) & self.again[j].q {
                        requeues = 1;
                    }
                }
                self.st.d = St::IDLE;
            }
            St::BREAK => {
                if self.broken.ready {
                    parks = 1;
                    waits_for = konst(Waits::DRAIN);
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        // A queue alone is forgotten beside whatever is done: nothing of its function is.
        let forgets = self.wipe.queue_valid & (!self.wiped.q) & !place_we;
        if forgets {
            self.wiped.d = 1;
        }
        self.places.we = place_we | (forgets & wipe_is_ours);
        self.places.waddr = if place_we { queue } else { cat(self.wipe.slot, wipe_pair) };
        self.places.wdata = if place_we { place_new } else { 0 };
        self.begins.valid = begins_job;
        self.begins.slot = self.slot.q;
        self.ends.valid = frees;
        self.ends.slot = self.slot.q;
        if parks {
            self.jobs.we = 1;
        }
        let mut working = sized(0, 1);
        for j in 0..JOBS {
            let this = self.number.q == j;
            if begins_job & this {
                self.whose[j].d = queue;
                self.after[j].d = if known == 0 { sized(0, JOBS) } else { same };
                self.again[j].d = 0;
                // It is not free any more, and what it waits for is not asked for yet.
                self.waits[j].d = if known == 0 { sized(Waits::INDEX, 3) } else { Waits::RING };
            } else {
                if notes.bit(j) {
                    self.again[j].d = 1;
                }
                if frees {
                    let gone = sized(1, JOBS) << self.number.q;
                    self.after[j].d = self.after[j].q & !gone;
                }
                if this & parks {
                    self.waits[j].d = waits_for;
                }
                if this & frees {
                    self.waits[j].d = Waits::NONE;
                }
            }
            if self.waits[j].q != Waits::NONE {
                working = 1;
            }
        }
        if begins_job {
            self.forget = sized(1, JOBS) << self.number.q;
        }

        // --- the ring of those that have something to do
        let mut asks = requeues;
        let mut which = queue;
        for back in 0..KICKS {
            let i: usize = KICKS - 1 - back;
            self.kick[i].ready = 0;
            if self.kick[i].valid & !requeues {
                asks = 1;
                which = cat(self.kick[i].slot, self.kick[i].pair);
            }
        }
        let mut served = requeues | (self.st.q == St::BOOT);
        for i in 0..KICKS {
            self.kick[i].ready = self.kick[i].valid & !served;
            served = served | self.kick[i].valid;
        }
        self.stands.raddr[0] = which;
        let pushes = asks & (self.st.q != St::BOOT) & !self.stands.rdata[0];
        self.stands.we = pushes | pops;
        self.stands.waddr = if pushes { which } else { self.todo.out_data };
        self.stands.wdata = pushes;
        self.stands.first = 0;
        self.stands.wipe = 0;
        self.stands.wipe_slot = 0;
        self.todo.in_valid = pushes;
        self.todo.in_data = which;
        self.todo.out_ready = pops;
        check!((!pushes) | self.todo.in_ready, "a queue stands twice among those that have something to do");
        self.busy = (!idle)
            | working
            | self.todo.out_valid
            | (self.todo.level != 0)
            | asks
            | self.wipe.slot_valid
            | self.wipe.queue_valid;
    }
}
