//! What counts as a constant in a kernel.

use num_bigint::BigUint;
use rust_hdl::core::prelude::Bits;

/// A value known when the card is built.
pub trait Literal {
    /// The value; a negative one is a mistake of the kernel.
    fn value(self) -> BigUint;
}

macro_rules! unsigned {
    ($($t:ty),*) => { $(impl Literal for $t { fn value(self) -> BigUint { self.into() } })* };
}
unsigned!(u8, u16, u32, u64, u128, usize);

impl Literal for bool {
    fn value(self) -> BigUint {
        u8::from(self).into()
    }
}

impl Literal for i32 {
    fn value(self) -> BigUint {
        assert!(self >= 0, "a hardware constant is not negative, this one is {self}");
        self.unsigned_abs().into()
    }
}

impl<const N: usize> Literal for Bits<N> {
    fn value(self) -> BigUint {
        self.into()
    }
}

/// The kernel macro calls this on everything that is plain Rust.
pub fn value<T: Literal>(t: T) -> BigUint {
    t.value()
}
