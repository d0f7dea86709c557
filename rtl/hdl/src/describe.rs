//! The value that writes itself down, as an expression of rust-hdl's public AST.
//!
//! rust-hdl's AST has neither concatenation nor choice. Both are spelled in the operators it has, in one fixed shape
//! each ([`cat`](Value::cat), [`mux`](Value::mux)), which the printer recognises and prints as `{a, b}` and `c ? a : b`.

use num_bigint::BigUint;
use rust_hdl::core::ast::{VerilogExpression as Vx, VerilogLiteral, VerilogOp, VerilogOpUnary};

use std::rc::Rc;

use crate::value::{Op, Value, modulus, show};

/// How an expression was made, where a slice of it can be taken of its parts instead: Verilog slices names only.
#[derive(Debug)]
enum Shape {
    Slice {
        of: Expr,
        lo: usize,
    },
    Extended(Expr),
    Parts(Expr, Expr),
    Choice(Expr, Expr, Expr),
    Bitwise(Op, Expr, Expr),
    Not(Expr),
    /// Sum or difference: its low bits are those of its operands' low bits.
    Sum(Op, Expr, Expr),
}

/// An expression of known width, or a literal.
#[derive(Clone, Debug)]
pub struct Expr {
    shape: Option<Rc<Shape>>,
    w: Option<usize>,
    lit: Option<BigUint>,
    /// A choice between literals, `c ? a : b`, that waits for its width.
    choice: Option<Box<(Expr, Expr, Expr)>>,
    e: Option<Vx>,
}

/// A literal of exactly `w` bits. rust-hdl's literals come from machine integers; wider ones are put together.
pub fn literal(v: &BigUint, w: usize) -> Vx {
    let digits = v.to_u64_digits();
    let word = |i: usize| {
        let at = |k: usize| u128::from(digits.get(k).copied().unwrap_or(0));
        Vx::Literal(VerilogLiteral::from(at(2 * i) | at(2 * i + 1) << 64))
    };
    if w <= 128 {
        return Vx::Cast(Box::new(word(0)), w);
    }
    let mut all = Vx::Cast(Box::new(word(0)), w);
    for i in 1..digits.len().div_ceil(2) {
        let part = shift(Vx::Cast(Box::new(word(i)), w), VerilogOp::Shl, 128 * i);
        all = Vx::Binary(Box::new(all), VerilogOp::BitOr, Box::new(part));
    }
    all
}

fn index(i: usize) -> Vx {
    Vx::Literal(VerilogLiteral::from(i))
}

fn shift(e: Vx, op: VerilogOp, by: usize) -> Vx {
    Vx::Binary(Box::new(e), op, Box::new(index(by)))
}

impl Expr {
    /// The signal or wire `name` of `w` bits.
    pub fn signal(name: impl Into<String>, w: usize) -> Expr {
        Expr { shape: None, w: Some(w), lit: None, choice: None, e: Some(Vx::Signal(name.into())) }
    }

    fn shaped(self, shape: Shape) -> Expr {
        Expr { shape: Some(Rc::new(shape)), ..self }
    }

    /// Bits `[hi:lo]` taken from the parts of which this is made, if that can be.
    #[track_caller]
    fn part(&self, hi: usize, lo: usize) -> Option<Expr> {
        let cut = |x: &Expr| x.clone().bits(hi, lo);
        match &**self.shape.as_ref()? {
            Shape::Slice { of, lo: at } => Some(of.clone().bits(at + hi, at + lo)),
            Shape::Extended(x) => {
                let w = x.known("a slice");
                if hi < w {
                    Some(cut(x))
                } else if lo >= w {
                    Some(Expr::lit(BigUint::ZERO).fit(hi - lo + 1))
                } else {
                    Some(x.clone().bits(w - 1, lo).zext(hi - lo + 1))
                }
            }
            Shape::Parts(high, low) => {
                let w = low.known("a slice");
                if hi < w {
                    Some(cut(low))
                } else if lo >= w {
                    Some(high.clone().bits(hi - w, lo - w))
                } else {
                    Some(Expr::cat(vec![high.clone().bits(hi - w, 0), low.clone().bits(w - 1, lo)]))
                }
            }
            Shape::Choice(c, a, b) => Some(Expr::mux(c.clone(), cut(a), cut(b))),
            Shape::Bitwise(op, a, b) => Some(Expr::bin(*op, cut(a), cut(b))),
            Shape::Not(a) => Some(cut(a).not()),
            Shape::Sum(op, a, b) if lo == 0 => Some(Expr::bin(*op, cut(a), cut(b))),
            Shape::Sum(..) => None,
        }
    }

