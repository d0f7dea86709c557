//! How fast each function may go: two token buckets each, of commands and of blocks, filled by one timer that goes from
//! slot to slot.
//!
//! A rate is what comes into the bucket in 2^24 clocks; a slot's turn comes every 4096 clocks, so that the rate is what is
//! added then, in 4096ths. A command is paid for when it is fetched, its blocks when they are known: a bucket may fall
//! below nothing, and the function waits until it has filled again. What a bucket holds at most is two turns' worth and one
//! command, so a quiet function may be ahead of its limit by that and no more.
//!
//! Promise: a function without a limit is always allowed; in the long run one that wants more gets its limit.

use azote_hdl::prelude::*;
use azote_regs::clock;

use crate::storage::words::Rates;

/// Clocks between two slots' turns, and of a round of all 64.
const STEP: u64 = 64;
const ROUND: u64 = STEP * 64;
const _: () = assert!(ROUND % clock::MHZ * 5 == clock::MHZ, "a fifth of a microsecond is left over");
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
    pub held_time: O<6>,
    pub held_commands: O<1>,
    pub held_blocks: O<1>,
    /// Never set for time alone: who waits for it is busy itself.
    pub busy: O<1>,
    st: Reg<3>,
    boot: Reg<6>,
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
    /// Rounds are no whole number of microseconds: in one of five there is one more.
    fifth: Reg<3>,
    due: Reg<1>,
    due_slot: Reg<6>,
    /// What was counted: the buckets, whether they have limits and were spent before, the weight.
    new_c: Reg<32>,
    new_b: Reg<32>,
    limit_c: Reg<1>,
    limit_b: Reg<1>,
    spent_c: Reg<1>,
    spent_b: Reg<1>,
    r_weight: Reg<4>,
    commands: Ram<6, 32>,
    blocks: Ram<6, 32>,
    /// Of each function, with a copy for each of those who ask.
    state: LutRam<6, { Allowance::WIDTH }>,
    state_long: LutRam<6, { Allowance::WIDTH }>,
    state_data: LutRam<6, { Allowance::WIDTH }>,
}

impl Limiter {
    /// The limits of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = (vfs + 1).next_power_of_two();
        Limiter {
            commands: Ram::new(slots),
            blocks: Ram::new(slots),
            state: LutRam::new(slots),
            state_long: LutRam::new(slots),
            state_data: LutRam::new(slots),
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
        memories!(self.commands, self.blocks, self.state, self.state_long, self.state_data);
        let rate_c = self.rates.get(Rates::COMMANDS);
        let rate_b = self.rates.get(Rates::BLOCKS);
        let cost_c = if self.pays.q { sized(TOKEN, 32) } else { 0 };
        let cost_b = cat(sized(0, 8), self.cost.q, sized(0, 12));
        self.new_c.d = bucket(self.commands.rdata, rate_c, self.fills.q, cost_c);
        self.new_b.d = bucket(self.blocks.rdata, rate_b, self.fills.q, cost_b);
        self.limit_c.d = rate_c != 0;
        self.limit_b.d = rate_b != 0;
        self.spent_c.d = spent(self.commands.rdata);
        self.spent_b.d = spent(self.blocks.rdata);
        self.r_weight.d = self.rates.get(Rates::WEIGHT);
        let empty_c = self.limit_c.q & spent(self.new_c.q);
        let empty_b = self.limit_b.q & spent(self.new_b.q);

        let writes = self.st.q == St::WRITE;
        let boots = self.st.q == St::BOOT;
        let at = if boots { self.boot.q } else { self.s.q };
        self.commands.we = writes | boots;
        self.commands.waddr = at;
        // A bucket without a limit stays where it is, so that a limit that comes begins with an empty one.
        self.commands.wdata = if boots | !self.limit_c.q { 0 } else { self.new_c.q };
        self.commands.raddr = self.s.q;
        self.blocks.we = writes | boots;
        self.blocks.waddr = at;
        self.blocks.wdata = if boots | !self.limit_b.q { 0 } else { self.new_b.q };
        self.blocks.raddr = self.s.q;
        let state =
            if boots { 0 } else { Allowance { weight: self.r_weight.q, no_blocks: empty_b, no_commands: empty_c } };
        self.state.we = writes | boots;
        self.state.waddr = at;
        self.state.wdata = state;
        self.state.raddr = self.ask;
        self.allowed = allows(self.state.rdata);
        self.weight = self.state.rdata.get(Allowance::WEIGHT);
        self.state_long.we = writes | boots;
        self.state_long.waddr = at;
        self.state_long.wdata = state;
        self.state_long.raddr = self.ask_long;
        self.allowed_long = allows(self.state_long.rdata);
        self.state_data.we = writes | boots;
        self.state_data.waddr = at;
        self.state_data.wdata = state;
        self.state_data.raddr = self.ask_data;
        self.weight_data = self.state_data.rdata.get(Allowance::WEIGHT);
        self.rate_slot = self.s.q;
        self.revive = writes & self.fills.q & !(empty_c | empty_b);
        self.revive_slot = self.s.q;

        self.held = writes & self.fills.q & self.parked.sel(self.s.q);
        self.held_slot = self.s.q;
        self.held_time = if self.fifth.q == 0 { sized(ROUND / clock::MHZ + 1, 6) } else { konst(ROUND / clock::MHZ) };
        self.held_commands = self.limit_c.q & self.spent_c.q;
        self.held_blocks = self.limit_b.q & self.spent_b.q;

        self.timer.d = self.timer.q + 1;
        if self.timer.q.all() {
            self.fifth.d = if self.fifth.q == 4 { 0 } else { self.fifth.q + 1 };
        }
        if self.timer.q.bits(5, 0).all() {
            self.due.d = 1;
            self.due_slot.d = self.timer.q.bits(11, 6);
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
                self.boot.d = self.boot.q + 1;
                if self.boot.q.all() {
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
    }
}
