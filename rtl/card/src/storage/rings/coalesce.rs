//! Interrupt coalescing (NVMe 5.21.1.8, 5.21.1.9): completions of a vector are collected until there are enough of them, or
//! the first has waited long enough.
//!
//! A function that has not asked for it, a vector for which it is disabled and the admin queue pass through in the same
//! clock.

use azote_hdl::prelude::*;

use crate::parts::{BlockTable, Forget, Table, Tick, slots_of};

/// Microseconds of the unit of the time.
const UNIT: u64 = 100;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const LOOK: u64 = 2;
    const COUNT: u64 = 3;
    const FIRE: u64 = 4;
    const TAKEN: u64 = 5;
    const SCAN: u64 = 6;
    const AGE: u64 = 7;
    const FORGET: u64 = 8;
    const CLEAR: u64 = 9;
    const RULES: u64 = 10;
}

packed! {
    /// What a function has asked for: so many completions (0's based), so many times 100 us.
    Rule {
        time: 8,
        threshold: 8,
    }
}

packed! {
    /// A vector of a function.
    Vector {
        slot: 6,
        irq: 3,
    }
}

packed! {
    /// What a vector has collected, and for how long; nothing if it is not armed.
    Collected {
        armed: 1,
        age: 8,
        count: 8,
    }
}

#[derive(LogicBlock, Default)]
pub struct Coalesce {
    pub clock: Clk,
    pub reset: Rst,
    /// Time passes.
    pub awake: I<1>,
    /// A completion wants an interrupt, held until `ready`; slot and vector are steady some clocks before.
    pub valid: I<1>,
    pub slot: I<6>,
    pub irq: I<3>,
    pub admin: I<1>,
    pub ready: O<1>,
    /// One clock: what `set_slot` wants.
    pub set_rule: I<1>,
    pub set_vectors: I<1>,
    pub set_slot: I<6>,
    pub set_value: I<16>,
    pub set_disabled: I<8>,
    pub irq_valid: O<1>,
    pub irq_slot: O<6>,
    pub irq_vector: O<3>,
    pub irq_ready: I<1>,
    /// A controller was closed: held until `forget_done`, which stays until `forget` falls.
    pub forget: I<1>,
    pub forget_slot: I<6>,
    pub forget_done: O<1>,
    pub busy: O<1>,
    slots: Param,
    st: Reg<4>,
    /// The vector of the function that is being forgotten.
    irq_at: Reg<3>,
    /// The vector in hand, and whether it came from the timer.
    at: Reg<{ Vector::WIDTH }>,
    scans: Reg<1>,
    tick: Tick,
    timer: Reg<7>,
    due: Reg<1>,
    place: Reg<{ Vector::WIDTH }>,
    /// How many vectors have something collected.
    armed: Reg<10>,
    forgets: Forget,
    /// Of each function; the vectors for which it is disabled.
    rules: Table<6, { Rule::WIDTH }, 1>,
    disabled: Table<6, 8, 1>,
    /// Of each vector.
    state: BlockTable<{ Vector::WIDTH }, { Collected::WIDTH }, 1>,
}