    fn of(e: Vx, w: usize) -> Expr {
        Expr { shape: None, w: Some(w), lit: None, choice: None, e: Some(e) }
    }

    /// The AST, which a literal only has once its width is known.
    #[track_caller]
    pub fn ast(&self) -> Vx {
        match (&self.e, &self.lit, self.w) {
            (Some(e), _, _) => e.clone(),
            (None, Some(v), Some(w)) => literal(v, w),
            (None, Some(v), None) => panic!("the literal {v:#x} has no width here; write sized(v, w)"),
            (None, None, _) => panic!("an expression without a value"),
        }
    }

    /// The value, if it is a constant.
    pub fn constant(&self) -> Option<&BigUint> {
        self.lit.as_ref()
    }

    #[track_caller]
    fn known(&self, what: &str) -> usize {
        match self.w {
            Some(w) => w,
            None => panic!("{what} needs a value with a width, not a literal"),
        }
    }

    #[track_caller]
    fn unary(self, op: VerilogOpUnary, w: usize) -> Expr {
        Expr::of(Vx::Unary(op, Box::new(self.ast())), w)
    }

    #[track_caller]
    fn shifted(self, op: VerilogOp, by: Expr) -> Expr {
        if let (None, Some(v), Some(n)) = (self.w, &self.lit, &by.lit) {
            let n = n.iter_u32_digits().next().unwrap_or(0);
            return Expr::lit(if matches!(op, VerilogOp::Shl) { v << n } else { v >> n });
        }
        let w = self.known("a shift");
        let by = match by.lit {
            Some(v) => {
                let n = v.iter_u32_digits().next().unwrap_or(0) as usize;
                if n >= w {
                    return Expr::lit(BigUint::ZERO).fit(w);
                }
                index(n)
            }
            None => by.ast(),
        };
        Expr::of(Vx::Binary(Box::new(self.ast()), op, Box::new(by)), w)
    }
}

fn verilog_op(op: Op) -> VerilogOp {
    match op {
        Op::Add => VerilogOp::Add,
        Op::Sub => VerilogOp::Sub,
        Op::And => VerilogOp::BitAnd,
        Op::Or => VerilogOp::BitOr,
        Op::Xor => VerilogOp::BitXor,
        Op::Eq => VerilogOp::Eq,
        Op::Ne => VerilogOp::Ne,
        Op::Lt => VerilogOp::Lt,
        Op::Le => VerilogOp::Le,
        Op::Gt => VerilogOp::Gt,
        Op::Ge => VerilogOp::Ge,
    }
}

impl Value for Expr {
    fn lit(v: BigUint) -> Expr {
        Expr { shape: None, w: None, lit: Some(v), choice: None, e: None }
    }

    fn width(&self) -> Option<usize> {
        self.w
    }

    #[track_caller]
    fn fit(self, w: usize) -> Expr {
        match (self.w, &self.lit) {
            (None, None) if self.choice.is_some() => {
                let Some(choice) = self.choice else { unreachable!("checked by the guard") };
                let (c, a, b) = *choice;
                Expr::mux(c, a.fit(w), b.fit(w))
            }
            (None, Some(v)) => {
                assert!(*v < modulus(w), "the literal {v:#x} does not fit {w} bits");
                Expr { shape: None, w: Some(w), ..self }
            }
            (have, _) => {
                assert!(have == Some(w), "expected {w} bits, found {}", show(have));
                self
            }
        }
    }

    #[track_caller]
    fn bin(op: Op, a: Expr, b: Expr) -> Expr {
        let w = match (a.w, b.w) {
            (None, None) => match (a.lit, b.lit) {
                (Some(x), Some(y)) => {
                    let v = op.compute(&x, &y, &BigUint::ZERO);
                    return Expr {
                        shape: None,
                        w: op.is_comparison().then_some(1),
                        lit: Some(v),
                        choice: None,
                        e: None,
                    };
                }
                _ => panic!("a choice of literals needs a width here; write sized(v, w)"),
            },
            (Some(w), _) | (None, Some(w)) => w,
        };
        let (a, b) = (a.fit(w), b.fit(w));
        let e = Vx::Binary(Box::new(a.ast()), verilog_op(op), Box::new(b.ast()));
        match op {
            Op::And | Op::Or | Op::Xor => Expr::of(e, w).shaped(Shape::Bitwise(op, a, b)),
            Op::Add | Op::Sub => Expr::of(e, w).shaped(Shape::Sum(op, a, b)),
            _ => Expr::of(e, 1),
        }
    }

