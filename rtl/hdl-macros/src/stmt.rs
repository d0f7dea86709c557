//! Lowers statements: assignments, `let`, `if`, `match`, `for`, and the few statement macros.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Block, Expr, Local, Pat, Result, Stmt};

use crate::expr::{expr, no_guard, pattern, place};
use crate::scope::{Name, Scope};

/// Which of the two lowerings is made: they differ in how a signal is written (`&mut` or `&`), in nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Run,
    Describe,
}

fn err<T>(at: &impl Spanned, what: &str) -> Result<T> {
    Err(syn::Error::new(at.span(), what))
}

/// Name and initial value of a `let`, and whether its type annotation makes it plain Rust.
pub fn let_parts(l: &Local) -> Result<(syn::Ident, &Expr, bool)> {
    let (pat, plain) = match &l.pat {
        Pat::Type(t) => (&*t.pat, true),
        p => (p, false),
    };
    let Pat::Ident(id) = pat else {
        return err(l, "a `let` names one wire");
    };
    match &l.init {
        Some(i) if i.diverge.is_none() => Ok((id.ident.clone(), &i.expr, plain)),
        _ => err(l, "a wire has a value from its start"),
    }
}

pub fn block(b: &Block, sc: &mut Scope, mode: Mode) -> Result<TokenStream> {
    sc.push();
    let stmts = b.stmts.iter().map(|s| stmt(s, sc, mode)).collect::<Result<Vec<_>>>();
    sc.pop();
    let stmts = stmts?;
    Ok(quote!(#(#stmts)*))
}

fn stmt(s: &Stmt, sc: &mut Scope, mode: Mode) -> Result<TokenStream> {
    match s {
        Stmt::Local(l) => {
            let (id, init, plain) = let_parts(l)?;
            if plain {
                sc.bind(&id, Name::Constant);
                return Ok(quote!(#l));
            }
            let v = expr(init, sc)?;
            sc.bind(&id, Name::Wire);
            let text = id.to_string();
            Ok(quote_spanned! {init.span()=>
                #[allow(unused_mut, unused_variables)]
                let mut #id = { let __v = #v; __d.wire(#text, __v) };
            })
        }
        Stmt::Item(i) => Ok(quote!(#i)),
        Stmt::Macro(m) => statement_macro(&m.mac, sc, mode),
        Stmt::Expr(e, _) => stmt_expr(e, sc, mode),
    }
}

fn stmt_expr(e: &Expr, sc: &mut Scope, mode: Mode) -> Result<TokenStream> {
    match e {
        Expr::Assign(a) => {
            let v = expr(&a.right, sc)?;
            if let Some(p) = place(&a.left)? {
                let (rust, name) = (p.rust, p.name);
                return Ok(match mode {
                    Mode::Run => quote_spanned! {a.right.span()=> { let __v = #v; __d.set(&mut #rust, __v); } },
                    Mode::Describe => quote_spanned! {a.right.span()=> { let __v = #v; __d.set(&#rust, #name, __v); } },
                });
            }
            match &*a.left {
                Expr::Path(p) => match p.path.get_ident() {
                    Some(id) if sc.kind(id) == Name::Wire => {
                        Ok(quote_spanned! {a.right.span()=> { let __v = #v; __d.rewire(&mut #id, __v); } })
                    }
                    _ => err(&a.left, "this is a constant; only wires and signals can be assigned"),
                },
                other => err(other, "assign a signal of `self` or a `let` wire; a slice cannot be assigned in part"),
            }
        }
        Expr::If(i) => if_stmt(i, sc, mode),
        Expr::Match(m) => {
            let v = expr(&m.expr, sc)?;
            let mut arms = Vec::new();
            let mut default = false;
            for a in &m.arms {
                no_guard(a)?;
                let body = match &*a.body {
                    Expr::Block(b) => block(&b.block, sc, mode)?,
                    Expr::Tuple(t) if t.elems.is_empty() => quote!(),
                    other => stmt_expr(other, sc, mode)?,
                };
                arms.push(match pattern(&a.pat)? {
                    Some(lits) => quote! { if __d.arm(vec![#(#lits),*]) { #body } },
                    None => {
                        default = true;
                        quote! { if __d.default_arm() { #body } }
                    }
                });
            }
            if !default {
                return err(m, "a match ends with `_ =>`: hardware takes every value");
            }
            Ok(quote! { { let __m = #v; __d.match_begin(__m); } #(#arms)* __d.match_end(); })
        }
        Expr::ForLoop(f) => {
            let Pat::Ident(id) = &*f.pat else {
                return err(&f.pat, "a loop has one index");
            };
            let range = &f.expr;
            sc.push();
            sc.bind(&id.ident, Name::Constant);
            let body = block(&f.body, sc, mode);
            sc.pop();
            let (id, body) = (&id.ident, body?);
            Ok(quote! { for #id in #range { #body } })
        }
        Expr::Block(b) => block(&b.block, sc, mode),
        Expr::Macro(m) => statement_macro(&m.mac, sc, mode),
        _ => err(e, "this is not a statement of the kernel language (see docs/write-a-block.md)"),
    }
}

fn if_stmt(i: &syn::ExprIf, sc: &mut Scope, mode: Mode) -> Result<TokenStream> {
    let then = block(&i.then_branch, sc, mode)?;
    let other = match &i.else_branch {
        Some((_, e)) => Some(stmt_expr(e, sc, mode)?),
        None => None,
    };
    // `if const { .. }` chooses when the card is built, not in the card.
    if let Expr::Const(c) = &*i.cond {
        let cond = &c.block;
        let other = other.unwrap_or_default();
        return Ok(quote! { if #cond { #then } else { #other } });
    }
    let cond = expr(&i.cond, sc)?;
    let other = other.map(|o| quote! { if __d.otherwise() { #o } });
    Ok(quote_spanned! {i.cond.span()=> if { let __c = #cond; __d.then(__c) } { #then } #other __d.end_if(); })
}

/// `check!(condition, "text")` and `assume!(..)`: what must hold in every clock in which the statement is reached.
fn check(m: &syn::Macro, name: &str, args: &[&Expr], sc: &Scope) -> Result<TokenStream> {
    let [condition, Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })] = args else {
        return err(m, "expected a condition and a text, as in check!(a != b, \"they differ\")");
    };
    if !text.value().chars().all(|c| (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '"' | '\\' | '%' | '`')) {
        return err(
            text,
            "the text of a check goes into Verilog: ASCII without quotes, backslashes and per cent signs",
        );
    }
    let v = expr(condition, sc)?;
    let assumed = name == "assume";
    Ok(quote_spanned! {condition.span()=> { let __v = #v; __d.check(#assumed, #text, __v); } })
}

/// `watch!(self.watcher, i, self.maker, a, b)`: `self.watcher.a[i] = self.maker.a` and so on, for who looks at several makers.
fn watch(m: &syn::Macro, args: &[&Expr], sc: &mut Scope, mode: Mode) -> Result<TokenStream> {
    let [watcher, index, maker, signals @ ..] = args else {
        return err(
            m,
            "expected a watcher, an index, a maker and signals, as in watch!(self.door, 0, self.a.tx, valid)",
        );
    };
    let each = signals.iter().map(|signal| {
        let assignment: Expr = syn::parse_quote!(#watcher.#signal[#index] = #maker.#signal);
        stmt_expr(&assignment, sc, mode)
    });
    let each = each.collect::<Result<Vec<_>>>()?;
    Ok(quote!(#(#each)*))
}

/// `clocked!(a, b[i])` (clock and reset), `memories!(m)` (clock only), `link!(outer, inner)`, `join!(a, b)`,
/// `watch!` and checks.
fn statement_macro(m: &syn::Macro, sc: &mut Scope, mode: Mode) -> Result<TokenStream> {
    let args = m.parse_body_with(syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated)?;
    let name = m.path.get_ident().map(ToString::to_string).unwrap_or_default();
    if matches!(name.as_str(), "check" | "assume") {
        return check(m, &name, &args.iter().collect::<Vec<_>>(), sc);
    }
    if name == "watch" {
        return watch(m, &args.iter().collect::<Vec<_>>(), sc, mode);
    }
    let places = args
        .iter()
        .map(|a| match place(a)? {
            Some(p) => Ok(p),
            None => err(a, "expected a block or an interface of `self`"),
        })
        .collect::<Result<Vec<_>>>()?;
    match (name.as_str(), places.as_slice()) {
        ("clocked", blocks) => {
            let each = blocks.iter().map(|b| {
                let (rust, name) = (&b.rust, &b.name);
                match mode {
                    Mode::Run => quote! {
                        { let __c = __D::get(&self.clock, String::new); __d.set(&mut #rust.clock, __c); }
                        { let __r = __D::get(&self.reset, String::new); __d.set(&mut #rust.reset, __r); }
                    },
                    Mode::Describe => quote! {
                        __d.set(&#rust.clock, format!("{}$clock", #name), __D::get(&self.clock, || "clock".into()));
                        __d.set(&#rust.reset, format!("{}$reset", #name), __D::get(&self.reset, || "reset".into()));
                    },
                }
            });
            Ok(quote!(#(#each)*))
        }
        ("memories", blocks) => {
            let each = blocks.iter().map(|b| {
                let (rust, name) = (&b.rust, &b.name);
                match mode {
                    Mode::Run => quote! {
                        { let __c = __D::get(&self.clock, String::new); __d.set(&mut #rust.clock, __c); }
                    },
                    Mode::Describe => quote! {
                        __d.set(&#rust.clock, format!("{}$clock", #name), __D::get(&self.clock, || "clock".into()));
                    },
                }
            });
            Ok(quote!(#(#each)*))
        }
        ("link" | "join", [a, b]) => {
            let f = syn::Ident::new(&name, m.span());
            let (ar, an, br, bn) = (&a.rust, &a.name, &b.rust, &b.name);
            Ok(match mode {
                Mode::Run => quote! {
                    if __d.connecting() {
                        ::azote_hdl::domain::connect::#f(&mut #ar, &mut #br);
                    } else {
                        #ar.#f(&mut #br);
                    }
                },
                Mode::Describe => quote! { __d.#f(&#ar, &#br, #an, #bn); },
            })
        }
        _ => err(m, "only clocked!, memories!, link!, join!, watch!, check! and assume! stand in a kernel"),
    }
}
