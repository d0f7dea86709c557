//! The way of a value from one clock to another.

use rust_hdl::core::ast::Verilog;
use rust_hdl::core::prelude::*;

/// Two flip-flops in a row for each bit, at the clock that receives. No reset: a value that passes them is at rest when it
/// counts. Of a value of several bits at most one may change at a time (a Gray code), or some may come a clock before others.
///
/// The attributes keep tools from making a shift register of them, from sharing, moving or doubling them, and have them placed
/// side by side. A prover lets each bit of a change come when it likes, before the next change: so far apart may they be on a real way.
#[derive(Clone, Debug, LogicBlock)]
pub struct Sync<const N: usize> {
    /// The clock that receives.
    pub clock: Signal<In, Clock>,
    /// The outputs of flip-flops of another clock, without logic between.
    pub from: Signal<In, Bits<N>>,
    /// The same, two clocks later.
    pub to: Signal<Out, Bits<N>>,
    /// What comes to the first flip-flops, and what they have: for who checks, and for nobody else.
    pub comes: Signal<Out, Bits<N>>,
    /// See `comes`.
    pub first: Signal<Out, Bits<N>>,
    held: Held<N>,
}

/// The first flip-flops, for rust-hdl's simulator; not hardware of its own.
#[derive(Clone, Debug, Default)]
pub struct Held<const N: usize>(Bits<N>);

impl<const N: usize> Logic for Held<N> {
    fn update(&mut self) {}
}

impl<const N: usize> Block for Held<N> {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, _name: &str, _probe: &mut dyn rust_hdl::core::probe::Probe) {}
}

impl<const N: usize> Default for Sync<N> {
    fn default() -> Self {
        Sync {
            clock: Signal::default(),
            from: Signal::default(),
            to: Signal::default(),
            comes: Signal::default(),
            first: Signal::default(),
            held: Held::default(),
        }
    }
}

impl<const N: usize> Logic for Sync<N> {
    fn update(&mut self) {
        self.comes.next = self.from.val();
        if self.clock.pos_edge() {
            self.to.next = self.held.0;
            self.held.0 = self.from.val();
            self.first.next = self.held.0;
        }
    }
    fn connect(&mut self) {
        self.to.connect();
        self.comes.connect();
        self.first.connect();
    }
    fn hdl(&self) -> Verilog {
        let range = if N == 1 { String::new() } else { format!("[{}:0] ", N - 1) };
        let kept = "(* async_reg = \"true\", keep = \"true\", syn_preserve = 1, syn_srlstyle = \"registers\", \
                    shreg_extract = \"no\" *)";
        Verilog::Custom(format!(
            "// block Sync\n// {N} bits from another clock, through two flip-flops each\n\
             {kept} reg {range}one;\n{kept} reg {range}two;\n\
             initial begin one = {N}'h0; two = {N}'h0; end\n\
                          `ifdef FORMAL\n\
             (* gclk *) reg step;\n(* anyseq *) reg {range}late;\nreg {range}last, came;\n\
             initial begin last = {N}'h0; came = {N}'h0; end\n\
             always @(*) comes = (from & ~late) | ((from == last ? came : last) & late);\n\
             always @(posedge step) begin\n  last <= from;\n  came <= comes;\nend\n\
             `else\nalways @(*) comes = from;\n`endif\n\
             always @(posedge clock) begin\n  one <= comes;\n  two <= one;\nend\n\
             always @(*) to = two;\nalways @(*) first = one;"
        ))
    }
}
