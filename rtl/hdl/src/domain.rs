//! The two worlds a kernel is lowered into.
//!
//! Control flow is the same call in both: [`Sim`] answers whether the branch is taken, [`Ast`] answers "yes" to every
//! branch and writes the branch down.

use rust_hdl::core::ast::{
    Verilog, VerilogBlock, VerilogBlockOrConditional, VerilogCase, VerilogConditional, VerilogExpression as Vx,
    VerilogMatch, VerilogStatement as Vs,
};
use rust_hdl::core::prelude::*;

use crate::describe::Expr;
use crate::prim::Reg;
use crate::run::Val;
use crate::signal::{Readable, Writable};
use crate::value::Value;

/// A world: how signals are read in it.
pub trait Domain {
    /// Its values.
    type V: Value;
    /// Reads a signal; `name` is asked for only where it is written down.
    fn get<S: Readable>(s: &S, name: impl FnOnce() -> String) -> Self::V;
}

/// Runs a kernel once, as rust-hdl's `update` or `connect`.
pub struct Sim {
    connecting: bool,
    /// For each open `if`: its condition.
    ifs: Vec<bool>,
    /// For each open `match`: the value, and whether an arm was taken.
    matches: Vec<(Val, bool)>,
}

impl Sim {
    /// For `Logic::update`.
    pub fn running() -> Sim {
        Sim { connecting: false, ifs: Vec::new(), matches: Vec::new() }
    }
    /// For `Logic::connect`: every branch is walked, every assigned signal marked as driven.
    pub fn connecting_all() -> Sim {
        Sim { connecting: true, ..Sim::running() }
    }
    /// Whether this is `connect`.
    pub fn connecting(&self) -> bool {
        self.connecting
    }
    /// A `let`.
    pub fn wire(&mut self, _name: &str, v: Val) -> Val {
        v
    }
    /// An assignment to a `let mut` wire.
    #[track_caller]
    pub fn rewire(&mut self, wire: &mut Val, v: Val) {
        if !self.connecting {
            *wire = match wire.width() {
                Some(w) => v.fit(w),
                None => v,
            };
        }
    }
    /// An assignment to a signal.
    #[track_caller]
    pub fn set<S: Writable>(&mut self, s: &mut S, v: Val) {
        if self.connecting {
            s.drive();
        } else {
            s.write(&v.fit(s.bits_wide()));
        }
    }
    /// Clock, reset and "hold" of a register, before the kernel says otherwise.
    pub fn hold<const N: usize>(&mut self, r: &mut Reg<N>, clock: &Signal<In, Clock>, reset: &Signal<In, Bit>) {
        if self.connecting {
            r.clock.connect();
            r.reset.connect();
            r.d.connect();
        } else {
            r.clock.next = clock.val();
            r.reset.next = reset.val();
            r.d.next = r.q.val();
        }
    }
    /// `check!` and `assume!`: not looked at here, where values pass through states that are no clock's.
    #[track_caller]
    pub fn check(&mut self, _assumed: bool, _text: &str, v: Val) {
        let _ = v.fit(1);
    }
    /// `if`.
    #[track_caller]
    pub fn then(&mut self, c: Val) -> bool {
        let taken = c.fit(1).is_true();
        self.ifs.push(taken);
        taken || self.connecting
    }
    /// `else`.
    pub fn otherwise(&mut self) -> bool {
        self.connecting || self.ifs.last() == Some(&false)
    }
    /// The end of an `if`.
    pub fn end_if(&mut self) {
        self.ifs.pop();
    }
    /// `match`.
    pub fn match_begin(&mut self, v: Val) {
        self.matches.push((v, false));
    }
    /// An arm with its literals.
    pub fn arm(&mut self, lits: Vec<Val>) -> bool {
        let Some((v, taken)) = self.matches.last_mut() else { return false };
        let hit = !*taken && Val::is_one_of(v.clone(), lits).is_true();
        *taken |= hit;
        hit || self.connecting
    }
    /// `_`.
    pub fn default_arm(&mut self) -> bool {
        self.connecting || self.matches.last().is_some_and(|m| !m.1)
    }
    /// The end of a `match`.
    pub fn match_end(&mut self) {
        self.matches.pop();
    }
}

impl Domain for Sim {
    type V = Val;
    fn get<S: Readable>(s: &S, _name: impl FnOnce() -> String) -> Val {
        s.read()
    }
}

