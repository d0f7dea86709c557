//! `#[pure] fn f(x: V, n: usize) -> V { let y = ..; expr }`: a function on hardware values.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, ItemFn, Pat, Result, ReturnType, Stmt, Type};

use crate::expr::expr;
use crate::scope::{Name, Scope};

fn is_v(t: &Type) -> bool {
    matches!(t, Type::Path(p) if p.path.is_ident("V"))
}

pub fn lower(f: ItemFn) -> Result<TokenStream> {
    let mut sc = Scope::default();
    sc.push();
    let mut args = Vec::new();
    for a in &f.sig.inputs {
        let FnArg::Typed(t) = a else {
            return Err(syn::Error::new_spanned(a, "a pure function has no self"));
        };
        let Pat::Ident(id) = &*t.pat else {
            return Err(syn::Error::new_spanned(t, "an argument is one name"));
        };
        sc.bind(&id.ident, if is_v(&t.ty) { Name::Wire } else { Name::Constant });
        let (id, ty) = (&id.ident, &t.ty);
        args.push(if is_v(ty) { quote!(#id: __V) } else { quote!(#id: #ty) });
    }
    match &f.sig.output {
        ReturnType::Type(_, t) if is_v(t) => {}
        other => return Err(syn::Error::new_spanned(other, "a pure function returns `V`")),
    }
    let mut body = Vec::new();
    for s in &f.block.stmts {
        match s {
            Stmt::Local(l) => {
                let (id, init, plain) = crate::stmt::let_parts(l)?;
                if plain {
                    sc.bind(&id, Name::Constant);
                    body.push(quote!(#l));
                } else {
                    let v = expr(init, &sc)?;
                    sc.bind(&id, Name::Wire);
                    body.push(quote!(let #id = #v;));
                }
            }
            Stmt::Expr(e, None) => body.push(expr(e, &sc)?),
            other => return Err(syn::Error::new_spanned(other, "a pure function is `let`s and one value")),
        }
    }
    let (vis, attrs, name) = (&f.vis, &f.attrs, &f.sig.ident);
    Ok(quote! {
        #(#attrs)*
        #[allow(clippy::redundant_clone, clippy::needless_borrow, unused_braces)]
        #vis fn #name<__V: ::azote_hdl::Value>(#(#args),*) -> __V {
            #(#body)*
        }
    })
}
