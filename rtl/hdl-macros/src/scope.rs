//! What a bare name stands for while a kernel is lowered.

use std::collections::HashMap;

/// Two kinds of name: a wire carries a hardware value; a constant is plain Rust, known when the card is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Wire,
    Constant,
}

/// A stack of scopes, so that a `let` inside an `if` ends with it.
#[derive(Default)]
pub struct Scope {
    frames: Vec<HashMap<String, Name>>,
}

impl Scope {
    pub fn push(&mut self) {
        self.frames.push(HashMap::new());
    }

    pub fn pop(&mut self) {
        self.frames.pop();
    }

    pub fn bind(&mut self, ident: &syn::Ident, name: Name) {
        if let Some(frame) = self.frames.last_mut() {
            frame.insert(ident.to_string(), name);
        }
    }

    /// A name that no `let` of the kernel made is a constant of the surrounding Rust.
    pub fn kind(&self, ident: &syn::Ident) -> Name {
        let key = ident.to_string();
        self.frames.iter().rev().find_map(|f| f.get(&key).copied()).unwrap_or(Name::Constant)
    }
}