enum Open {
    If { test: Vx, then: Option<VerilogBlock> },
    Match { test: Vx, width: usize, cases: Vec<VerilogCase>, current: Option<String> },
}

/// Writes a kernel down as rust-hdl's AST.
pub struct Ast {
    blocks: Vec<VerilogBlock>,
    open: Vec<Open>,
    wires: Vec<(String, usize)>,
    checks: Vec<Vs>,
}

/// The comment that carries a block's type name to the printer.
pub const BLOCK_MARK: &str = "block ";
/// What the AST name of a `let` wire starts with.
pub const WIRE_MARK: &str = "let$";
/// Starts the comment that tells the printer of a check: the AST has no assertion.
pub const CHECK_MARK: &str = "check ";
/// The same for an assumption.
pub const ASSUME_MARK: &str = "assume ";
/// Before a register's name and what its values are called.
pub const STATES_MARK: &str = "states ";

impl Ast {
    /// Starts the kernel of the block type `name`.
    pub fn new(name: &str) -> Ast {
        let first = Vs::Comment(format!("{BLOCK_MARK}{name}"));
        Ast { blocks: vec![vec![first]], open: Vec::new(), wires: Vec::new(), checks: Vec::new() }
    }

    fn push(&mut self, s: Vs) {
        if let Some(b) = self.blocks.last_mut() {
            b.push(s);
        }
    }

    /// A `let`: a named wire whose width is that of its value. A literal stays a literal.
    #[track_caller]
    pub fn wire(&mut self, name: &str, v: Expr) -> Expr {
        let Some(w) = v.width() else { return v };
        let used = self.wires.iter().filter(|(n, _)| n == name).count();
        self.wires.push((name.to_string(), w));
        let name = if used == 0 { format!("{WIRE_MARK}{name}") } else { format!("{WIRE_MARK}{name}${}", used + 1) };
        let assign = Vs::Assignment(Vx::Signal(name.clone()), v.ast());
        if self.blocks.len() > 1 {
            // Assigned in one branch only: a default at the top keeps it from being a latch.
            let zero = Expr::lit(num_bigint::BigUint::ZERO).fit(w).ast();
            self.blocks[0].insert(1, Vs::Assignment(Vx::Signal(name.clone()), zero));
        }
        self.push(assign);
        Expr::signal(name, w)
    }

    /// An assignment to a `let mut` wire.
    #[track_caller]
    pub fn rewire(&mut self, wire: &mut Expr, v: Expr) {
        let Some(w) = wire.width() else { panic!("give the wire a width with sized(v, w) before it is assigned") };
        let v = v.fit(w);
        self.push(Vs::Assignment(wire.ast(), v.ast()));
    }

    /// `check!` and `assume!`: a wire with the condition, true where the statement is not reached, and a note to the printer.
    #[track_caller]
    pub fn check(&mut self, assumed: bool, text: &str, v: Expr) {
        let v = v.fit(1).ast();
        let is_check = |s: &&Vs| matches!(s, Vs::Comment(c) if !c.starts_with(STATES_MARK));
        let wire = format!("{WIRE_MARK}check_{}", self.checks.iter().filter(is_check).count() + 1);
        if self.blocks.len() > 1 {
            let yes = Expr::lit(1u8.into()).fit(1).ast();
            self.blocks[0].insert(1, Vs::Assignment(Vx::Signal(wire.clone()), yes));
        }
        self.push(Vs::Assignment(Vx::Signal(wire.clone()), v));
        let mark = if assumed { ASSUME_MARK } else { CHECK_MARK };
        self.checks.push(Vs::Comment(format!("{mark}{wire} {text}")));
    }

    /// What the values of a register are called, for readers and for waves.
    pub fn states(&mut self, register: &str, names: &[(&str, u64)]) {
        let mut names = names.to_vec();
        names.sort_by_key(|(_, value)| *value);
        let names: Vec<_> = names.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.checks.push(Vs::Comment(format!("{STATES_MARK}{register} {}", names.join(" "))));
    }

    /// An assignment to a signal.
    #[track_caller]
    pub fn set<S: Writable>(&mut self, s: &S, name: String, v: Expr) {
        let v = v.fit(s.bits_wide());
        self.push(Vs::Assignment(Vx::Signal(name), v.ast()));
    }

