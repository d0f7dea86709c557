//! The kernel language of Azote's hardware: ordinary Rust syntax, lowered twice.
//!
//! `#[kernel]` stands on `impl Logic for Block { fn update(&mut self) { .. } }` in the place of rust-hdl's
//! `#[hdl_gen]`. The body is lowered once into Rust that runs (rust-hdl's simulator) and once into rust-hdl's
//! public AST (the Verilog printer), from the same tree, so that the two cannot drift apart; what would mean
//! different things in the two (match guards, range patterns, early returns, compound assignment) is a compile error.
//!
//! `#[pure]` stands on a function whose `V` parameters are hardware values; kernels call it by name.
//!
//! `packed!` names the fields of a word.
//!
//! `docs/write-a-block.md` is the guide to the language.

mod expr;
mod kernel;
mod packed;
mod pure;
#[cfg(test)]
mod refused;
mod scope;
mod states;
mod stmt;

use proc_macro::TokenStream;

/// Lowers the `update` method of an `impl Logic for ..` into `update`, `connect` and `hdl`.
#[proc_macro_attribute]
pub fn kernel(_attr: TokenStream, item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::ItemImpl);
    kernel::lower(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a function on hardware values (`V` parameters) usable in every kernel.
#[proc_macro_attribute]
pub fn pure(_attr: TokenStream, item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::ItemFn);
    pure::lower(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// A word with named fields, the highest first: `packed! { pub Word { high: 4, low: 12 } }`.
#[proc_macro]
pub fn packed(item: TokenStream) -> TokenStream {
    packed::lower(&syn::parse_macro_input!(item as packed::Word)).into()
}
