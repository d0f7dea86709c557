//! Prints expressions. Every sub-expression has its width by itself; nothing depends on Verilog's context rules.

use num_bigint::BigUint;
use rust_hdl::core::ast::{VerilogExpression as Vx, VerilogLiteral, VerilogOp, VerilogOpUnary};
use std::collections::{BTreeSet, HashMap};

/// Names and widths that a kernel may read.
pub struct Symbols {
    /// By AST name: the width and the name in Verilog.
    pub known: HashMap<String, (usize, String)>,
}

/// A printed expression.
pub struct Text {
    pub text: String,
    pub width: usize,
    /// A name that Verilog can slice.
    pub is_name: bool,
}

fn number(l: &VerilogLiteral) -> Result<BigUint, String> {
    let s = format!("{l:x}");
    let hex = s.split_once("'h").map_or("", |(_, h)| h);
    BigUint::parse_bytes(hex.as_bytes(), 16).ok_or_else(|| format!("the literal {s} is negative"))
}

fn small(e: &Vx) -> Option<usize> {
    match e {
        Vx::Literal(l) => Some(l.as_usize()),
        _ => None,
    }
}

/// The AST's name of a signal: rust-hdl writes `a.b`, we `a$b`.
pub fn normal(s: &str) -> String {
    s.replace(['.'], "$").trim_start_matches('$').to_string()
}

impl Symbols {
    fn done(text: String, width: usize) -> Result<Text, String> {
        Ok(Text { text, width, is_name: false })
    }

    /// All names that `e` reads.
    pub fn reads(&self, e: &Vx, out: &mut BTreeSet<String>) {
        match e {
            Vx::Signal(s) => {
                out.insert(normal(s));
            }
            Vx::Literal(_) => {}
            Vx::Cast(x, _) | Vx::Signed(x) | Vx::Unsigned(x) | Vx::Paren(x) | Vx::Unary(_, x) => self.reads(x, out),
            Vx::Binary(a, _, b) | Vx::Index(a, b) | Vx::Slice(a, _, b) => {
                self.reads(a, out);
                self.reads(b, out);
            }
            Vx::IndexReplace(a, b, c) => {
                self.reads(a, out);
                self.reads(b, out);
                self.reads(c, out);
            }
        }
    }

    /// Prints `e`.
    pub fn print(&self, e: &Vx) -> Result<Text, String> {
        if let Some(t) = self.cat(e)? {
            return Ok(t);
        }
        if let Some(t) = self.mux(e)? {
            return Ok(t);
        }
        match e {
            Vx::Paren(x) => self.print(x),
            Vx::Literal(l) => {
                let v = number(l)?;
                let w = (v.bits() as usize).max(1);
                Self::done(format!("{w}'h{v:x}"), w)
            }
            Vx::Signal(s) => {
                let n = normal(s);
                let (width, text) = self
                    .known
                    .get(&n)
                    .ok_or_else(|| format!("`{n}` is not a signal, a wire or a constant of this block"))?;
                Ok(Text { text: text.clone(), width: *width, is_name: *width > 1 })
            }
            Vx::Cast(x, n) => {
                if let Vx::Literal(l) = &**x {
                    let v = number(l)?;
                    if v.bits() as usize > *n {
                        return Err(format!("the literal {v:#x} does not fit {n} bits"));
                    }
                    return Self::done(format!("{n}'h{v:x}"), *n);
                }
                let t = self.print(x)?;
                if t.width > *n {
                    return Err(format!("a cast of {} bits to {n}: cut with bits() or trunc()", t.width));
                }
                if t.width == *n {
                    return Ok(t);
                }
                Self::done(format!("{{{}'h0, {}}}", n - t.width, t.text), *n)
            }
            Vx::Unary(op, x) => {
                let t = self.print(x)?;
                let (s, w) = match op {
                    VerilogOpUnary::Not => ("~", t.width),
                    VerilogOpUnary::Neg => ("-", t.width),
                    VerilogOpUnary::All => ("&", 1),
                    VerilogOpUnary::Any => ("|", 1),
                    VerilogOpUnary::Xor => ("^", 1),
                };
                Self::done(format!("({s}{})", t.text), w)
            }
            Vx::Binary(a, op, b) => self.binary(a, op, b),
            Vx::Slice(x, w, at) => {
                let t = self.print(x)?;
                let lo = small(at).ok_or("a slice at a variable place: shift right, then trunc()")?;
                if lo + w > t.width {
                    return Err(format!("bits [{}:{lo}] of the {} bits of {}", lo + w - 1, t.width, t.text));
                }
                if *w == t.width {
                    return Ok(t);
                }
                if t.is_name {
                    let text =
                        if *w == 1 { format!("{}[{lo}]", t.text) } else { format!("{}[{}:{lo}]", t.text, lo + w - 1) };
                    return Self::done(text, *w);
                }
                // One bit of an expression without a cast, which not every tool reads inside other operators.
                if *w == 1 {
                    let mask = BigUint::from(1u8) << lo;
                    return Self::done(format!("(|({} & {}'h{mask:x}))", t.text, t.width), 1);
                }
                let shifted = if lo == 0 { t.text } else { format!("({} >> {lo})", t.text) };
                Self::done(format!("{w}'({shifted})"), *w)
            }
            Vx::Signed(_) | Vx::Unsigned(_) | Vx::Index(..) | Vx::IndexReplace(..) => {
                Err("signed values, indices and bit replacement are not part of the kernel language".into())
            }
        }
    }

