//! What the kernel language refuses, each with its message. `docs/write-a-block.md` lists them.

use proc_macro2::TokenStream;
use quote::quote;

fn kernel(body: TokenStream) -> String {
    let item = syn::parse2(quote! { impl Logic for Block { fn update(&mut self) { #body } } }).unwrap();
    crate::kernel::lower(item).map_or_else(|e| e.to_string(), |_| "accepted".into())
}

fn pure(item: TokenStream) -> String {
    crate::pure::lower(syn::parse2(item).unwrap()).map_or_else(|e| e.to_string(), |_| "accepted".into())
}

#[test]
fn match_guards() {
    let guard = "a match guard has no meaning in hardware; put an `if` inside the arm";
    assert_eq!(kernel(quote! { match self.a { 1 if self.b => self.x = 1, _ => {} } }), guard);
    assert_eq!(kernel(quote! { self.x = match self.a { 1 if self.b => 1, _ => 2 }; }), guard);
    assert_eq!(pure(quote! { fn f(a: V, b: V) -> V { match a { 1 if b => 2, _ => 3 } } }), guard);
    assert_eq!(kernel(quote! { match self.a { 1 => { if self.b { self.x = 1; } } _ => {} } }), "accepted");
}

#[test]
fn matches_that_leave_something_open_or_bind() {
    let last = "a match ends with `_ =>`: hardware takes every value";
    assert_eq!(kernel(quote! { match self.a { 1 => self.x = 1, 2 => {} } }), last);
    assert_eq!(kernel(quote! { self.x = match self.a { 1 => 2, 2 => 3 }; }), "a match used as a value ends with `_`");
    assert_eq!(kernel(quote! { self.x = match self.a { _ => 2, 2 => 3 }; }), "a match used as a value ends with `_`");
    assert_eq!(
        kernel(quote! { match self.a { n => {} _ => {} } }),
        "a pattern cannot bind a name; use a constant or `_`"
    );
    let only = "a kernel matches literals, constants, or-patterns and `_` only";
    assert_eq!(kernel(quote! { match self.a { 1..=3 => {} _ => {} } }), only);
    assert_eq!(kernel(quote! { match self.a { (1, 2) => {} _ => {} } }), only);
}

#[test]
fn values_without_an_else_and_blocks_that_do_more() {
    assert_eq!(kernel(quote! { self.x = if self.a { 1 }; }), "an `if` used as a value needs an `else`");
    let one = "a block used as a value holds exactly one expression; name steps by `let` before it";
    assert_eq!(kernel(quote! { self.x = if self.a { let y = 1; y } else { 2 }; }), one);
}

#[test]
fn operators_that_are_no_hardware() {
    let compound = "compound assignment and division are not part of the kernel language";
    assert_eq!(
        kernel(quote! { self.x += 1; }),
        "this is not a statement of the kernel language (see docs/write-a-block.md)"
    );
    assert_eq!(kernel(quote! { self.x = self.a / 2; }), compound);
    assert_eq!(kernel(quote! { self.x = self.a % 2; }), compound);
    assert_eq!(
        kernel(quote! { self.x = -self.a; }),
        "only `!` is hardware; write `0 - x` on a named width for a negation"
    );
    assert_eq!(
        kernel(quote! { self.x = self.a.len(); }),
        "no such method on a hardware value (see docs/write-a-block.md)"
    );
}

#[test]
fn assignments_to_what_is_no_signal() {
    let part = "assign a signal of `self` or a `let` wire; a slice cannot be assigned in part";
    assert_eq!(kernel(quote! { self.x.bits(3, 0) = 1; }), part);
    assert_eq!(kernel(quote! { X = 1; }), "this is a constant; only wires and signals can be assigned");
    assert_eq!(kernel(quote! { let x; }), "a wire has a value from its start");
    assert_eq!(kernel(quote! { let (a, b) = (1, 2); }), "a `let` names one wire");
}

#[test]
fn flow_that_hardware_has_not() {
    let statement = "this is not a statement of the kernel language (see docs/write-a-block.md)";
    assert_eq!(kernel(quote! { while self.a {} }), statement);
    assert_eq!(kernel(quote! { loop {} }), statement);
    assert_eq!(kernel(quote! { return; }), statement);
    assert_eq!(kernel(quote! { f(self.a); }), statement);
    assert_eq!(kernel(quote! { println!("x"); }), "expected a block or an interface of `self`");
    let macros = "only clocked!, memories!, link!, join!, watch!, check! and assume! stand in a kernel";
    assert_eq!(kernel(quote! { assert!(self.a); }), macros);
}

#[test]
fn watchers_without_a_place_or_a_maker() {
    let shape = "expected a watcher, an index, a maker and signals, as in watch!(self.door, 0, self.a.tx, valid)";
    assert_eq!(kernel(quote! { watch!(self.a, 0); }), shape);
    assert_eq!(kernel(quote! { watch!(self.a, 0, self.b, valid, data); }), "accepted");
}

#[test]
fn checks_without_a_text_or_with_one_that_verilog_could_not_hold() {
    let shape = "expected a condition and a text, as in check!(a != b, \"they differ\")";
    assert_eq!(kernel(quote! { check!(self.a); }), shape);
    assert_eq!(kernel(quote! { check!(self.a, self.b); }), shape);
    let text = "the text of a check goes into Verilog: ASCII without quotes, backslashes and per cent signs";
    assert_eq!(kernel(quote! { check!(self.a, "50 %"); }), text);
    assert_eq!(kernel(quote! { check!(self.a | self.b, "one of them"); }), "accepted");
}

#[test]
fn functions_of_another_shape() {
    assert_eq!(pure(quote! { fn f(a: V) -> u8 { a } }), "a pure function returns `V`");
    assert_eq!(pure(quote! { fn f(&self, a: V) -> V { a } }), "a pure function has no self");
    assert_eq!(
        pure(quote! { fn f(a: V) -> V { for i in 0..3 {} a } }),
        "this is not part of the kernel language (see docs/write-a-block.md)"
    );
    let item = syn::parse2(quote! { impl Logic for Block { fn connect(&mut self) {} } }).unwrap();
    assert_eq!(crate::kernel::lower(item).unwrap_err().to_string(), "a kernel is one `fn update(&mut self)`");
}

#[test]
fn words_without_the_rest_that_they_name() {
    let rest = "`..` needs the word from which the other fields are taken";
    assert_eq!(kernel(quote! { self.x = Word { a: 1, .. }; }), rest);
    assert_eq!(kernel(quote! { self.x = Word { a: 1, ..self.y }; }), "accepted");
    assert_eq!(kernel(quote! { self.x = self.y.set(HIGH); }), "needs a field and its value");
    let word =
        |w: TokenStream| syn::parse2::<crate::packed::Word>(w).map_or_else(|e| e.to_string(), |_| "accepted".into());
    assert_eq!(word(quote! { pub Word { A: 1 } }), "the fields of a packed word are written small");
    assert_eq!(word(quote! { pub Word {} }), "a packed word has at least one field");
    assert_eq!(word(quote! { Word { a: 1, b: WIDTH } }), "accepted");
}