impl Coalesce {
    /// For the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Coalesce {
            slots: Param::new(slots),
            rules: Table::new(slots, 0),
            disabled: Table::new(slots, 0),
            state: BlockTable::new(slots * 8, 3),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Coalesce {
    fn update(&mut self) {
        clocked!(self.forgets, self.rules, self.disabled, self.state, self.tick);
        self.tick.runs = self.awake;
        let rule = self.rules.rdata[0];
        let forgets = self.st.q == St::FORGET;
        let idle = self.st.q == St::IDLE;
        let scanning = (self.st.q == St::SCAN) | (self.st.q == St::AGE);
        let who = if scanning { self.at.q.get(Vector::SLOT) } else { self.slot };
        let threshold = rule.get(Rule::THRESHOLD);
        let time = rule.get(Rule::TIME);
        let off = self.disabled.rdata[0].sel(self.irq);
        let direct = self.admin | off | (threshold == 0) | (time == 0);
        let collected = self.state.rdata[0];
        let armed = collected.get(Collected::ARMED);
        let age = collected.get(Collected::AGE);
        let count = collected.get(Collected::COUNT);
        let older = age.zext(9) + 1;
        let fires = self.st.q == St::FIRE;
        self.ready = (idle & direct & self.irq_ready) | (self.st.q == St::TAKEN);
        self.irq_valid = (idle & direct & self.valid) | fires;
        self.irq_slot = if fires { self.at.q.get(Vector::SLOT) } else { self.slot };
        self.irq_vector = if fires { self.at.q.get(Vector::IRQ) } else { self.irq };
        self.forgets.ask = self.forget;
        self.forgets.over = 0;
        self.forget_done = self.forgets.done;
        let sets = self.set_rule | self.set_vectors;
        let lets_go = (self.st.q == St::RULES) & !sets;

        if self.tick.us {
            self.timer.d = self.timer.q + 1;
            if self.timer.q == konst(UNIT - 1) {
                self.timer.d = 0;
                self.due.d = self.armed.q != 0;
            }
        }
        let mut we = sized(0, 1);
        let mut where_ = self.at.q;
        let mut new = sized(0, Collected::WIDTH);
        let mut up = sized(0, 1);
        let mut down = sized(0, 1);
        match self.st.q {
            St::BOOT => {
                if self.state.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.scans.d = 0;
                self.at.d = Vector { slot: self.slot, irq: self.irq };
                if self.valid {
                    if !direct {
                        self.st.d = St::LOOK;
                    }
                } else if self.forgets.wanted {
                    self.st.d = St::FORGET;
                } else if self.due.q {
                    self.scans.d = 1;
                    self.at.d = self.place.q;
                    self.st.d = St::SCAN;
                }
            }
            St::LOOK => self.st.d = St::COUNT,
            St::COUNT => {
                // As many as the threshold says, 0's based: this one is one of them.
                we = 1;
                if count >= threshold {
                    down = armed;
                    self.st.d = St::FIRE;
                } else {
                    up = !armed;
                    new = Collected { armed: 1, age: if armed { age } else { 0 }, count: count + 1 };
                    self.st.d = St::TAKEN;
                }
            }
            St::FIRE => {
                if self.irq_ready {
                    self.st.d = if self.scans.q { St::IDLE } else { St::TAKEN };
                }
            }
            St::TAKEN => self.st.d = St::IDLE,
            St::SCAN => self.st.d = St::AGE,
            St::AGE => {
                let next = self.place.q.zext(10) + 1;
                self.place.d = next.trunc(9);
                if next == konst(self.slots.get() * 8) {
                    self.place.d = 0;
                    self.due.d = 0;
                }
                self.st.d = St::IDLE;
                if armed {
                    we = 1;
                    new = Collected { age: older.trunc(8), ..collected };
                    if older >= time.zext(9) {
                        down = 1;
                        new = 0;
                        self.st.d = St::FIRE;
                    }
                }
            }
            St::FORGET => self.st.d = St::CLEAR,
            St::CLEAR => {
                we = 1;
                where_ = Vector { slot: self.forget_slot, irq: self.irq_at.q };
                down = armed;
                self.irq_at.d = self.irq_at.q + 1;
                self.st.d = if self.irq_at.q == 7 { St::RULES } else { St::FORGET };
            }
            St::RULES => {
                // Who sets a rule in this clock goes first: it is said once.
                if lets_go {
                    self.forgets.over = 1;
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.armed.d = self.armed.q + up.zext(10) - down.zext(10);
        self.state.we = we;
        self.state.waddr = where_;
        self.state.wdata = new;
        self.state.raddr[0] = if forgets { Vector { slot: self.forget_slot, irq: self.irq_at.q } } else { self.at.q };
        self.state.first = 0;
        self.state.wipe = 0;
        self.state.wipe_slot = 0;
        self.rules.we = self.set_rule;
        self.rules.waddr = self.set_slot;
        self.rules.wdata = self.set_value;
        self.rules.raddr[0] = who;
        self.rules.first = 0;
        self.rules.wipe = lets_go;
        self.rules.wipe_slot = self.forget_slot;
        self.disabled.we = self.set_vectors;
        self.disabled.waddr = self.set_slot;
        self.disabled.wdata = self.set_disabled;
        self.disabled.raddr[0] = who;
        self.disabled.first = 0;
        self.disabled.wipe = lets_go;
        self.disabled.wipe_slot = self.forget_slot;
        self.busy = (!idle) | self.valid | (self.armed.q != 0);
    }
}
