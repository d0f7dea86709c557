//! A memory with a row for each slot, or several: swept after reset, since reset does not touch memories, and wiped slot by slot.
//!
//! Promises: after reset each row holds what the owner says it begins with before `ready` is set; a slot that is to be wiped
//! has all of its rows wiped in clocks in which the owner writes nothing, and only then is `wiped` set.
//!
//! [`Table`] answers in the same clock: the old row in the clock of a write, a sweep or a wipe. [`BlockTable`] answers a clock later and
//! in block RAM: nothing that may be used, if the row was written in the clock in which it was asked for. Each has `R` ports
//! to read by, all of one content.

use azote_hdl::prelude::*;

/// Which row is written: the sweep's, the owner's, or the wipe's.
#[derive(LogicBlock)]
pub struct Sweep<const A: usize> {
    pub clock: Clk,
    pub reset: Rst,
    pub we: I<1>,
    pub waddr: I<A>,
    pub wipe: I<1>,
    pub wipe_slot: I<6>,
    pub wiped: O<1>,
    pub ready: O<1>,
    /// A row is written; it begins anew; which.
    pub writes: O<1>,
    pub begins: O<1>,
    pub row: O<A>,
    /// The last row, and how many rows a slot has, log2.
    last: Param,
    rows: Param,
    at: Reg<A>,
    swept: Reg<1>,
}

impl<const A: usize> Default for Sweep<A> {
    fn default() -> Self {
        Self::new(1 << A, 0)
    }
}

impl<const A: usize> Sweep<A> {
    /// Of a memory of `depth` rows, `1 << rows` of them a slot's.
    pub fn new(depth: usize, rows: usize) -> Self {
        assert!(
            (2..=1 << A).contains(&depth) && rows < A,
            "{depth} rows with {A} bits of address, {rows} of them in a slot"
        );
        Sweep {
            clock: Default::default(),
            reset: Default::default(),
            we: Default::default(),
            waddr: Default::default(),
            wipe: Default::default(),
            wipe_slot: Default::default(),
            wiped: Default::default(),
            ready: Default::default(),
            writes: Default::default(),
            begins: Default::default(),
            row: Default::default(),
            last: Param::new(depth - 1),
            rows: Param::new(rows),
            at: Default::default(),
            swept: Default::default(),
        }
    }
}

#[kernel]
impl<const A: usize> Logic for Sweep<A> {
    fn update(&mut self) {
        let rows: usize = self.rows.get();
        let sweeps = !self.swept.q;
        let wipes = self.swept.q & self.wipe & !self.we;
        // Behind the sweep the count is that of the rows of a slot, and zero when nothing is wiped.
        let end = if sweeps { self.at.q == konst(self.last.get()) } else { self.at.q == konst((1usize << rows) - 1) };
        if sweeps | wipes {
            self.at.d = if end { 0 } else { self.at.q + 1 };
        } else if !self.wipe {
            self.at.d = 0;
        }
        if sweeps & end {
            self.swept.d = 1;
        }
        let of_slot = self.wipe_slot.resize(A) << konst(rows);
        self.wiped = wipes & end;
        self.ready = self.swept.q;
        self.begins = sweeps | wipes;
        self.writes = sweeps | wipes | self.we;
        self.row = if sweeps {
            self.at.q
        } else if self.we {
            self.waddr
        } else {
            of_slot | self.at.q
        };
        check!((!self.we) | self.swept.q, "a row is written before all of them are swept");
    }
}

/// Rows of `D` bits in distributed RAM.
#[derive(LogicBlock)]
pub struct Table<const A: usize, const D: usize, const R: usize> {
    pub clock: Clk,
    pub reset: Rst,
    /// All rows are swept.
    pub ready: O<1>,
    pub we: I<1>,
    pub waddr: I<A>,
    pub wdata: I<D>,
    pub raddr: [I<A>; R],
    pub rdata: [O<D>; R],
    /// What a row begins with, and which row that is in this clock.
    pub first: I<D>,
    pub row: O<A>,
    /// All rows of a slot are to begin anew: held until `wiped`.
    pub wipe: I<1>,
    pub wipe_slot: I<6>,
    pub wiped: O<1>,
    sweep: Sweep<A>,
    mem: [LutRam<A, D>; R],
}

impl<const A: usize, const D: usize, const R: usize> Default for Table<A, D, R> {
    fn default() -> Self {
        Self::new(1 << A, 0)
    }
}

