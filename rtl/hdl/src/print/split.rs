//! Splits a kernel by what it assigns, and prints the parts.
//!
//! One `always_comb` for a whole kernel makes loops where the hardware has none (an output that depends on one input,
//! beside an input that depends on that output). So every target gets its own process with its own copy of the
//! conditions, except where a value is read half-way through its assignments: those targets stay together. The next
//! values of registers feed nothing combinational and share one process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::expr::Symbols;
use super::stmt::S;

/// Prints the processes of a kernel. `register_inputs` are the `d`s.
pub fn processes(stmts: &[S], sy: &Symbols, register_inputs: &BTreeSet<String>) -> String {
    let mut out = String::new();
    for set in target_sets(stmts, register_inputs) {
        let part = slice(stmts, &set);
        if let [S::Assign { target, text, .. }] = part.as_slice() {
            let _ = writeln!(out, "  assign {} = {text};", name(sy, target));
            continue;
        }
        out.push_str("  always_comb begin\n");
        write_all(&part, sy, 2, &mut out);
        out.push_str("  end\n");
    }
    out
}

fn name<'a>(sy: &'a Symbols, target: &'a str) -> &'a str {
    sy.known.get(target).map_or(target, |k| &k.1)
}

/// Sets of targets that must be computed together, in the order of their first assignment.
fn target_sets(stmts: &[S], register_inputs: &BTreeSet<String>) -> Vec<BTreeSet<String>> {
    let mut order: Vec<String> = Vec::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for (i, s) in stmts.iter().enumerate() {
        let mut t = BTreeSet::new();
        s.targets(&mut t);
        for x in t {
            if !last.contains_key(&x) {
                order.push(x.clone());
            }
            last.insert(x, i);
        }
    }
    let number: BTreeMap<&str, usize> = order.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
    let mut group: Vec<usize> = (0..order.len()).collect();
    fn find(g: &mut [usize], mut i: usize) -> usize {
        while g[i] != i {
            g[i] = g[g[i]];
            i = g[i];
        }
        i
    }
    let unite = |g: &mut Vec<usize>, a: usize, b: usize| {
        let (a, b) = (find(g, a), find(g, b));
        g[a.max(b)] = a.min(b);
    };
    let mut first_register = None;
    for (i, n) in order.iter().enumerate() {
        if register_inputs.contains(n) {
            let f = *first_register.get_or_insert(i);
            unite(&mut group, f, i);
        }
    }
    // A target that reads X no later than X's last assignment must see X grow: keep them in one process.
    for (i, s) in stmts.iter().enumerate() {
        let mut targets = BTreeSet::new();
        s.targets(&mut targets);
        for t in &targets {
            let mut reads = BTreeSet::new();
            s.reads_for(&[t.clone()].into(), &mut reads);
            for x in reads {
                if x != *t && last.get(&x).is_some_and(|l| *l >= i) {
                    unite(&mut group, number[x.as_str()], number[t.as_str()]);
                }
            }
        }
    }
    let mut sets: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (i, n) in order.iter().enumerate() {
        let g = find(&mut group, i);
        sets.entry(g).or_default().insert(n.clone());
    }
    sets.into_values().collect()
}

/// The statements without the assignments to anything else.
fn slice(stmts: &[S], set: &BTreeSet<String>) -> Vec<S> {
    let mut out = Vec::new();
    for s in stmts {
        match s {
            S::Assign { target, .. } => {
                if set.contains(target) {
                    out.push(s.clone());
                }
            }
            S::If { test, reads, then, otherwise } => {
                let (then, otherwise) = (slice(then, set), slice(otherwise, set));
                if !(then.is_empty() && otherwise.is_empty()) {
                    out.push(S::If { test: test.clone(), reads: reads.clone(), then, otherwise });
                }
            }
            S::Case { test, reads, arms } => {
                let arms: Vec<_> = arms.iter().map(|(l, b)| (l.clone(), slice(b, set))).collect();
                if arms.iter().any(|a| !a.1.is_empty()) {
                    out.push(S::Case { test: test.clone(), reads: reads.clone(), arms });
                }
            }
        }
    }
    out
}

fn write_all(stmts: &[S], sy: &Symbols, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    for s in stmts {
        match s {
            S::Assign { target, text, .. } => {
                let _ = writeln!(out, "{pad}{} = {text};", name(sy, target));
            }
            S::If { test, then, otherwise, .. } => {
                let _ = writeln!(out, "{pad}if ({test}) begin");
                write_all(then, sy, depth + 1, out);
                if !otherwise.is_empty() {
                    let _ = writeln!(out, "{pad}end else begin");
                    write_all(otherwise, sy, depth + 1, out);
                }
                let _ = writeln!(out, "{pad}end");
            }
            S::Case { test, arms, .. } => {
                let _ = writeln!(out, "{pad}case ({test})");
                // Arms that do nothing here are left to the default, unless the default does something.
                let default_works = arms.iter().any(|(l, b)| l == "default" && !b.is_empty());
                for (label, body) in arms {
                    if body.is_empty() && label != "default" && !default_works {
                        continue;
                    }
                    let _ = writeln!(out, "{pad}  {label}: begin");
                    write_all(body, sy, depth + 2, out);
                    let _ = writeln!(out, "{pad}  end");
                }
                let _ = writeln!(out, "{pad}endcase");
            }
        }
    }
}
