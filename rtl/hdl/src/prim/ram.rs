//! Memories. Contents are zero (or the given words) at power-on and untouched by reset: whoever keeps state that a
//! reset must clear sweeps it. A depth is a power of two, the next one. An address wraps there, as wires do: whoever has
//! one from outside looks whether it is one before it counts, and a simulation fails at a write behind the end.

use num_bigint::BigUint;
use rust_hdl::core::ast::Verilog;
use rust_hdl::core::prelude::*;

use crate::signal::Param;

/// One write port, one read port with a registered output: block RAM.
///
/// A read in the clock of a write to the same address returns **nothing that may be used**: the device's block RAM promises
/// neither word then, and logic that makes it the old one costs two registers and a multiplexer for every bit. So that nobody
/// relies on either, every simulation and proof reads the complement of the old word.
#[derive(Clone, Debug, LogicBlock)]
pub struct Ram<const A: usize, const D: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Write `wdata` to `waddr`.
    pub we: Signal<In, Bits<1>>,
    /// Write address.
    pub waddr: Signal<In, Bits<A>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<D>>,
    /// Read address.
    pub raddr: Signal<In, Bits<A>>,
    /// Word at the `raddr` of the clock before.
    pub rdata: Signal<Out, Bits<D>>,
    depth: Param,
    mem: Words<D>,
}

/// The words for rust-hdl's simulator; not hardware of its own.
#[derive(Clone, Debug, Default)]
pub struct Words<const D: usize>(Vec<Bits<D>>);

impl<const D: usize> Words<D> {
    fn zero(depth: usize) -> Self {
        Words(vec![Bits::default(); depth])
    }
    fn at(&self, i: usize) -> Bits<D> {
        self.0.get(i & (self.0.len() - 1)).copied().unwrap_or_default()
    }
    fn put(&mut self, i: usize, v: Bits<D>) {
        let last = self.0.len() - 1;
        if let Some(w) = self.0.get_mut(i & last) {
            *w = v;
        }
    }
}

impl<const D: usize> Logic for Words<D> {
    fn update(&mut self) {}
}

impl<const D: usize> Block for Words<D> {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, _name: &str, _probe: &mut dyn rust_hdl::core::probe::Probe) {}
}

/// The depth of a memory that is to hold `depth` words.
fn round(a: usize, depth: usize) -> usize {
    assert!(depth >= 2 && depth <= 1 << a, "{depth} words behind {a} address bits");
    depth.next_power_of_two()
}

fn zeroes(depth: usize, d: usize) -> String {
    format!(
        "reg [{}:0] mem [0:{}];\ninteger i;\ninitial for (i = 0; i < {depth}; i = i + 1) mem[i] = {d}'h0;\n",
        d - 1,
        depth - 1
    )
}

/// What a simulation says of a write behind the last word: it would wrap, and spoil a word of another.
fn ends(a: usize, depth: usize) -> String {
    if depth == 1 << a {
        return String::new();
    }
    format!(
        "\n`ifndef SYNTHESIS\n`ifdef VERILATOR\nalways @(posedge clock) must_end: `CHECK(!we || waddr < {a}'d{depth}, \
         \"a word behind the end of a memory is written\");\n`endif\n`endif"
    )
}

/// A memory's index, cut to what the depth needs.
fn ix(port: &str, a: usize, depth: usize) -> String {
    let need = depth.trailing_zeros() as usize;
    if need == a { port.into() } else { format!("{port}[{}:0]", need - 1) }
}

impl<const A: usize, const D: usize> Ram<A, D> {
    /// `depth` words, at most 2^A.
    pub fn new(depth: usize) -> Self {
        let depth = round(A, depth);
        Ram {
            clock: Signal::default(),
            we: Signal::default(),
            waddr: Signal::default(),
            wdata: Signal::default(),
            raddr: Signal::default(),
            rdata: Signal::default(),
            depth: Param::new(depth),
            mem: Words::zero(depth),
        }
    }
}

impl<const A: usize, const D: usize> Default for Ram<A, D> {
    /// As deep as its address reaches.
    fn default() -> Self {
        Self::new(1 << A)
    }
}

impl<const A: usize, const D: usize> Logic for Ram<A, D> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let last = self.depth.get() - 1;
            let (from, to) = (self.raddr.val().index() & last, self.waddr.val().index() & last);
            let (writes, old) = (self.we.val().any(), self.mem.at(from));
            self.rdata.next = if writes && from == to { !old } else { old };
            if writes {
                self.mem.put(to, self.wdata.val());
            }
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        let n = self.depth.get();
        let (w, r) = (ix("waddr", A, n), ix("raddr", A, n));
        Verilog::Custom(format!(
            "// block Ram\n// {n} x {D}, registered read, nothing to use of a word that is being written\n\
             (* no_rw_check *) {}\
             initial rdata = {D}'h0;\n\
             always @(posedge clock) begin\n  if (we) mem[{w}] <= wdata;\n  rdata <= mem[{r}];\n\
             `ifndef SYNTHESIS\n  if (we && {w} == {r}) rdata <= ~mem[{r}];\n`endif\nend{}",
            zeroes(n, D),
            ends(A, n)
        ))
    }
}

