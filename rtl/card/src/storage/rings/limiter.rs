//! How fast each function may go: two token buckets each, of commands and of blocks, filled by one timer that goes from
//! slot to slot.
//!
//! A rate is what comes into the bucket in 2^24 clocks; a slot's turn comes every 4096 clocks, so that the rate is what is
//! added then, in 4096ths. A command is paid for when it is fetched, its blocks when they are known: a bucket may fall
//! below nothing, and the function waits until it has filled again. What a bucket holds at most is two turns' worth and one
//! command, so a quiet function may be ahead of its limit by that and no more.
//!
//! Time that passes while nobody asks counts too: the timer goes on until a whole round has found every bucket as it must stay, and
//! stands until something comes that may change one.
//!
//! Promise: a function without a limit is always allowed; in the long run one that wants more gets its limit.

use azote_hdl::prelude::*;

use crate::parts::{BlockTable, Table, Tick, is_marked, slots_of, tick};
use crate::storage::words::Rates;

/// Clocks between two slots' turns, and of a round of all 64.
const STEP: u64 = 64;
const ROUND: u64 = STEP * 64;
const _: () = assert!(ROUND * 1_000_000 / tick::SLOWEST < 1 << 7, "a round has more microseconds than can be told");
/// Parts of a token.
const TOKEN: u64 = ROUND;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const READ: u64 = 2;
    const COUNT: u64 = 3;
    const WRITE: u64 = 4;
}

packed! {
    /// What is told of a function: its weight, which of its buckets hold nothing.
    Allowance {
        weight: 4,
        no_blocks: 1,
        no_commands: 1,
    }
}

#[derive(LogicBlock, Default)]
pub struct Limiter {
    pub clock: Clk,
    pub reset: Rst,
    /// Time passes.
    pub awake: I<1>,
    /// It must go on, though nobody waits for it.
    pub counts: O<1>,
    /// Limits may change, in this clock or the next.
    pub stirs: I<1>,
    /// The limits of `rate_slot`, a clock later.
    pub rate_slot: O<6>,
    pub rates: I<{ Rates::WIDTH }>,
    /// One clock: a command was fetched; a command has so many blocks; one that is long goes on with so many more. None of them
    /// twice within eight clocks.
    pub fetched: I<1>,
    pub fetched_slot: I<6>,
    pub moves: I<1>,
    pub moves_slot: I<6>,
    pub moves_blocks: I<12>,
    pub more: I<1>,
    pub more_slot: I<6>,
    pub more_blocks: I<12>,
    /// Whether `ask` may fetch, and its weight.
    pub ask: I<6>,
    pub allowed: O<1>,
    pub weight: O<4>,
    /// The same for whom a long command and for whom data is asked.
    pub ask_long: I<6>,
    pub allowed_long: O<1>,
    pub ask_data: I<6>,
    pub weight_data: O<4>,
    /// One clock: the bucket of this slot holds something again.
    pub revive: O<1>,
    pub revive_slot: O<6>,
    /// Who waits for its limits. One clock: `held_slot` has waited for `held_time` microseconds, for commands, for blocks.
    pub parked: I<64>,
    pub held: O<1>,
    pub held_slot: O<6>,
    pub held_time: O<7>,
    pub held_commands: O<1>,
    pub held_blocks: O<1>,
    /// Never set for time alone: who waits for it is busy itself.
    pub busy: O<1>,
    st: Reg<3>,
    s: Reg<6>,
    fills: Reg<1>,
    pays: Reg<1>,
    cost: Reg<12>,
    f_wait: Reg<1>,
    f_slot: Reg<6>,
    m_wait: Reg<1>,
    m_slot: Reg<6>,
    m_blocks: Reg<12>,
    l_wait: Reg<1>,
    l_slot: Reg<6>,
    l_blocks: Reg<12>,
    timer: Reg<12>,
    tick: Tick,
    /// Microseconds of the round so far, and of the last one: a round is no whole number of them.
    so_far: Reg<7>,
    round: Reg<7>,
    due: Reg<1>,
    due_slot: Reg<6>,
    /// The last slot that there is, and how many have a place.
    last: Param,
    slots: Param,
    /// Turns so far, without one between them that has changed a bucket: of all slots, and once more for what was in hand.
    calm: Reg<7>,
    /// What was counted: the buckets, whether they have limits and were spent before, the weight.
    new_c: Reg<32>,
    new_b: Reg<32>,
    limit_c: Reg<1>,
    limit_b: Reg<1>,
    spent_c: Reg<1>,
    spent_b: Reg<1>,
    r_weight: Reg<4>,
    commands: BlockTable<6, 32, 1>,
    blocks: BlockTable<6, 32, 1>,
    /// Of each function, for each of those who ask.
    state: Table<6, { Allowance::WIDTH }, 3>,
}

