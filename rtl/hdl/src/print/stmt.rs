//! Turns the AST's statements into ones whose expressions are printed, with what each reads and writes.

use rust_hdl::core::ast::{
    VerilogBlockOrConditional as Other, VerilogExpression as Vx, VerilogLink, VerilogLinkDetails,
    VerilogStatement as Vs,
};
use std::collections::BTreeSet;

use super::expr::{Symbols, normal};
use crate::domain::WIRE_MARK;

/// A statement with its expressions printed.
#[derive(Clone, Debug)]
pub enum S {
    Assign { target: String, text: String, reads: BTreeSet<String>, copy: Option<String> },
    If { test: String, reads: BTreeSet<String>, then: Vec<S>, otherwise: Vec<S> },
    Case { test: String, reads: BTreeSet<String>, arms: Vec<(String, Vec<S>)> },
}

/// The AST name as Verilog has it: `a$b` is `a_b`, a wire `let$x` is `x`.
pub fn verilog_name(ast: &str) -> String {
    ast.strip_prefix(WIRE_MARK).unwrap_or(ast).replace('$', "_")
}

/// Finds the wires of a kernel (names that only `let` made) with their widths, in order.
pub fn wires(stmts: &[Vs], sy: &mut Symbols, taken: &mut BTreeSet<String>) -> Result<Vec<(String, usize)>, String> {
    let mut found = Vec::new();
    collect(stmts, sy, taken, &mut found)?;
    Ok(found)
}

fn collect(
    stmts: &[Vs],
    sy: &mut Symbols,
    taken: &mut BTreeSet<String>,
    found: &mut Vec<(String, usize)>,
) -> Result<(), String> {
    for s in stmts {
        match s {
            Vs::Assignment(Vx::Signal(n), v) if n.starts_with(WIRE_MARK) && !sy.known.contains_key(n) => {
                let w = sy.print(v)?.width;
                let mut name = verilog_name(n);
                while !taken.insert(name.clone()) {
                    name.push_str("_w");
                }
                sy.known.insert(n.clone(), (w, name));
                found.push((n.clone(), w));
            }
            Vs::If(c) => {
                collect(&c.then, sy, taken, found)?;
                match &c.otherwise {
                    Other::Block(b) => collect(b, sy, taken, found)?,
                    Other::Conditional(s) => collect(std::slice::from_ref(s), sy, taken, found)?,
                    Other::None => {}
                }
            }
            Vs::Match(m) => {
                for c in &m.cases {
                    collect(&c.block, sy, taken, found)?;
                }
            }
            Vs::Macro(b) => collect(b, sy, taken, found)?,
            _ => {}
        }
    }
    Ok(())
}

/// Prints the expressions of `stmts`.
pub fn lower(stmts: &[Vs], sy: &Symbols) -> Result<Vec<S>, String> {
    let mut out = Vec::new();
    for s in stmts {
        one(s, sy, &mut out)?;
    }
    Ok(out)
}

fn one(s: &Vs, sy: &Symbols, out: &mut Vec<S>) -> Result<(), String> {
    match s {
        Vs::Assignment(Vx::Signal(n), v) => {
            let target = normal(n);
            let have = sy.known.get(&target).ok_or_else(|| format!("`{target}` is assigned but is no signal"))?.0;
            let t = sy.print(v)?;
            if t.width != have {
                return Err(format!("{target} has {have} bits and is assigned {} bits: {}", t.width, t.text));
            }
            let mut reads = BTreeSet::new();
            sy.reads(v, &mut reads);
            let copy = match v {
                Vx::Signal(x) => Some(normal(x)),
                _ => None,
            };
            out.push(S::Assign { target, text: t.text, reads, copy });
        }
        Vs::If(c) => {
            let test = sy.print(&c.test)?;
            let mut reads = BTreeSet::new();
            sy.reads(&c.test, &mut reads);
            let otherwise = match &c.otherwise {
                Other::Block(b) => lower(b, sy)?,
                Other::Conditional(s) => lower(std::slice::from_ref(s), sy)?,
                Other::None => Vec::new(),
            };
            out.push(S::If { test: test.text, reads, then: lower(&c.then, sy)?, otherwise });
        }
        Vs::Match(m) => {
            let test = sy.print(&m.test)?;
            let mut reads = BTreeSet::new();
            sy.reads(&m.test, &mut reads);
            let mut arms = Vec::new();
            for c in &m.cases {
                let ours = c.condition == "default" || c.condition.split(", ").all(|l| l.contains("'h"));
                if !ours {
                    return Err(format!("the match arm `{}` is not a constant", c.condition));
                }
                arms.push((c.condition.clone(), lower(&c.block, sy)?));
            }
            out.push(S::Case { test: test.text, reads, arms });
        }
        Vs::Macro(b) => out.extend(lower(b, sy)?),
        Vs::Comment(_) => {}
        Vs::Link(ls) => {
            for l in ls {
                let (to, from) = match l {
                    VerilogLink::Forward(d) => (end(&d.other_name, d), end(&d.owner_name, d)),
                    VerilogLink::Backward(d) => (end(&d.owner_name, d), end(&d.other_name, d)),
                    VerilogLink::Bidirectional(_) => return Err("tristate wires end at the pins of a board".into()),
                };
                one(&Vs::Assignment(Vx::Signal(to), Vx::Signal(from)), sy, out)?;
            }
        }
        Vs::Assignment(..) | Vs::SliceAssignment { .. } | Vs::Loop(_) => {
            return Err("a statement that the kernel language does not make".into());
        }
    }
    Ok(())
}

fn end(block: &str, d: &VerilogLinkDetails) -> String {
    let (b, m) = (normal(block), normal(&d.my_name));
    if m.is_empty() { b } else { format!("{b}${m}") }
}

impl S {
    /// Every name assigned in it.
    pub fn targets(&self, out: &mut BTreeSet<String>) {
        match self {
            S::Assign { target, .. } => {
                out.insert(target.clone());
            }
            S::If { then, otherwise, .. } => then.iter().chain(otherwise).for_each(|s| s.targets(out)),
            S::Case { arms, .. } => arms.iter().flat_map(|a| &a.1).for_each(|s| s.targets(out)),
        }
    }

    /// What the assignments to `of` read, conditions included.
    pub fn reads_for(&self, of: &BTreeSet<String>, out: &mut BTreeSet<String>) -> bool {
        match self {
            S::Assign { target, reads, .. } => {
                let hit = of.contains(target);
                if hit {
                    out.extend(reads.iter().cloned());
                }
                hit
            }
            S::If { reads, then, otherwise, .. } => {
                let mut hit = false;
                for s in then.iter().chain(otherwise) {
                    hit |= s.reads_for(of, out);
                }
                if hit {
                    out.extend(reads.iter().cloned());
                }
                hit
            }
            S::Case { reads, arms, .. } => {
                let mut hit = false;
                for s in arms.iter().flat_map(|a| &a.1) {
                    hit |= s.reads_for(of, out);
                }
                if hit {
                    out.extend(reads.iter().cloned());
                }
                hit
            }
        }
    }
}
