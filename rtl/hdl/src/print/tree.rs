//! Reads a design through rust-hdl's `Probe` into a tree of blocks.

use rust_hdl::core::ast::{Verilog, VerilogStatement};
use rust_hdl::core::atom::{Atom, AtomKind};
use rust_hdl::core::block::Block;
use rust_hdl::core::probe::Probe;

use super::PrintError;
use crate::domain::BLOCK_MARK;
use crate::prim::REGISTER_MARK;

/// A signal, port or constant of a block.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// With `$` between the parts of an interface.
    pub name: String,
    pub kind: AtomKind,
    pub width: usize,
    /// Hexadecimal value of a constant.
    pub hex: String,
}

impl Leaf {
    pub fn is_input(&self) -> bool {
        self.kind == AtomKind::InputParameter
    }
}

/// A block with the blocks inside it.
#[derive(Default)]
pub struct Node {
    pub name: String,
    pub code: Verilog,
    pub leaves: Vec<Leaf>,
    pub kids: Vec<Node>,
}

impl Node {
    pub fn ports(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.iter().filter(|l| l.kind.is_parameter())
    }

    pub fn is_register(&self) -> bool {
        matches!(&self.code, Verilog::Custom(c) if c.starts_with(REGISTER_MARK))
    }

    /// The power-on and reset value of a register.
    pub fn init(&self) -> &str {
        self.leaves.iter().find(|l| l.kind == AtomKind::Constant).map_or("0", |l| &l.hex)
    }

    /// The type's name, where the kernel or the primitive left one.
    pub fn type_name(&self) -> Option<String> {
        let text = match &self.code {
            Verilog::Combinatorial(b) => match b.first() {
                Some(VerilogStatement::Comment(c)) => c.strip_prefix(BLOCK_MARK)?,
                _ => return None,
            },
            Verilog::Custom(c) => c.lines().next()?.strip_prefix("// ")?.strip_prefix(BLOCK_MARK)?,
            _ => return None,
        };
        Some(text.to_string())
    }
}

#[derive(Default)]
struct Reader {
    stack: Vec<Node>,
    namespaces: Vec<String>,
    root: Option<Node>,
}

impl Probe for Reader {
    fn visit_start_scope(&mut self, name: &str, node: &dyn Block) {
        self.namespaces.clear();
        self.stack.push(Node { name: name.into(), code: node.hdl(), ..Node::default() });
    }
    fn visit_start_namespace(&mut self, name: &str, _: &dyn Block) {
        self.namespaces.push(name.into());
    }
    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {
        self.namespaces.pop();
    }
    fn visit_atom(&mut self, name: &str, s: &dyn Atom) {
        let mut parts = self.namespaces.clone();
        parts.push(name.into());
        let hex = match s.kind() {
            AtomKind::Constant => format!("{:x}", s.verilog()),
            _ => String::new(),
        };
        let hex = hex.split_once("'h").map(|(_, h)| h.to_string()).unwrap_or_default();
        if let Some(n) = self.stack.last_mut() {
            n.leaves.push(Leaf { name: parts.join("$"), kind: s.kind(), width: s.bits(), hex });
        }
    }
    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        if let Some(n) = self.stack.pop() {
            match self.stack.last_mut() {
                Some(p) => p.kids.push(n),
                None => self.root = Some(n),
            }
        }
    }
}

/// The tree below `block`.
pub fn read<B: Block>(block: &B, top: &str) -> Result<Node, PrintError> {
    let mut r = Reader::default();
    block.accept(top, &mut r);
    r.root.ok_or_else(|| PrintError { path: top.into(), what: "it is an interface or a signal, not a block".into() })
}
