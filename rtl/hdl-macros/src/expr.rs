//! Lowers expressions. The result is a Rust expression of the domain's value type `__D::V`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{BinOp, Block, Expr, Pat, Result, Stmt, UnOp};

use crate::scope::{Name, Scope};

fn err<T>(at: &impl Spanned, what: &str) -> Result<T> {
    Err(syn::Error::new(at.span(), what))
}

/// `self.a.b[i].c`: the place as Rust, and the code that makes its name (`a$b$3$c`).
pub struct Place {
    pub rust: TokenStream,
    pub name: TokenStream,
    /// Name of the last field, to tell a register's `d` from a port.
    pub last: String,
    /// The place without its last field.
    pub owner: TokenStream,
    /// `self.a[i]..`: the array and not one element, if the owner is indexed last.
    pub owner_array: Option<TokenStream>,
}

/// Reads a chain of fields and indices that starts at `self`; `None` if the expression is something else.
pub fn place(e: &Expr) -> Result<Option<Place>> {
    let mut fmt = String::new();
    let mut args: Vec<TokenStream> = Vec::new();
    if !walk(e, &mut fmt, &mut args)? {
        return Ok(None);
    }
    let name = if args.is_empty() { quote!(#fmt.to_string()) } else { quote!(format!(#fmt, #(#args),*)) };
    let (last, owner, owner_array) = match e {
        Expr::Field(f) => {
            let base = &f.base;
            let array = match &**base {
                Expr::Index(i) => {
                    let a = &i.expr;
                    Some(quote!(#a))
                }
                _ => None,
            };
            let member = &f.member;
            (quote!(#member).to_string(), quote!(#base), array)
        }
        _ => (String::new(), quote!(), None),
    };
    Ok(Some(Place { rust: quote!(#e), name, last, owner, owner_array }))
}

fn walk(e: &Expr, fmt: &mut String, args: &mut Vec<TokenStream>) -> Result<bool> {
    match e {
        Expr::Field(f) => {
            if matches!(&*f.base, Expr::Path(p) if p.path.is_ident("self")) {
                fmt.push_str(&ident_of(&f.member)?);
                return Ok(true);
            }
            if !walk(&f.base, fmt, args)? {
                return Ok(false);
            }
            fmt.push('$');
            fmt.push_str(&ident_of(&f.member)?);
            Ok(true)
        }
        Expr::Index(i) => {
            if !walk(&i.expr, fmt, args)? {
                return Ok(false);
            }
            fmt.push_str("${}");
            let idx = &i.index;
            args.push(quote!(#idx));
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn ident_of(m: &syn::Member) -> Result<String> {
    match m {
        syn::Member::Named(n) => Ok(n.to_string()),
        syn::Member::Unnamed(n) => err(n, "a signal has a name; tuple fields are not hardware"),
    }
}

/// Lowers one expression.
pub fn expr(e: &Expr, sc: &Scope) -> Result<TokenStream> {
    if let Some(p) = place(e)? {
        let (rust, name) = (p.rust, p.name);
        return Ok(quote!(<__D as ::azote_hdl::Domain>::get(&#rust, || #name)));
    }
    match e {
        Expr::Paren(p) => expr(&p.expr, sc),
        Expr::Group(g) => expr(&g.expr, sc),
        Expr::Lit(l) => Ok(literal(l)),
        Expr::Path(p) => match p.path.get_ident() {
            Some(id) if sc.kind(id) == Name::Wire => Ok(quote!(#id.clone())),
            _ => Ok(constant(quote!(#p))),
        },
        Expr::Unary(u) => {
            let x = expr(&u.expr, sc)?;
            match u.op {
                UnOp::Not(_) => Ok(quote!(::azote_hdl::Value::not(#x))),
                _ => err(u, "only `!` is hardware; write `0 - x` on a named width for a negation"),
            }
        }
        Expr::Binary(b) => binary(b, sc),
        Expr::MethodCall(m) => method(m, sc),
        Expr::Call(c) => call(c, sc),
        // `x as u64` is about plain Rust: a hardware value has methods for its width.
        Expr::Cast(c) => Ok(constant(quote!(#c))),
        Expr::If(i) => {
            // `if const { .. }` chooses when the card is built.
            if let (Expr::Const(c), Some((_, other))) = (&*i.cond, &i.else_branch) {
                let (test, then, other) = (&c.block, value_block(&i.then_branch, sc)?, expr(other, sc)?);
                return Ok(quote!(if #test { #then } else { #other }));
            }
            let cond = expr(&i.cond, sc)?;
            let then = value_block(&i.then_branch, sc)?;
            let Some((_, other)) = &i.else_branch else {
                return err(i, "an `if` used as a value needs an `else`");
            };
            let other = expr(other, sc)?;
            Ok(quote_spanned!(i.if_token.span()=> ::azote_hdl::Value::mux(#cond, #then, #other)))
        }
        Expr::Block(b) => value_block(&b.block, sc),
        Expr::Match(m) => match_value(m, sc),
        Expr::Struct(s) => packed(s, sc),
        _ => err(e, "this is not part of the kernel language (see docs/write-a-block.md)"),
    }
}

/// Plain Rust (integers, bools, register-crate constants, `Bits`) as a literal without a width of its own.
pub fn constant(rust: TokenStream) -> TokenStream {
    quote!(<__V as ::azote_hdl::Value>::lit(::azote_hdl::lit::value(#rust)))
}

/// What stands in `konst(..)` and `sized(.., w)`.
fn plain(v: &Expr) -> TokenStream {
    match v {
        Expr::Lit(l) => literal(l),
        v => constant(quote!(#v)),
    }
}

/// An integer literal gets a suffix: `0xdead_beef` must not meet `i32`.
fn literal(l: &syn::ExprLit) -> TokenStream {
    match &l.lit {
        syn::Lit::Int(i) if i.suffix().is_empty() => {
            let wide = syn::LitInt::new(&format!("{}u128", i), i.span());
            constant(quote!(#wide))
        }
        other => constant(quote!(#other)),
    }
}

fn value_block(b: &Block, sc: &Scope) -> Result<TokenStream> {
    match b.stmts.as_slice() {
        [Stmt::Expr(e, None)] => expr(e, sc),
        _ => err(b, "a block used as a value holds exactly one expression; name steps by `let` before it"),
    }
}

fn binary(b: &syn::ExprBinary, sc: &Scope) -> Result<TokenStream> {
    let f = match b.op {
        BinOp::Add(_) => "add",
        BinOp::Sub(_) => "sub",
        BinOp::Mul(_) => "mul",
        BinOp::BitAnd(_) => "bitand",
        BinOp::BitOr(_) => "bitor",
        BinOp::BitXor(_) => "bitxor",
        BinOp::And(_) => "and",
        BinOp::Or(_) => "or",
        BinOp::Shl(_) => "shl",
        BinOp::Shr(_) => "shr",
        BinOp::Eq(_) => "eq",
        BinOp::Ne(_) => "ne",
        BinOp::Lt(_) => "lt",
        BinOp::Le(_) => "le",
        BinOp::Gt(_) => "gt",
        BinOp::Ge(_) => "ge",
        _ => return err(b, "compound assignment and division are not part of the kernel language"),
    };
    let f = syn::Ident::new(f, b.op.span());
    let (l, r) = (expr(&b.left, sc)?, expr(&b.right, sc)?);
    Ok(quote_spanned!(b.span()=> ::azote_hdl::Value::#f(#l, #r)))
}

/// Methods on values. Those of the first list take plain Rust arguments, the second hardware values.
fn method(m: &syn::ExprMethodCall, sc: &Scope) -> Result<TokenStream> {
    let x = expr(&m.receiver, sc)?;
    let name = &m.method;
    let args: Vec<&Expr> = m.args.iter().collect();
    match name.to_string().as_str() {
        "bits" | "bit" | "zext" | "trunc" | "sext" | "resize" | "rep" | "get" | "any" | "all" | "parity" => {
            Ok(quote_spanned!(m.method.span()=> ::azote_hdl::Value::#name(#x, #(#args),*)))
        }
        "set" => {
            let [field, value] = args.as_slice() else {
                return err(m, "needs a field and its value");
            };
            let value = expr(value, sc)?;
            Ok(quote_spanned!(m.method.span()=> ::azote_hdl::Value::set(#x, #field, #value)))
        }
        "sel" | "slice_at" => {
            let Some((first, rest)) = args.split_first() else {
                return err(m, "needs the hardware index as its first argument");
            };
            let first = expr(first, sc)?;
            Ok(quote_spanned!(m.method.span()=> ::azote_hdl::Value::#name(#x, #first, #(#rest),*)))
        }
        _ => err(m, "no such method on a hardware value (see docs/write-a-block.md)"),
    }
}

/// `Word { field: value, .. }` of a packed word, or `Word { field: value, ..word }`.
fn packed(s: &syn::ExprStruct, sc: &Scope) -> Result<TokenStream> {
    let path = &s.path;
    let fields = s.fields.iter().map(|f| {
        let (name, value) = (&f.member, expr(&f.expr, sc)?);
        Ok(quote!(#name: #value))
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    let rest = match (&s.rest, s.dot2_token) {
        (Some(rest), _) => {
            let word = expr(rest, sc)?;
            quote_spanned!(rest.span()=> ..#path::unpack(#word))
        }
        (None, None) => quote!(),
        (None, Some(_)) => return err(s, "`..` needs the word from which the other fields are taken"),
    };
    Ok(quote_spanned!(s.span()=> #path { #(#fields,)* #rest }.pack()))
}

/// `cat(..)`, `konst(..)`, `sized(v, w)`, or a `#[pure]` function.
fn call(c: &syn::ExprCall, sc: &Scope) -> Result<TokenStream> {
    let Expr::Path(f) = &*c.func else {
        return err(c, "only a named function can be called");
    };
    let args: Vec<&Expr> = c.args.iter().collect();
    let name = f.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
    match (name.as_str(), args.as_slice()) {
        ("konst", [v]) => Ok(plain(v)),
        ("sized", [v, w]) => {
            let v = plain(v);
            Ok(quote!(::azote_hdl::Value::sized(#v, #w)))
        }
        ("cat", parts) => {
            let parts = parts.iter().map(|p| expr(p, sc)).collect::<Result<Vec<_>>>()?;
            Ok(quote_spanned!(c.span()=> ::azote_hdl::Value::cat(vec![#(#parts),*])))
        }
        (_, args) => {
            let args = args
                .iter()
                .map(|a| match a {
                    // `{n}` passes plain Rust to a pure function: a width, a depth.
                    Expr::Block(b) => match b.block.stmts.as_slice() {
                        [Stmt::Expr(e, None)] => Ok(quote!(#e)),
                        _ => err(b, "a plain Rust argument is one expression in braces"),
                    },
                    a => expr(a, sc),
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(quote!(#f(#(#args),*)))
        }
    }
}

/// The literals of a pattern: `3`, `A | B`, `St::IDLE`; `None` for `_`.
pub fn pattern(p: &Pat) -> Result<Option<Vec<TokenStream>>> {
    match p {
        Pat::Wild(_) => Ok(None),
        Pat::Lit(l) => Ok(Some(vec![literal(l)])),
        Pat::Path(p) => Ok(Some(vec![constant(quote!(#p))])),
        Pat::Ident(i) if i.subpat.is_none() && i.by_ref.is_none() => {
            let id = &i.ident;
            if id.to_string().chars().any(|c| c.is_lowercase()) {
                return err(i, "a pattern cannot bind a name; use a constant or `_`");
            }
            Ok(Some(vec![constant(quote!(#id))]))
        }
        Pat::Or(o) => {
            let mut all = Vec::new();
            for c in &o.cases {
                match pattern(c)? {
                    Some(v) => all.extend(v),
                    None => return err(o, "`_` inside an or-pattern"),
                }
            }
            Ok(Some(all))
        }
        Pat::Paren(p) => pattern(&p.pat),
        _ => err(p, "a kernel matches literals, constants, or-patterns and `_` only"),
    }
}

pub fn no_guard(a: &syn::Arm) -> Result<()> {
    match &a.guard {
        Some((_, g)) => err(g, "a match guard has no meaning in hardware; put an `if` inside the arm"),
        None => Ok(()),
    }
}

fn match_value(m: &syn::ExprMatch, sc: &Scope) -> Result<TokenStream> {
    let v = expr(&m.expr, sc)?;
    let mut chain: Option<TokenStream> = None;
    for a in m.arms.iter().rev() {
        no_guard(a)?;
        let body = expr(&a.body, sc)?;
        chain = Some(match (pattern(&a.pat)?, chain) {
            (None, None) => body,
            (None, Some(_)) => return err(&a.pat, "`_` must be the last arm"),
            (Some(_), None) => return err(&a.pat, "a match used as a value ends with `_`"),
            (Some(lits), Some(rest)) => {
                quote!(::azote_hdl::Value::mux(::azote_hdl::Value::is_one_of(__m.clone(), vec![#(#lits),*]), #body, #rest))
            }
        });
    }
    let chain = chain.unwrap_or_default();
    Ok(quote!({ let __m = #v; #chain }))
}
