//! Names of a state register's values, for waves and for readers of the Verilog: where a kernel chooses by a register between
//! constants of one type (`match self.st.q { St::IDLE => …`), these constants are what its values are called.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit::Visit;
use syn::{Expr, ExprAssign, ExprMatch, Ident, Pat, Path};

use crate::expr::place;

/// Names of constants by register and type.
#[derive(Default)]
struct Names {
    /// Registers that are chosen by, with the type of the constants.
    chosen: BTreeSet<(String, String)>,
    found: BTreeMap<(String, String), BTreeSet<Ident>>,
}

/// A register `self.NAME`, whose value or next value is `field`.
fn register(e: &Expr, field: &str) -> Option<String> {
    let place = place(e).ok().flatten().filter(|p| p.last == field && p.owner_array.is_none())?;
    let owner = place.owner.to_string().replace(' ', "");
    owner.strip_prefix("self.").filter(|name| !name.contains('.')).map(str::to_owned)
}

/// `Type::CONSTANT`.
fn constant(path: &Path) -> Option<(String, Ident)> {
    let segments: Vec<_> = path.segments.iter().collect();
    match segments.as_slice() {
        [of, name] if path.leading_colon.is_none() && of.ident.to_string().starts_with(char::is_uppercase) => {
            Some((of.ident.to_string(), name.ident.clone()))
        }
        _ => None,
    }
}

/// The constants of a match arm.
fn patterns(pattern: &Pat) -> Vec<(String, Ident)> {
    match pattern {
        Pat::Path(p) => constant(&p.path).into_iter().collect(),
        Pat::Or(o) => o.cases.iter().flat_map(patterns).collect(),
        Pat::Paren(p) => patterns(&p.pat),
        _ => Vec::new(),
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_expr_match(&mut self, m: &'a ExprMatch) {
        if let Some(register) = register(&m.expr, "q") {
            for (of, name) in m.arms.iter().flat_map(|arm| patterns(&arm.pat)) {
                self.chosen.insert((register.clone(), of.clone()));
                self.found.entry((register.clone(), of)).or_default().insert(name);
            }
        }
        syn::visit::visit_expr_match(self, m);
    }

    fn visit_expr_assign(&mut self, a: &'a ExprAssign) {
        if let (Some(register), Expr::Path(p)) = (register(&a.left, "d"), &*a.right)
            && let Some((of, name)) = constant(&p.path)
        {
            self.found.entry((register, of)).or_default().insert(name);
        }
        syn::visit::visit_expr_assign(self, a);
    }
}

/// Statements of the description that say the names: `__d.states("st", &[("IDLE", St::IDLE), …])`.
pub fn describe(body: &syn::Block) -> Vec<TokenStream> {
    let mut names = Names::default();
    names.visit_block(body);
    let chosen = names.found.into_iter().filter(|(key, _)| names.chosen.contains(key));
    chosen
        .map(|((register, of), names)| {
            let of = Ident::new(&of, proc_macro2::Span::call_site());
            let texts = names.iter().map(ToString::to_string);
            let names = names.iter();
            quote! { __d.states(#register, &[#((#texts, u64::from(#of::#names))),*]); }
        })
        .collect()
}