impl<const A: usize, const D: usize, const R: usize> Table<A, D, R> {
    /// A table of `depth` rows, `1 << rows` of them a slot's.
    pub fn new(depth: usize, rows: usize) -> Self {
        Table {
            clock: Default::default(),
            reset: Default::default(),
            ready: Default::default(),
            we: Default::default(),
            waddr: Default::default(),
            wdata: Default::default(),
            raddr: std::array::from_fn(|_| Default::default()),
            rdata: std::array::from_fn(|_| Default::default()),
            first: Default::default(),
            row: Default::default(),
            wipe: Default::default(),
            wipe_slot: Default::default(),
            wiped: Default::default(),
            sweep: Sweep::new(depth, rows),
            mem: std::array::from_fn(|_| LutRam::new(depth)),
        }
    }
}

#[kernel]
impl<const A: usize, const D: usize, const R: usize> Logic for Table<A, D, R> {
    fn update(&mut self) {
        clocked!(self.sweep);
        self.sweep.we = self.we;
        self.sweep.waddr = self.waddr;
        self.sweep.wipe = self.wipe;
        self.sweep.wipe_slot = self.wipe_slot;
        self.wiped = self.sweep.wiped;
        self.ready = self.sweep.ready;
        self.row = self.sweep.row;
        for i in 0..R {
            memories!(self.mem[i]);
            self.mem[i].we = self.sweep.writes;
            self.mem[i].waddr = self.sweep.row;
            self.mem[i].wdata = if self.sweep.begins { self.first } else { self.wdata };
            self.mem[i].raddr = self.raddr[i];
            self.rdata[i] = self.mem[i].rdata;
        }
    }
}

/// Rows of `D` bits in block RAM: what is read is there a clock later.
#[derive(LogicBlock)]
pub struct BlockTable<const A: usize, const D: usize, const R: usize> {
    pub clock: Clk,
    pub reset: Rst,
    /// All rows are swept.
    pub ready: O<1>,
    pub we: I<1>,
    pub waddr: I<A>,
    pub wdata: I<D>,
    pub raddr: [I<A>; R],
    pub rdata: [O<D>; R],
    /// What a row begins with, and which row that is in this clock.
    pub first: I<D>,
    pub row: O<A>,
    /// All rows of a slot are to begin anew: held until `wiped`.
    pub wipe: I<1>,
    pub wipe_slot: I<6>,
    pub wiped: O<1>,
    sweep: Sweep<A>,
    mem: [Ram<A, D>; R],
}

impl<const A: usize, const D: usize, const R: usize> Default for BlockTable<A, D, R> {
    fn default() -> Self {
        Self::new(1 << A, 0)
    }
}

impl<const A: usize, const D: usize, const R: usize> BlockTable<A, D, R> {
    /// A table of `depth` rows, `1 << rows` of them a slot's.
    pub fn new(depth: usize, rows: usize) -> Self {
        BlockTable {
            clock: Default::default(),
            reset: Default::default(),
            ready: Default::default(),
            we: Default::default(),
            waddr: Default::default(),
            wdata: Default::default(),
            raddr: std::array::from_fn(|_| Default::default()),
            rdata: std::array::from_fn(|_| Default::default()),
            first: Default::default(),
            row: Default::default(),
            wipe: Default::default(),
            wipe_slot: Default::default(),
            wiped: Default::default(),
            sweep: Sweep::new(depth, rows),
            mem: std::array::from_fn(|_| Ram::new(depth)),
        }
    }
}

#[kernel]
impl<const A: usize, const D: usize, const R: usize> Logic for BlockTable<A, D, R> {
    fn update(&mut self) {
        clocked!(self.sweep);
        self.sweep.we = self.we;
        self.sweep.waddr = self.waddr;
        self.sweep.wipe = self.wipe;
        self.sweep.wipe_slot = self.wipe_slot;
        self.wiped = self.sweep.wiped;
        self.ready = self.sweep.ready;
        self.row = self.sweep.row;
        for i in 0..R {
            memories!(self.mem[i]);
            self.mem[i].we = self.sweep.writes;
            self.mem[i].waddr = self.sweep.row;
            self.mem[i].wdata = if self.sweep.begins { self.first } else { self.wdata };
            self.mem[i].raddr = self.raddr[i];
            self.rdata[i] = self.mem[i].rdata;
        }
    }
}