    /// Clock, reset and "hold" of a register.
    pub fn hold<const N: usize>(&mut self, _r: &Reg<N>, name: String) {
        let s = |n: &str| Vx::Signal(n.to_string());
        self.push(Vs::Assignment(s(&format!("{name}$clock")), s("clock")));
        self.push(Vs::Assignment(s(&format!("{name}$reset")), s("reset")));
        self.push(Vs::Assignment(s(&format!("{name}$d")), s(&format!("{name}$q"))));
    }

    /// `if`.
    #[track_caller]
    pub fn then(&mut self, c: Expr) -> bool {
        let test = c.fit(1).ast();
        self.open.push(Open::If { test, then: None });
        self.blocks.push(Vec::new());
        true
    }

    /// `else`.
    pub fn otherwise(&mut self) -> bool {
        let body = self.blocks.pop();
        if let Some(Open::If { then, .. }) = self.open.last_mut() {
            *then = body;
        }
        self.blocks.push(Vec::new());
        true
    }

    /// The end of an `if`.
    pub fn end_if(&mut self) {
        let last = self.blocks.pop().unwrap_or_default();
        if let Some(Open::If { test, then }) = self.open.pop() {
            let (then, otherwise) = match then {
                None => (last, VerilogBlockOrConditional::None),
                Some(t) => (t, VerilogBlockOrConditional::Block(last)),
            };
            self.push(Vs::If(VerilogConditional { test, then, otherwise }));
        }
    }

    /// `match`.
    #[track_caller]
    pub fn match_begin(&mut self, v: Expr) {
        let Some(width) = v.width() else { panic!("match on a literal") };
        self.open.push(Open::Match { test: v.ast(), width, cases: Vec::new(), current: None });
    }

    fn next_arm(&mut self, label: String) {
        self.close_arm();
        if let Some(Open::Match { current, .. }) = self.open.last_mut() {
            *current = Some(label);
        }
        self.blocks.push(Vec::new());
    }

    fn close_arm(&mut self) {
        if let Some(Open::Match { cases, current, .. }) = self.open.last_mut()
            && let Some(condition) = current.take()
        {
            let block = self.blocks.pop().unwrap_or_default();
            cases.push(VerilogCase { condition, block });
        }
    }

    /// An arm with its literals.
    #[track_caller]
    pub fn arm(&mut self, lits: Vec<Expr>) -> bool {
        let width = match self.open.last() {
            Some(Open::Match { width, .. }) => *width,
            _ => 0,
        };
        let labels: Vec<String> = lits
            .into_iter()
            .map(|l| match l.fit(width).constant() {
                Some(v) => format!("{width}'h{v:x}"),
                None => panic!("an arm of a match is a constant"),
            })
            .collect();
        self.next_arm(labels.join(", "));
        true
    }

    /// `_`.
    pub fn default_arm(&mut self) -> bool {
        self.next_arm("default".into());
        true
    }

    /// The end of a `match`.
    pub fn match_end(&mut self) {
        self.close_arm();
        if let Some(Open::Match { test, cases, .. }) = self.open.pop() {
            self.push(Vs::Match(VerilogMatch { test, cases }));
        }
    }

    /// An interface of this block handed to the same interface of a block inside.
    pub fn link<T: LogicLink>(&mut self, _a: &T, _b: &T, outer: String, inner: String) {
        self.push(Vs::Link(T::link_hdl("", &outer, &inner)));
    }

    /// Two matching interfaces of blocks inside, joined.
    pub fn join<A: LogicJoin, B: LogicJoin>(&mut self, _a: &A, _b: &B, a: String, b: String) {
        self.push(Vs::Link(A::join_hdl("", &a, &b)));
    }

    /// The whole kernel.
    pub fn finish(mut self) -> Verilog {
        let mut all = self.blocks.swap_remove(0);
        all.append(&mut self.checks);
        Verilog::Combinatorial(all)
    }
}

impl Domain for Ast {
    type V = Expr;
    fn get<S: Readable>(s: &S, name: impl FnOnce() -> String) -> Expr {
        Expr::signal(name(), s.width())
    }
}

/// rust-hdl's marks for links and joins, under the names that the kernel macro calls.
pub mod connect {
    use rust_hdl::core::logic::{LogicJoin, LogicLink, logic_connect_join_fn, logic_connect_link_fn};

    /// Marks both ends of a link.
    pub fn link<L: LogicLink>(a: &mut L, b: &mut L) {
        logic_connect_link_fn(a, b);
    }
    /// Marks both ends of a join.
    pub fn join<A: LogicJoin, B: LogicJoin>(a: &mut A, b: &mut B) {
        logic_connect_join_fn(a, b);
    }
}
