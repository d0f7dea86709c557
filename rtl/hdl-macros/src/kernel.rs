//! `#[kernel] impl Logic for Block { fn update(&mut self) { .. } }`.

use proc_macro2::TokenStream;
use quote::quote;
use std::collections::BTreeMap;
use syn::visit::Visit;
use syn::{ImplItem, ItemImpl, Result};

use crate::expr::place;
use crate::scope::Scope;
use crate::states;
use crate::stmt::{Mode, block};

/// Registers are found by use: whatever has its `d` assigned gets clock, reset and "hold" without being asked.
#[derive(Default)]
struct Registers {
    /// The register or array of registers as Rust text, with whether it is an array.
    found: BTreeMap<String, (TokenStream, bool)>,
    error: Option<syn::Error>,
}

impl<'a> Visit<'a> for Registers {
    fn visit_expr_assign(&mut self, a: &'a syn::ExprAssign) {
        match place(&a.left) {
            Ok(Some(p)) if p.last == "d" => {
                let (rust, array) = match p.owner_array {
                    Some(a) => (a, true),
                    None => (p.owner, false),
                };
                self.found.insert(rust.to_string(), (rust, array));
            }
            Ok(_) => {}
            Err(e) => self.error = Some(e),
        }
        syn::visit::visit_expr_assign(self, a);
    }
}

pub fn lower(item: ItemImpl) -> Result<TokenStream> {
    let body = match item.items.as_slice() {
        [ImplItem::Fn(f)] if f.sig.ident == "update" => &f.block,
        _ => return Err(syn::Error::new_spanned(&item, "a kernel is one `fn update(&mut self)`")),
    };
    let mut regs = Registers::default();
    regs.visit_block(body);
    if let Some(e) = regs.error {
        return Err(e);
    }
    let mut hold_run = Vec::new();
    let mut hold_describe = Vec::new();
    for (rust, array) in regs.found.values() {
        let name = rust.to_string().replace(' ', "");
        let name = name.trim_start_matches("self.").replace('.', "$");
        if *array {
            hold_run.push(quote! { for __r in #rust.iter_mut() { __d.hold(__r, &self.clock, &self.reset); } });
            hold_describe.push(quote! {
                for (__i, __r) in #rust.iter().enumerate() { __d.hold(__r, format!("{}${}", #name, __i)); }
            });
        } else {
            hold_run.push(quote! { __d.hold(&mut #rust, &self.clock, &self.reset); });
            hold_describe.push(quote! { __d.hold(&#rust, #name.to_string()); });
        }
    }
    let states = states::describe(body);
    let run = block(body, &mut Scope::default(), Mode::Run)?;
    let describe = block(body, &mut Scope::default(), Mode::Describe)?;
    let (generics, _, wher) = item.generics.split_for_impl();
    let ty = &item.self_ty;
    let tr = item.trait_.as_ref().map(|(_, p, _)| p);
    let type_name = match &**ty {
        syn::Type::Path(p) => p.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    };
    let attrs = &item.attrs;
    Ok(quote! {
        impl #generics #ty #wher {
            #[allow(clippy::all, clippy::pedantic, unused_variables, unused_mut, unused_braces, non_local_definitions)]
            fn __run(&mut self, __d: &mut ::azote_hdl::Sim) {
                #[allow(dead_code)] type __D = ::azote_hdl::Sim;
                #[allow(dead_code)] type __V = ::azote_hdl::Val;
                use ::azote_hdl::Domain as _;
                #(#hold_run)*
                #run
            }
        }
        #(#attrs)*
        impl #generics #tr for #ty #wher {
            fn update(&mut self) {
                self.__run(&mut ::azote_hdl::Sim::running());
            }
            fn connect(&mut self) {
                self.__run(&mut ::azote_hdl::Sim::connecting_all());
            }
            #[allow(clippy::all, clippy::pedantic, unused_variables, unused_mut, unused_braces)]
            fn hdl(&self) -> ::azote_hdl::rust_hdl::core::ast::Verilog {
                #[allow(dead_code)] type __D = ::azote_hdl::Ast;
                #[allow(dead_code)] type __V = ::azote_hdl::Expr;
                use ::azote_hdl::Domain as _;
                let mut __ast = ::azote_hdl::Ast::new(#type_name);
                let __d = &mut __ast;
                #(#hold_describe)*
                #(#states)*
                #describe
                __ast.finish()
            }
        }
    })
}
