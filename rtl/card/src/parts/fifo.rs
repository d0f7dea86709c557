//! FIFOs, first word falls through: `out_data` is the oldest word while `out_valid`.

use azote_hdl::prelude::*;

/// Pointers count in one bit more than addresses the memory; what is above is never set, and is no hardware.
fn check(depth: usize) {
    assert!(depth.is_power_of_two() && (2..=32768).contains(&depth), "a FIFO of {depth} words");
}

/// A FIFO in distributed RAM, at most 64 words. A word is readable in the clock after it was written.
#[derive(LogicBlock, Default)]
pub struct Fifo<const D: usize> {
    pub clock: Clk,
    pub reset: Rst,
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_data: I<D>,
    pub out_valid: O<1>,
    pub out_ready: I<1>,
    pub out_data: O<D>,
    /// Words inside.
    pub level: O<16>,
    depth: Param,
    head: Reg<16>,
    tail: Reg<16>,
    mem: LutRam<6, D>,
}

impl<const D: usize> Fifo<D> {
    pub fn new(depth: usize) -> Self {
        check(depth);
        Fifo { depth: Param::new(depth), mem: LutRam::new(depth), ..Self::default() }
    }
}

#[kernel]
impl<const D: usize> Logic for Fifo<D> {
    fn update(&mut self) {
        memories!(self.mem);
        let index_bits: usize = self.depth.get().trailing_zeros() as usize;
        let head = self.head.q.trunc(index_bits + 1);
        let tail = self.tail.q.trunc(index_bits + 1);
        let level = tail - head;
        let some = tail != head;
        let room = level.bit(index_bits) == 0;
        self.level = level.zext(16);
        self.in_ready = room;
        self.out_valid = some;
        self.mem.we = self.in_valid & room;
        self.mem.waddr = tail.trunc(index_bits).zext(6);
        self.mem.wdata = self.in_data;
        self.mem.raddr = head.trunc(index_bits).zext(6);
        self.out_data = self.mem.rdata;
        let in_next = tail + 1;
        let out_next = head + 1;
        if self.in_valid & room {
            self.tail.d = in_next.zext(16);
        }
        if self.out_ready & some {
            self.head.d = out_next.zext(16);
        }
    }
}

/// A FIFO in block RAM. A word is readable two clocks after it was written; one word a clock in and out.
#[derive(LogicBlock)]
pub struct BlockFifo<const A: usize, const D: usize> {
    pub clock: Clk,
    pub reset: Rst,
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_data: I<D>,
    pub out_valid: O<1>,
    pub out_ready: I<1>,
    pub out_data: O<D>,
    /// Words inside.
    pub level: O<16>,
    head: Reg<16>,
    /// The word after `head`: a pop comes late in a clock, and leaves no time to count.
    after: Reg<16>,
    tail: Reg<16>,
    /// Whether the RAM's output register holds the word at `head`.
    loaded: Reg<1>,
    mem: Ram<A, D>,
}

impl<const A: usize, const D: usize> Default for BlockFifo<A, D> {
    fn default() -> Self {
        BlockFifo {
            clock: Default::default(),
            reset: Default::default(),
            in_valid: Default::default(),
            in_ready: Default::default(),
            in_data: Default::default(),
            out_valid: Default::default(),
            out_ready: Default::default(),
            out_data: Default::default(),
            level: Default::default(),
            head: Default::default(),
            after: Reg::new(1u64),
            tail: Default::default(),
            loaded: Default::default(),
            mem: Default::default(),
        }
    }
}

#[kernel]
impl<const A: usize, const D: usize> Logic for BlockFifo<A, D> {
    fn update(&mut self) {
        memories!(self.mem);
        let head = self.head.q.trunc(A + 1);
        let after = self.after.q.trunc(A + 1);
        let tail = self.tail.q.trunc(A + 1);
        let level = tail - head;
        let room = level.bit(A) == 0;
        let pop = self.loaded.q & self.out_ready;
        let next = if pop { after } else { head };
        let more = after != tail;
        let some = tail != head;
        self.level = level.zext(16);
        self.in_ready = room;
        self.out_valid = self.loaded.q;
        self.out_data = self.mem.rdata;
        self.mem.we = self.in_valid & room;
        self.mem.waddr = tail.trunc(A);
        self.mem.wdata = self.in_data;
        self.mem.raddr = next.trunc(A);
        // The tail before this clock's write: the RAM would return the old word for a new one.
        self.loaded.d = if pop { more } else { some };
        self.head.d = next.zext(16);
        let after_next = after + 1;
        let in_next = tail + 1;
        self.after.d = if pop { after_next.zext(16) } else { after.zext(16) };
        if self.in_valid & room {
            self.tail.d = in_next.zext(16);
        }
    }
}