    fn binary(&self, a: &Vx, op: &VerilogOp, b: &Vx) -> Result<Text, String> {
        let l = self.print(a)?;
        if let (VerilogOp::Shl | VerilogOp::Shr, Some(n)) = (op, small(b)) {
            let s = if matches!(op, VerilogOp::Shl) { "<<" } else { ">>" };
            return Self::done(format!("({} {s} {n})", l.text), l.width);
        }
        let r = self.print(b)?;
        let (s, compares) = match op {
            VerilogOp::Add => ("+", false),
            VerilogOp::Sub => ("-", false),
            VerilogOp::BitAnd | VerilogOp::LogicalAnd => ("&", false),
            VerilogOp::BitOr | VerilogOp::LogicalOr => ("|", false),
            VerilogOp::BitXor => ("^", false),
            VerilogOp::Eq => ("==", true),
            VerilogOp::Ne => ("!=", true),
            VerilogOp::Lt => ("<", true),
            VerilogOp::Le => ("<=", true),
            VerilogOp::Gt => (">", true),
            VerilogOp::Ge => (">=", true),
            VerilogOp::Shl => return Self::done(format!("({} << {})", l.text, r.text), l.width),
            VerilogOp::Shr => return Self::done(format!("({} >> {})", l.text, r.text), l.width),
            VerilogOp::Mul => {
                let w = l.width + r.width;
                let text = format!("({{{}'h0, {}}} * {{{}'h0, {}}})", r.width, l.text, l.width, r.text);
                return Self::done(text, w);
            }
        };
        if l.width != r.width {
            return Err(format!("widths {} and {} differ in {} {s} {}", l.width, r.width, l.text, r.text));
        }
        // Verilator warns of comparisons with an unsigned zero that always hold; they are also nonsense in a kernel.
        Self::done(format!("({} {s} {})", l.text, r.text), if compares { 1 } else { l.width })
    }

    /// `(zext(x) << k) | zext(y)`, the spelling of a concatenation.
    fn cat(&self, e: &Vx) -> Result<Option<Text>, String> {
        let Vx::Binary(hi, VerilogOp::BitOr, lo) = e else { return Ok(None) };
        let (Vx::Binary(x, VerilogOp::Shl, k), Vx::Cast(y, n)) = (&**hi, &**lo) else { return Ok(None) };
        let (Vx::Cast(x, m), Some(k)) = (&**x, small(k)) else { return Ok(None) };
        if m != n || matches!(**x, Vx::Literal(_)) && matches!(**y, Vx::Literal(_)) {
            return Ok(None);
        }
        let (tx, ty) = (self.part(x, n - k)?, self.part(y, k)?);
        if tx.width + k != *n || ty.width != k {
            return Ok(None);
        }
        let inner = tx.text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).filter(|t| !t.contains(['{', '}']));
        let left = inner.unwrap_or(&tx.text);
        Ok(Some(Text { text: format!("{{{left}, {}}}", ty.text), width: *n, is_name: false }))
    }

    /// A part of a concatenation; a bare literal has the width that is left for it.
    fn part(&self, e: &Vx, w: usize) -> Result<Text, String> {
        match e {
            Vx::Literal(_) => self.print(&Vx::Cast(Box::new(e.clone()), w)),
            e => self.print(e),
        }
    }

    /// `(-zext(c) & a) | (-zext(!c) & b)`, the spelling of a choice.
    fn mux(&self, e: &Vx) -> Result<Option<Text>, String> {
        let Vx::Binary(l, VerilogOp::BitOr, r) = e else { return Ok(None) };
        let (Vx::Binary(m, VerilogOp::BitAnd, a), Vx::Binary(k, VerilogOp::BitAnd, b)) = (&**l, &**r) else {
            return Ok(None);
        };
        let (Vx::Unary(VerilogOpUnary::Neg, m), Vx::Unary(VerilogOpUnary::Neg, k)) = (&**m, &**k) else {
            return Ok(None);
        };
        let (Vx::Cast(c, _), Vx::Cast(d, _)) = (&**m, &**k) else { return Ok(None) };
        let Vx::Unary(VerilogOpUnary::Not, d) = &**d else { return Ok(None) };
        let (c, d) = (self.print(c)?, self.print(d)?);
        if c.text != d.text {
            return Ok(None);
        }
        let (a, b) = (self.print(a)?, self.print(b)?);
        if a.width != b.width {
            return Err(format!("widths {} and {} differ in a choice", a.width, b.width));
        }
        Ok(Some(Text { text: format!("({} ? {} : {})", c.text, a.text, b.text), width: a.width, is_name: false }))
    }
}
