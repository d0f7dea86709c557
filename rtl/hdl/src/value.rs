//! What a kernel computes with: the one set of operations that both lowerings share.
//!
//! [`Val`](crate::Val) computes them, [`Expr`](crate::Expr) writes them down. A literal has no width until it meets a
//! value that has one; two widths that differ are an error at the line of the kernel that mixes them.

use azote_regs::Field;
use num_bigint::BigUint;

/// The operators with two operands of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Wraps at the width.
    Add,
    /// Wraps at the width.
    Sub,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// One bit: equal.
    Eq,
    /// One bit: not equal.
    Ne,
    /// One bit: less, unsigned.
    Lt,
    /// One bit: less or equal, unsigned.
    Le,
    /// One bit: greater, unsigned.
    Gt,
    /// One bit: greater or equal, unsigned.
    Ge,
}

impl Op {
    /// Whether the result is one bit.
    pub fn is_comparison(self) -> bool {
        matches!(self, Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge)
    }

    /// On numbers, before the result is cut to its width; `Sub` is given `modulus` to wrap in.
    pub fn compute(self, a: &BigUint, b: &BigUint, modulus: &BigUint) -> BigUint {
        let bit = |c: bool| BigUint::from(u8::from(c));
        match self {
            Op::Add => a + b,
            Op::Sub => (a + modulus) - b,
            Op::And => a & b,
            Op::Or => a | b,
            Op::Xor => a ^ b,
            Op::Eq => bit(a == b),
            Op::Ne => bit(a != b),
            Op::Lt => bit(a < b),
            Op::Le => bit(a <= b),
            Op::Gt => bit(a > b),
            Op::Ge => bit(a >= b),
        }
    }
}

/// A hardware value of a known number of bits, or a literal that takes the width of its neighbour.
#[allow(clippy::should_implement_trait)] // the names of the operators, called by the macro as functions
pub trait Value: Clone + Sized {
    /// A constant without a width.
    fn lit(v: BigUint) -> Self;
    /// The width; `None` for a literal.
    fn width(&self) -> Option<usize>;
    /// Gives a literal the width `w`, or checks that the value has it.
    fn fit(self, w: usize) -> Self;
    /// A binary operator; both operands have one width.
    fn bin(op: Op, a: Self, b: Self) -> Self;
    /// Product, as wide as both operands together.
    fn mul(self, b: Self) -> Self;
    /// Bitwise complement.
    fn not(self) -> Self;
    /// One bit: any bit set.
    fn any(self) -> Self;
    /// One bit: all bits set.
    fn all(self) -> Self;
    /// One bit: odd number of bits set.
    fn parity(self) -> Self;
    /// Bits `hi` down to `lo`, both included, as a specification writes `[hi:lo]`.
    fn bits(self, hi: usize, lo: usize) -> Self;
    /// Zero extension; the new width is not smaller.
    fn zext(self, w: usize) -> Self;
    /// The first operand is the most significant part.
    fn cat(parts: Vec<Self>) -> Self;
    /// Shift left, the width stays.
    fn shl(self, by: Self) -> Self;
    /// Shift right, zeroes come in.
    fn shr(self, by: Self) -> Self;
    /// `c ? a : b`.
    fn mux(c: Self, a: Self, b: Self) -> Self;

