//! FIFOs between two clocks that know nothing of each other, first word falls through.
//!
//! Each side keeps its own place in Gray code, and sees the other's through two flip-flops: of a Gray code one bit changes at a
//! time, so that what is seen is a place where the other was, if not where it is. So a side may think that there is less room,
//! or fewer words, than there is, and never more.
//!
//! A reset of one side is one of both: the other hears of it as it hears of places. It must last for six clocks of the
//! slower side. Words that are inside are lost; what comes out of the other side meanwhile, for three of its clocks, means nothing.

mod between;
mod sides;

use azote_hdl::prelude::*;

use self::between::Between;
use self::sides::{BlockReadSide, ReadSide, WriteSide};

/// In distributed RAM, 2^A words, at least four. A word is readable three clocks of the reading side after it was written.
#[derive(LogicBlock, Default)]
pub struct AsyncFifo<const A: usize, const P: usize, const D: usize> {
    pub in_clock: Clk,
    pub in_reset: Rst,
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_data: I<D>,
    pub out_clock: Clk,
    pub out_reset: Rst,
    pub out_valid: O<1>,
    pub out_ready: I<1>,
    pub out_data: O<D>,
    write: WriteSide<P>,
    read: ReadSide<P>,
    /// Whether the other side is being reset.
    in_stops: Sync<1>,
    out_stops: Sync<1>,
    between: Between<P>,
    mem: LutRam<A, D>,
}

impl<const A: usize, const P: usize, const D: usize> AsyncFifo<A, P, D> {
    pub fn new() -> Self {
        check::<A, P>();
        Self::default()
    }
}

/// Places have a bit more than addresses, to tell full from empty.
fn check<const A: usize, const P: usize>() {
    assert!(A >= 2 && P == A + 1, "a FIFO of 2^{A} words, and places of {P} bits");
}

#[kernel]
impl<const A: usize, const P: usize, const D: usize> Logic for AsyncFifo<A, P, D> {
    fn update(&mut self) {
        self.write.clock = self.in_clock;
        self.in_stops.clock = self.in_clock;
        self.mem.clock = self.in_clock;
        self.read.clock = self.out_clock;
        self.out_stops.clock = self.out_clock;
        self.in_stops.from = self.out_reset;
        self.out_stops.from = self.in_reset;
        let in_stops = self.in_reset | self.in_stops.to;
        let out_stops = self.out_reset | self.out_stops.to;
        self.write.reset = in_stops;
        self.read.reset = out_stops;

        self.write.valid = self.in_valid & !in_stops;
        self.in_ready = self.write.ready & !in_stops;
        self.write.other = self.read.told;
        self.mem.we = self.write.we;
        self.mem.waddr = self.write.place.trunc(A);
        self.mem.wdata = self.in_data;
        self.mem.raddr = self.read.place.trunc(A);
        self.out_data = self.mem.rdata;
        self.out_valid = self.read.valid & !out_stops;
        self.read.ready = self.out_ready & !out_stops;
        self.read.other = self.write.told;

        self.between.clock = self.in_clock;
        self.between.reset = self.in_reset;
        self.between.write = self.write.place;
        self.between.write_told = self.write.told;
        self.between.write_comes = self.write.comes;
        self.between.write_first = self.write.first;
        self.between.write_seen = self.write.sees;
        self.between.writes = self.write.we;
        self.between.read = self.read.place;
        self.between.read_told = self.read.told;
        self.between.read_comes = self.read.comes;
        self.between.read_first = self.read.first;
        self.between.read_seen = self.read.sees;
        self.between.reads = self.read.valid & self.out_ready & !out_stops;
        self.between.stops = in_stops | out_stops;
    }
}

/// In block RAM, 2^A words. A word is readable four clocks of the reading side after it was written.
#[derive(LogicBlock, Default)]
pub struct AsyncBlockFifo<const A: usize, const P: usize, const D: usize> {
    pub in_clock: Clk,
    pub in_reset: Rst,
    pub in_valid: I<1>,
    pub in_ready: O<1>,
    pub in_data: I<D>,
    pub out_clock: Clk,
    pub out_reset: Rst,
    pub out_valid: O<1>,
    pub out_ready: I<1>,
    pub out_data: O<D>,
    write: WriteSide<P>,
    read: BlockReadSide<P>,
    in_stops: Sync<1>,
    out_stops: Sync<1>,
    between: Between<P>,
    mem: DualRam<A, D>,
}

impl<const A: usize, const P: usize, const D: usize> AsyncBlockFifo<A, P, D> {
    pub fn new() -> Self {
        check::<A, P>();
        Self::default()
    }
}

#[kernel]
impl<const A: usize, const P: usize, const D: usize> Logic for AsyncBlockFifo<A, P, D> {
    fn update(&mut self) {
        self.write.clock = self.in_clock;
        self.in_stops.clock = self.in_clock;
        self.mem.clock = self.in_clock;
        self.mem.read_clock = self.out_clock;
        self.read.clock = self.out_clock;
        self.out_stops.clock = self.out_clock;
        self.in_stops.from = self.out_reset;
        self.out_stops.from = self.in_reset;
        let in_stops = self.in_reset | self.in_stops.to;
        let out_stops = self.out_reset | self.out_stops.to;
        self.write.reset = in_stops;
        self.read.reset = out_stops;

        self.write.valid = self.in_valid & !in_stops;
        self.in_ready = self.write.ready & !in_stops;
        self.write.other = self.read.told;
        self.mem.we = self.write.we;
        self.mem.waddr = self.write.place.trunc(A);
        self.mem.wdata = self.in_data;
        self.mem.raddr = self.read.place.trunc(A);
        self.out_data = self.mem.rdata;
        self.out_valid = self.read.valid & !out_stops;
        self.read.ready = self.out_ready & !out_stops;
        self.read.other = self.write.told;

        self.between.clock = self.in_clock;
        self.between.reset = self.in_reset;
        self.between.write = self.write.place;
        self.between.write_told = self.write.told;
        self.between.write_comes = self.write.comes;
        self.between.write_first = self.write.first;
        self.between.write_seen = self.write.sees;
        self.between.writes = self.write.we;
        self.between.read = self.read.now;
        self.between.read_told = self.read.told;
        self.between.read_comes = self.read.comes;
        self.between.read_first = self.read.first;
        self.between.read_seen = self.read.sees;
        self.between.reads = self.read.valid & self.out_ready & !out_stops;
        self.between.stops = in_stops | out_stops;
    }
}