    #[track_caller]
    fn mul(self, b: Expr) -> Expr {
        let w = self.known("a product") + b.known("a product");
        Expr::of(Vx::Binary(Box::new(self.ast()), VerilogOp::Mul, Box::new(b.ast())), w)
    }

    #[track_caller]
    fn not(self) -> Expr {
        let w = self.known("`!`");
        self.clone().unary(VerilogOpUnary::Not, w).shaped(Shape::Not(self))
    }

    #[track_caller]
    fn any(self) -> Expr {
        self.unary(VerilogOpUnary::Any, 1)
    }

    #[track_caller]
    fn all(self) -> Expr {
        self.unary(VerilogOpUnary::All, 1)
    }

    #[track_caller]
    fn parity(self) -> Expr {
        self.unary(VerilogOpUnary::Xor, 1)
    }

    #[track_caller]
    fn bits(self, hi: usize, lo: usize) -> Expr {
        let have = self.known("a slice");
        assert!(lo <= hi && hi < have, "bits [{hi}:{lo}] of {have} bits");
        let w = hi - lo + 1;
        if w == have {
            return self;
        }
        if let Some(v) = &self.lit {
            return Expr { shape: None, w: Some(w), lit: Some((v >> lo) % modulus(w)), choice: None, e: None };
        }
        if let Some(part) = self.part(hi, lo) {
            return part;
        }
        let e = Vx::Slice(Box::new(self.ast()), w, Box::new(index(lo)));
        Expr::of(e, w).shaped(Shape::Slice { of: self, lo })
    }

    #[track_caller]
    fn zext(self, w: usize) -> Expr {
        if self.w.is_none() {
            return self.fit(w);
        }
        let have = self.known("zext");
        assert!(have <= w, "zext to {w} of {have} bits");
        if have == w {
            return self;
        }
        if self.lit.is_some() {
            return Expr { shape: None, w: Some(w), ..self };
        }
        Expr::of(Vx::Cast(Box::new(self.ast()), w), w).shaped(Shape::Extended(self))
    }

    #[track_caller]
    fn cat(parts: Vec<Expr>) -> Expr {
        let mut all: Option<Expr> = None;
        for p in parts {
            let n = p.known("cat");
            all = Some(match all {
                None => p,
                Some(a) => {
                    let w = a.known("cat") + n;
                    let hi = shift(Vx::Cast(Box::new(a.ast()), w), VerilogOp::Shl, n);
                    let lo = Vx::Cast(Box::new(p.ast()), w);
                    Expr::of(Vx::Binary(Box::new(hi), VerilogOp::BitOr, Box::new(lo)), w).shaped(Shape::Parts(a, p))
                }
            });
        }
        match all {
            Some(a) => a,
            None => panic!("cat of nothing"),
        }
    }

    #[track_caller]
    fn shl(self, by: Expr) -> Expr {
        self.shifted(VerilogOp::Shl, by)
    }

    #[track_caller]
    fn shr(self, by: Expr) -> Expr {
        self.shifted(VerilogOp::Shr, by)
    }

    #[track_caller]
    fn mux(c: Expr, a: Expr, b: Expr) -> Expr {
        let c = c.fit(1);
        let Some(w) = a.w.or(b.w) else {
            return Expr { shape: None, w: None, lit: None, choice: Some(Box::new((c, a, b))), e: None };
        };
        let (a, b) = (a.fit(w), b.fit(w));
        let mask = |c: Vx| Vx::Unary(VerilogOpUnary::Neg, Box::new(Vx::Cast(Box::new(c), w)));
        let no = Vx::Unary(VerilogOpUnary::Not, Box::new(c.ast()));
        let left = Vx::Binary(Box::new(mask(c.ast())), VerilogOp::BitAnd, Box::new(a.ast()));
        let right = Vx::Binary(Box::new(mask(no)), VerilogOp::BitAnd, Box::new(b.ast()));
        Expr::of(Vx::Binary(Box::new(left), VerilogOp::BitOr, Box::new(right)), w).shaped(Shape::Choice(c, a, b))
    }
}