/// One write port, one read port that answers in the same clock: distributed RAM, for what a decision needs at once.
///
/// A read in the clock of a write to the same address returns the old word.
#[derive(Clone, Debug, LogicBlock)]
pub struct LutRam<const A: usize, const D: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Write `wdata` to `waddr`.
    pub we: Signal<In, Bits<1>>,
    /// Write address.
    pub waddr: Signal<In, Bits<A>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<D>>,
    /// Read address.
    pub raddr: Signal<In, Bits<A>>,
    /// Word at `raddr`, in the same clock.
    pub rdata: Signal<Out, Bits<D>>,
    depth: Param,
    mem: Words<D>,
}

impl<const A: usize, const D: usize> LutRam<A, D> {
    /// `depth` words, at most 2^A.
    pub fn new(depth: usize) -> Self {
        let depth = round(A, depth);
        LutRam {
            clock: Signal::default(),
            we: Signal::default(),
            waddr: Signal::default(),
            wdata: Signal::default(),
            raddr: Signal::default(),
            rdata: Signal::default(),
            depth: Param::new(depth),
            mem: Words::zero(depth),
        }
    }
}

impl<const A: usize, const D: usize> Default for LutRam<A, D> {
    /// As deep as its address reaches.
    fn default() -> Self {
        Self::new(1 << A)
    }
}

impl<const A: usize, const D: usize> Logic for LutRam<A, D> {
    fn update(&mut self) {
        if self.clock.pos_edge() && self.we.val().any() {
            let (a, d) = (self.waddr.val().index(), self.wdata.val());
            self.mem.put(a, d);
        }
        self.rdata.next = self.mem.at(self.raddr.val().index());
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        let n = self.depth.get();
        let (w, r) = (ix("waddr", A, n), ix("raddr", A, n));
        Verilog::Custom(format!(
            "// block LutRam\n// {n} x {D}, read in the same clock\n{}\
             always @(posedge clock) if (we) mem[{w}] <= wdata;\n\
             always @(*) rdata = mem[{r}];{}",
            zeroes(n, D),
            ends(A, n)
        ))
    }
}

/// One write port at one clock, one read port with a registered output at another: block RAM.
///
/// What a read in the clock of a write to the same address returns is nobody's to say: whoever uses it never does that.
#[derive(Clone, Debug, LogicBlock)]
pub struct DualRam<const A: usize, const D: usize> {
    /// The clock of writes.
    pub clock: Signal<In, Clock>,
    /// Write `wdata` to `waddr`.
    pub we: Signal<In, Bits<1>>,
    /// Write address.
    pub waddr: Signal<In, Bits<A>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<D>>,
    /// The clock of reads.
    pub read_clock: Signal<In, Clock>,
    /// Read address.
    pub raddr: Signal<In, Bits<A>>,
    /// Word at the `raddr` of the read clock before.
    pub rdata: Signal<Out, Bits<D>>,
    mem: Words<D>,
}

impl<const A: usize, const D: usize> Default for DualRam<A, D> {
    /// As deep as its address reaches.
    fn default() -> Self {
        DualRam {
            clock: Signal::default(),
            we: Signal::default(),
            waddr: Signal::default(),
            wdata: Signal::default(),
            read_clock: Signal::default(),
            raddr: Signal::default(),
            rdata: Signal::default(),
            mem: Words::zero(1 << A),
        }
    }
}

impl<const A: usize, const D: usize> Logic for DualRam<A, D> {
    fn update(&mut self) {
        if self.read_clock.pos_edge() {
            self.rdata.next = self.mem.at(self.raddr.val().index());
        }
        if self.clock.pos_edge() && self.we.val().any() {
            let (a, d) = (self.waddr.val().index(), self.wdata.val());
            self.mem.put(a, d);
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Custom(format!(
            "// block DualRam\n// {} x {D}, written and read at clocks of their own\n{}\
             initial rdata = {D}'h0;\n\
             always @(posedge clock) if (we) mem[waddr] <= wdata;\n\
             always @(posedge read_clock) rdata <= mem[raddr];",
            1 << A,
            zeroes(1 << A, D)
        ))
    }
}

/// Constant words, read with a registered output.
#[derive(Clone, Debug, LogicBlock)]
pub struct Rom<const A: usize, const D: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Read address.
    pub raddr: Signal<In, Bits<A>>,
    /// Word at the `raddr` of the clock before; zero beyond the last word.
    pub rdata: Signal<Out, Bits<D>>,
    mem: Words<D>,
}

impl<const A: usize, const D: usize> Rom<A, D> {
    /// These words.
    pub fn new(words: Vec<Bits<D>>) -> Self {
        assert!(words.len() <= 1 << A, "{} words behind {A} address bits", words.len());
        Rom { clock: Signal::default(), raddr: Signal::default(), rdata: Signal::default(), mem: Words(words) }
    }
}

impl<const A: usize, const D: usize> Default for Rom<A, D> {
    /// All zeroes: a shell for `..Self::default()`.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<const A: usize, const D: usize> Logic for Rom<A, D> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.rdata.next = self.mem.0.get(self.raddr.val().index()).copied().unwrap_or_default();
        }
    }
    fn connect(&mut self) {
        self.rdata.connect();
    }
    fn hdl(&self) -> Verilog {
        let arms: String = self
            .mem
            .0
            .iter()
            .enumerate()
            .filter(|(_, w)| w.any())
            .map(|(i, w)| format!("    {A}'h{i:x}: rdata <= {D}'h{:x};\n", BigUint::from(*w)))
            .collect();
        Verilog::Custom(format!(
            "// block Rom\ninitial rdata = {D}'h0;\nalways @(posedge clock)\n  case (raddr)\n{arms}    default: rdata <= {D}'h0;\n  endcase"
        ))
    }
}
