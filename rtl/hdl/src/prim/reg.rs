//! The register: reset and power-on value in one place.

use rust_hdl::core::ast::Verilog;
use rust_hdl::core::prelude::*;

/// First line of a register's text, by which the printer knows to inline it as an `always_ff`.
pub const REGISTER_MARK: &str = "// register";

/// `N` flip-flops with synchronous reset; the reset value is also the power-on value.
///
/// A kernel that assigns `self.r.d` anywhere gets clock, reset and "hold" for it by itself.
#[derive(Clone, Debug, LogicBlock)]
pub struct Reg<const N: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The next value.
    pub d: Signal<In, Bits<N>>,
    /// The value.
    pub q: Signal<Out, Bits<N>>,
    init: Constant<Bits<N>>,
}

impl<const N: usize> Reg<N> {
    /// A register that wakes with this value.
    pub fn new(init: impl Into<Bits<N>>) -> Self {
        let init = init.into();
        Reg {
            clock: Signal::default(),
            reset: Signal::default(),
            d: Signal::default(),
            q: Signal::new_with_default(init),
            init: Constant::new(init),
        }
    }
}

impl<const N: usize> Default for Reg<N> {
    fn default() -> Self {
        Reg::new(Bits::<N>::default())
    }
}

impl<const N: usize> Logic for Reg<N> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = if self.reset.val() { self.init.val() } else { self.d.val() };
        }
    }
    fn connect(&mut self) {
        self.q.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Custom(format!(
            "{REGISTER_MARK}\ninitial q = init;\nalways @(posedge clock) if (reset) q <= init; else q <= d;"
        ))
    }
}
