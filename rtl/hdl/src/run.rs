//! The value that computes: kernels run on it inside rust-hdl's own simulator.

use num_bigint::BigUint;

use crate::value::{Op, Value, modulus, show};

/// A number of known width, or a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Val {
    /// `None` for a literal.
    pub(crate) w: Option<usize>,
    pub(crate) v: BigUint,
}

impl Val {
    /// A number of `w` bits.
    pub fn new(v: impl Into<BigUint>, w: usize) -> Val {
        Val { w: Some(w), v: v.into() % modulus(w) }
    }

    /// The number.
    pub fn number(&self) -> &BigUint {
        &self.v
    }

    /// Whether a condition holds.
    pub fn is_true(&self) -> bool {
        self.v != BigUint::ZERO
    }

    #[track_caller]
    fn known(&self, what: &str) -> usize {
        match self.w {
            Some(w) => w,
            None => panic!("{what} needs a value with a width, not the literal {:#x}", self.v),
        }
    }

    fn small(&self) -> u64 {
        self.v.iter_u64_digits().next().map_or(0, |d| if self.v.bits() > 32 { 1 << 32 } else { d })
    }
}

impl Value for Val {
    fn lit(v: BigUint) -> Val {
        Val { w: None, v }
    }

    fn width(&self) -> Option<usize> {
        self.w
    }

    #[track_caller]
    fn fit(self, w: usize) -> Val {
        match self.w {
            None => {
                assert!(self.v < modulus(w), "the literal {:#x} does not fit {w} bits", self.v);
                Val { w: Some(w), v: self.v }
            }
            have => {
                assert!(have == Some(w), "expected {w} bits, found {}", show(have));
                self
            }
        }
    }

    #[track_caller]
    fn bin(op: Op, a: Val, b: Val) -> Val {
        let w = match (a.w, b.w) {
            (None, None) => {
                let v = op.compute(&a.v, &b.v, &BigUint::ZERO);
                return Val { w: op.is_comparison().then_some(1), v };
            }
            (Some(w), _) | (None, Some(w)) => w,
        };
        let (a, b) = (a.fit(w), b.fit(w));
        let v = op.compute(&a.v, &b.v, &modulus(w));
        if op.is_comparison() { Val::new(v, 1) } else { Val::new(v, w) }
    }

    #[track_caller]
    fn mul(self, b: Val) -> Val {
        let w = self.known("a product") + b.known("a product");
        Val::new(self.v * b.v, w)
    }

    #[track_caller]
    fn not(self) -> Val {
        let w = self.known("`!`");
        Val::new(modulus(w) - 1u8 - self.v, w)
    }

    fn any(self) -> Val {
        Val::new(u8::from(self.is_true()), 1)
    }

    #[track_caller]
    fn all(self) -> Val {
        let w = self.known("all()");
        Val::new(u8::from(self.v == modulus(w) - 1u8), 1)
    }

    fn parity(self) -> Val {
        Val::new(self.v.count_ones() % 2, 1)
    }

    #[track_caller]
    fn bits(self, hi: usize, lo: usize) -> Val {
        let w = self.known("a slice");
        assert!(lo <= hi && hi < w, "bits [{hi}:{lo}] of {w} bits");
        Val::new(self.v >> lo, hi - lo + 1)
    }

    #[track_caller]
    fn zext(self, w: usize) -> Val {
        if self.w.is_none() {
            return self.fit(w);
        }
        let have = self.known("zext");
        assert!(have <= w, "zext to {w} of {have} bits");
        Val::new(self.v, w)
    }

    #[track_caller]
    fn cat(parts: Vec<Val>) -> Val {
        let mut v = BigUint::ZERO;
        let mut w = 0;
        for p in parts {
            let n = p.known("cat");
            v = (v << n) | p.v;
            w += n;
        }
        Val::new(v, w)
    }

    #[track_caller]
    fn shl(self, by: Val) -> Val {
        if self.w.is_none() && by.w.is_none() {
            return Val::lit(self.v << by.small());
        }
        let w = self.known("a shift");
        let n = by.small();
        if n >= w as u64 { Val::new(0u8, w) } else { Val::new(self.v << n, w) }
    }

    #[track_caller]
    fn shr(self, by: Val) -> Val {
        if self.w.is_none() && by.w.is_none() {
            return Val::lit(self.v >> by.small());
        }
        let w = self.known("a shift");
        let n = by.small();
        if n >= w as u64 { Val::new(0u8, w) } else { Val::new(self.v >> n, w) }
    }

    #[track_caller]
    fn mux(c: Val, a: Val, b: Val) -> Val {
        let c = c.fit(1);
        let w = a.w.or(b.w);
        let (a, b) = match w {
            Some(w) => (a.fit(w), b.fit(w)),
            None => (a, b),
        };
        if c.is_true() { a } else { b }
    }
}
