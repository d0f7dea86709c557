//! How kernels read and write rust-hdl's signals.

use num_bigint::BigUint;
use rust_hdl::core::ast::Verilog;
use rust_hdl::core::prelude::*;
use rust_hdl::core::probe::Probe;

use crate::run::Val;

/// An input of `N` bits.
pub type I<const N: usize> = Signal<In, Bits<N>>;
/// An output of `N` bits.
pub type O<const N: usize> = Signal<Out, Bits<N>>;
/// A wire of `N` bits that a kernel assigns in parts of its control flow (most wires are a `let`).
pub type W<const N: usize> = Signal<Local, Bits<N>>;
/// The clock of a block; its field is named `clock`.
pub type Clk = Signal<In, Clock>;
/// The synchronous reset of a block, active high; its field is named `reset`.
pub type Rst = Signal<In, Bit>;

/// Types that travel between signals and kernel values.
pub trait Wire: Synth {
    /// As a kernel value.
    fn to_val(self) -> Val;
    /// From a kernel value of the same width.
    fn from_val(v: &Val) -> Self;
}

impl<const N: usize> Wire for Bits<N> {
    fn to_val(self) -> Val {
        Val::new(BigUint::from(self), N)
    }
    fn from_val(v: &Val) -> Self {
        v.number().clone().into()
    }
}

impl Wire for Bit {
    fn to_val(self) -> Val {
        Val::new(u8::from(self), 1)
    }
    fn from_val(v: &Val) -> Self {
        v.is_true()
    }
}

impl Wire for Clock {
    fn to_val(self) -> Val {
        Val::new(u8::from(self.clk), 1)
    }
    fn from_val(v: &Val) -> Self {
        Clock { clk: v.is_true() }
    }
}

/// What a kernel can read.
pub trait Readable {
    /// Bits.
    fn width(&self) -> usize;
    /// The value now.
    fn read(&self) -> Val;
}

macro_rules! readable {
    ($($d:ident),*) => { $(
        impl<T: Wire> Readable for Signal<$d, T> {
            fn width(&self) -> usize { T::BITS }
            fn read(&self) -> Val { self.val().to_val() }
        }
    )* };
}
readable!(In, Out, Local);

impl<T: Wire> Readable for Constant<T> {
    fn width(&self) -> usize {
        T::BITS
    }
    fn read(&self) -> Val {
        self.val().to_val()
    }
}

/// What a kernel can assign.
pub trait Writable {
    /// Bits.
    fn bits_wide(&self) -> usize;
    /// Sets the next value.
    fn write(&mut self, v: &Val);
    /// Notes that something drives this signal.
    fn drive(&mut self);
}

impl<D: Direction, T: Wire> Writable for Signal<D, T> {
    fn bits_wide(&self) -> usize {
        T::BITS
    }
    fn write(&mut self, v: &Val) {
        self.next = T::from_val(v);
    }
    fn drive(&mut self) {
        self.connect();
    }
}

/// A number that a block was built with: no signal, no cost. In a kernel: `konst(self.depth.get())`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Param(usize);

impl Param {
    /// A parameter of this value.
    pub fn new(v: usize) -> Param {
        Param(v)
    }
    /// The value.
    pub fn get(&self) -> usize {
        self.0
    }
}

impl Logic for Param {
    fn update(&mut self) {}
    fn hdl(&self) -> Verilog {
        Verilog::Empty
    }
}

impl Block for Param {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, _name: &str, _probe: &mut dyn Probe) {}
}