impl Limiter {
    /// The limits of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Limiter {
            last: Param::new(vfs),
            slots: Param::new(slots),
            commands: BlockTable::new(slots, 0),
            blocks: BlockTable::new(slots, 0),
            state: Table::new(slots, 0),
            ..Self::default()
        }
    }
}

/// What a bucket of this rate holds at most.
#[pure]
fn most(rate: V) -> V {
    cat(sized(0, 7), rate, sized(0, 1)) + konst(TOKEN)
}

/// A bucket after what came and what went: both in 32 bits, two's complement.
#[pure]
fn bucket(held: V, rate: V, fills: V, cost: V) -> V {
    let filled = held + (if fills { rate.zext(32) } else { 0 });
    let top = most(rate);
    let over = (!filled.bit(31)) & (filled > top);
    (if over { top } else { filled }) - cost
}

/// Nothing is left in a bucket: zero or below.
#[pure]
fn spent(held: V) -> V {
    held.bit(31) | (held == 0)
}

/// Whether a function may go on.
#[pure]
fn allows(state: V) -> V {
    !(state.get(Allowance::NO_BLOCKS) | state.get(Allowance::NO_COMMANDS))
}

#[kernel]
impl Logic for Limiter {
    fn update(&mut self) {
        clocked!(self.commands, self.blocks, self.state, self.tick);
        let commands = self.commands.rdata[0];
        let blocks = self.blocks.rdata[0];
        let rate_c = self.rates.get(Rates::COMMANDS);
        let rate_b = self.rates.get(Rates::BLOCKS);
        let cost_c = if self.pays.q { sized(TOKEN, 32) } else { 0 };
        let cost_b = cat(sized(0, 8), self.cost.q, sized(0, 12));
        self.new_c.d = bucket(commands, rate_c, self.fills.q, cost_c);
        self.new_b.d = bucket(blocks, rate_b, self.fills.q, cost_b);
        self.limit_c.d = rate_c != 0;
        self.limit_b.d = rate_b != 0;
        self.spent_c.d = spent(commands);
        self.spent_b.d = spent(blocks);
        self.r_weight.d = self.rates.get(Rates::WEIGHT);
        let empty_c = self.limit_c.q & spent(self.new_c.q);
        let empty_b = self.limit_b.q & spent(self.new_b.q);

        let writes = self.st.q == St::WRITE;
        let boots = self.st.q == St::BOOT;
        self.commands.we = writes;
        self.commands.waddr = self.s.q;
        // A bucket without a limit stays where it is, so that a limit that comes begins with an empty one.
        let put_c = if self.limit_c.q { self.new_c.q } else { 0 };
        let put_b = if self.limit_b.q { self.new_b.q } else { 0 };
        self.commands.wdata = put_c;
        self.commands.raddr[0] = self.s.q;
        self.commands.first = 0;
        self.commands.wipe = 0;
        self.commands.wipe_slot = 0;
        self.blocks.we = writes;
        self.blocks.waddr = self.s.q;
        self.blocks.wdata = put_b;
        self.blocks.raddr[0] = self.s.q;
        self.blocks.first = 0;
        self.blocks.wipe = 0;
        self.blocks.wipe_slot = 0;
        self.state.we = writes;
        self.state.waddr = self.s.q;
        self.state.wdata = Allowance { weight: self.r_weight.q, no_blocks: empty_b, no_commands: empty_c };
        self.state.first = 0;
        self.state.wipe = 0;
        self.state.wipe_slot = 0;
        self.state.raddr[0] = self.ask;
        self.state.raddr[1] = self.ask_long;
        self.state.raddr[2] = self.ask_data;
        let state = self.state.rdata[0];
        self.allowed = allows(state);
        self.weight = state.get(Allowance::WEIGHT);
        self.allowed_long = allows(self.state.rdata[1]);
        self.weight_data = self.state.rdata[2].get(Allowance::WEIGHT);
        self.rate_slot = self.s.q;
        self.revive = writes & self.fills.q & !(empty_c | empty_b);
        self.revive_slot = self.s.q;

        self.held = writes & self.fills.q & is_marked(self.parked, self.s.q, { self.slots.get() });
        self.held_slot = self.s.q;
        self.held_time = self.round.q;
        self.held_commands = self.limit_c.q & self.spent_c.q;
        self.held_blocks = self.limit_b.q & self.spent_b.q;

        let still = self.calm.q == konst(2 * (self.last.get() + 1));
        self.tick.runs = self.awake;
        if self.awake {
            self.timer.d = self.timer.q + 1;
            let micros = self.so_far.q + self.tick.us.zext(7);
            self.so_far.d = micros;
            if self.timer.q.all() {
                self.round.d = micros;
                self.so_far.d = 0;
            }
            let next = self.timer.q.bits(11, 6);
            if self.timer.q.bits(5, 0).all() & (next <= konst(self.last.get())) {
                self.due.d = 1;
                self.due_slot.d = next;
            }
        }
        if writes {
            // What was there is still read: a memory shows what is written a clock later.
            let same = (put_c == commands) & (put_b == blocks);
            if !same {
                self.calm.d = 0;
            } else if self.fills.q & !still {
                self.calm.d = self.calm.q + 1;
            }
        }
        if self.stirs {
            self.calm.d = 0;
        }
        if self.fetched {
            self.f_wait.d = 1;
            self.f_slot.d = self.fetched_slot;
        }
        if self.moves {
            self.m_wait.d = 1;
            self.m_slot.d = self.moves_slot;
            self.m_blocks.d = self.moves_blocks;
        }
        if self.more {
            self.l_wait.d = 1;
            self.l_slot.d = self.more_slot;
            self.l_blocks.d = self.more_blocks;
        }
        let idle = self.st.q == St::IDLE;
        check!((!(self.fetched & self.f_wait.q)) | idle, "a command is not paid for");
        check!((!(self.moves & self.m_wait.q)) | (idle & !self.f_wait.q), "a command's blocks are not paid for");
        check!(
            (!(self.more & self.l_wait.q)) | (idle & !(self.f_wait.q | self.m_wait.q)),
            "a long command's blocks are not paid for"
        );
        match self.st.q {
            St::BOOT => {
                if self.state.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.fills.d = 0;
                self.pays.d = 0;
                self.cost.d = 0;
                if self.f_wait.q {
                    self.f_wait.d = self.fetched;
                    self.s.d = self.f_slot.q;
                    self.pays.d = 1;
                    self.st.d = St::READ;
                } else if self.m_wait.q {
                    self.m_wait.d = self.moves;
                    self.s.d = self.m_slot.q;
                    self.cost.d = self.m_blocks.q;
                    self.st.d = St::READ;
                } else if self.l_wait.q {
                    self.l_wait.d = self.more;
                    self.s.d = self.l_slot.q;
                    self.cost.d = self.l_blocks.q;
                    self.st.d = St::READ;
                } else if self.due.q {
                    self.due.d = 0;
                    self.s.d = self.due_slot.q;
                    self.fills.d = 1;
                    self.st.d = St::READ;
                }
            }
            St::READ => self.st.d = St::COUNT,
            St::COUNT => self.st.d = St::WRITE,
            _ => self.st.d = St::IDLE,
        }
        self.busy = boots | self.f_wait.q | self.m_wait.q | self.l_wait.q;
        self.counts = (!still) | (!idle) | self.due.q;
    }
}