    /// A constant of `w` bits.
    #[track_caller]
    fn sized(v: Self, w: usize) -> Self {
        v.fit(w)
    }
    /// Wraps.
    #[track_caller]
    fn add(self, b: Self) -> Self {
        Self::bin(Op::Add, self, b)
    }
    /// Wraps.
    #[track_caller]
    fn sub(self, b: Self) -> Self {
        Self::bin(Op::Sub, self, b)
    }
    /// Bitwise.
    #[track_caller]
    fn bitand(self, b: Self) -> Self {
        Self::bin(Op::And, self, b)
    }
    /// Bitwise.
    #[track_caller]
    fn bitor(self, b: Self) -> Self {
        Self::bin(Op::Or, self, b)
    }
    /// Bitwise.
    #[track_caller]
    fn bitxor(self, b: Self) -> Self {
        Self::bin(Op::Xor, self, b)
    }
    /// `&&`: of single bits.
    #[track_caller]
    fn and(self, b: Self) -> Self {
        Self::bin(Op::And, self.fit(1), b.fit(1))
    }
    /// `||`: of single bits.
    #[track_caller]
    fn or(self, b: Self) -> Self {
        Self::bin(Op::Or, self.fit(1), b.fit(1))
    }
    /// Comparison.
    #[track_caller]
    fn eq(self, b: Self) -> Self {
        Self::bin(Op::Eq, self, b)
    }
    /// Comparison.
    #[track_caller]
    fn ne(self, b: Self) -> Self {
        Self::bin(Op::Ne, self, b)
    }
    /// Unsigned comparison.
    #[track_caller]
    fn lt(self, b: Self) -> Self {
        Self::bin(Op::Lt, self, b)
    }
    /// Unsigned comparison.
    #[track_caller]
    fn le(self, b: Self) -> Self {
        Self::bin(Op::Le, self, b)
    }
    /// Unsigned comparison.
    #[track_caller]
    fn gt(self, b: Self) -> Self {
        Self::bin(Op::Gt, self, b)
    }
    /// Unsigned comparison.
    #[track_caller]
    fn ge(self, b: Self) -> Self {
        Self::bin(Op::Ge, self, b)
    }
    /// One bit.
    #[track_caller]
    fn bit(self, i: usize) -> Self {
        self.bits(i, i)
    }
    /// A field of the register crate.
    #[track_caller]
    fn get(self, f: Field) -> Self {
        let lo = f.lo as usize;
        self.bits(lo + f.width as usize - 1, lo)
    }
    /// The word with another value in this field.
    #[track_caller]
    fn set(self, f: Field, v: Self) -> Self {
        let Some(w) = self.width() else { panic!("a field is set in a value with a width, not in a literal") };
        let (lo, end) = (f.lo as usize, (f.lo + f.width) as usize);
        let mut parts = vec![v.fit(f.width as usize)];
        if end < w {
            parts.insert(0, self.clone().bits(w - 1, end));
        }
        if lo > 0 {
            parts.push(self.bits(lo - 1, 0));
        }
        Self::cat(parts)
    }
    /// The low `w` bits.
    #[track_caller]
    fn trunc(self, w: usize) -> Self {
        self.bits(w - 1, 0)
    }
    /// Cut or zero-extended to `w` bits.
    #[track_caller]
    fn resize(self, w: usize) -> Self {
        match self.width() {
            Some(have) if have > w => self.trunc(w),
            Some(_) => self.zext(w),
            None => self.fit(w),
        }
    }
    /// A single bit, `n` times.
    #[track_caller]
    fn rep(self, n: usize) -> Self {
        let c = self.fit(1);
        let ones = Self::lit((BigUint::from(1u8) << n) - 1u8).fit(n);
        Self::mux(c, ones, Self::lit(BigUint::ZERO).fit(n))
    }
    /// Sign extension.
    #[track_caller]
    fn sext(self, w: usize) -> Self {
        let have = self.width().unwrap_or(w);
        if have >= w {
            return self;
        }
        let sign = self.clone().bit(have - 1).rep(w - have);
        Self::cat(vec![sign, self])
    }
    /// The bit whose number is a hardware value; zero past the end.
    #[track_caller]
    fn sel(self, i: Self) -> Self {
        self.shr(i).bits(0, 0)
    }
    /// `w` bits from a bit number that is a hardware value; zeroes past the end.
    #[track_caller]
    fn slice_at(self, lo: Self, w: usize) -> Self {
        self.shr(lo).trunc(w)
    }
    /// One bit: equal to one of the literals.
    #[track_caller]
    fn is_one_of(v: Self, lits: Vec<Self>) -> Self {
        let mut any: Option<Self> = None;
        for l in lits {
            let e = Self::eq(v.clone(), l);
            any = Some(match any {
                None => e,
                Some(a) => Self::bitor(a, e),
            });
        }
        any.unwrap_or_else(|| Self::lit(BigUint::ZERO).fit(1))
    }
}

/// The largest value of `w` bits, plus one.
pub fn modulus(w: usize) -> BigUint {
    BigUint::from(1u8) << w
}

/// The text of a width for messages.
pub fn show(w: Option<usize>) -> String {
    w.map_or_else(|| "a literal".into(), |w| format!("{w} bits"))
}
