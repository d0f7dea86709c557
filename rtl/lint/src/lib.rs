//! The rules of the hardware's source, checked on its syntax. The printer sees only what a block became; these are the
//! ways around it, and what stock rust-hdl drops in silence:
//!
//! - `#[hdl_gen]`, rust-hdl's own kernel attribute, prints something else than it runs;
//! - Verilog as text (`Verilog::Custom`, `Blackbox`, `Wrapper`) belongs to the primitives alone;
//! - a hand-written `impl Logic` has two behaviours that nothing keeps equal: outside the primitives it is a `#[kernel]`;
//! - a match guard in a kernel has no meaning in hardware (the kernel macro refuses it, too).

use std::fmt;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::visit::Visit;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

const HDL_GEN: &str = "`hdl_gen` prints something else than it runs; write #[kernel]";
const TEXT: &str = "Verilog as text belongs to the primitives (rtl/hdl/src/prim); describe this as a kernel";
const HAND: &str = "`impl Logic` by hand: what it runs and what it prints can differ; write #[kernel]";
const HIDDEN: &str = "`impl Logic` inside a macro: nobody can check it; write it out with #[kernel]";
const GUARD: &str = "a match guard has no meaning in hardware; put an `if` inside the arm";

/// What a file may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Name the variants of Verilog text: the primitives make them, the printer reads them.
    pub text: bool,
    /// Implement `Logic` by hand.
    pub by_hand: bool,
}

impl Allowed {
    /// By the file's path below `rtl/`, with `/` between its parts.
    pub fn of(path: &str) -> Allowed {
        let prim = path.starts_with("hdl/src/prim/");
        let tests = path.split('/').any(|part| part == "tests");
        Allowed {
            text: prim || path.starts_with("hdl/src/print/"),
            // The macro crate writes them: that is what `#[kernel]` does.
            by_hand: prim || path == "hdl/src/signal.rs" || path.starts_with("hdl-macros/") || tests,
        }
    }
}

/// Checks the text of one file.
///
/// # Errors
/// If the text is no Rust.
pub fn check(file: &str, text: &str, allowed: Allowed) -> syn::Result<Vec<Finding>> {
    let tokens: TokenStream = syn::parse_str(text)?;
    let mut found = Found { file, list: Vec::new() };
    let flat = flatten(tokens);
    words(&flat, allowed, &mut found);
    Rules { allowed, in_kernel: false, found: &mut found }.visit_file(&syn::parse_file(text)?);
    let mut list = found.list;
    list.sort_by_key(|f| f.line);
    list.dedup();
    Ok(list)
}

struct Found<'a> {
    file: &'a str,
    list: Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, at: Span, what: &'static str) {
        self.list.push(Finding { file: self.file.to_owned(), line: at.start().line, what });
    }
}

/// All tokens in a row, macros' insides too, so that nothing hides from a rule about words.
fn flatten(tokens: TokenStream) -> Vec<(String, Span)> {
    let mut flat = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                flat.push((open.to_owned(), group.span_open()));
                flat.extend(flatten(group.stream()));
                flat.push((close.to_owned(), group.span_close()));
            }
            token => flat.push((token.to_string(), token.span())),
        }
    }
    flat
}

fn words(flat: &[(String, Span)], allowed: Allowed, found: &mut Found) {
    let word = |i: usize| flat.get(i).map_or("", |(text, _)| text.as_str());
    for (i, (text, span)) in flat.iter().enumerate() {
        if text == "hdl_gen" {
            found.add(*span, HDL_GEN);
        }
        if text != "Verilog" || allowed.text {
            continue;
        }
        // Another name for it would hide what is made of it.
        let renamed = word(i + 1) == "as";
        let path = word(i + 1) == ":" && word(i + 2) == ":";
        let variant = |w: &str| matches!(w, "Custom" | "Blackbox" | "Wrapper" | "*");
        let listed = word(i + 3) == "{" && (i + 4..).map(word).take_while(|w| !matches!(*w, "}" | "")).any(variant);
        if renamed || path && (variant(word(i + 3)) || listed) {
            found.add(*span, TEXT);
        }
    }
}

struct Rules<'a, 'f> {
    allowed: Allowed,
    in_kernel: bool,
    found: &'a mut Found<'f>,
}

fn has(attributes: &[syn::Attribute], name: &str) -> bool {
    attributes.iter().any(|a| a.path().segments.last().is_some_and(|s| s.ident == name))
}

impl<'ast> Visit<'ast> for Rules<'_, '_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let kernel = has(&item.attrs, "kernel");
        let logic =
            item.trait_.as_ref().is_some_and(|(_, path, _)| path.segments.last().is_some_and(|s| s.ident == "Logic"));
        if logic && !kernel && !self.allowed.by_hand {
            self.found.add(item.impl_token.span, HAND);
        }
        let outside = std::mem::replace(&mut self.in_kernel, kernel);
        syn::visit::visit_item_impl(self, item);
        self.in_kernel = outside;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let outside = std::mem::replace(&mut self.in_kernel, has(&item.attrs, "pure"));
        syn::visit::visit_item_fn(self, item);
        self.in_kernel = outside;
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let (Some((token, _)), true) = (&arm.guard, self.in_kernel) {
            self.found.add(token.span, GUARD);
        }
        syn::visit::visit_arm(self, arm);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        if !self.allowed.by_hand {
            let flat = flatten(item.tokens.clone());
            for pair in flat.windows(2) {
                if pair[0].0 == "Logic" && pair[1].0 == "for" {
                    self.found.add(pair[0].1, HIDDEN);
                }
            }
        }
        syn::visit::visit_macro(self, item);
    }
}
