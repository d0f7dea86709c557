//! `packed! { pub Word { high: 4, low: 12 } }`: a word with named fields, the highest first.
//!
//! Made of it are a constant for each field (`Word::HIGH`), the width (`Word::WIDTH`), and a struct of values: a kernel's
//! `Word { high: a, low: 0 }` is that struct put together, `Word { high: a, ..w }` the word `w` with another `high`. That every
//! field is there, and by its right name, is for the compiler to see.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, Result, Token, Visibility, braced};

struct Field {
    attrs: Vec<Attribute>,
    name: Ident,
    width: Expr,
}

impl Parse for Field {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let name: Ident = input.parse()?;
        if name.to_string().chars().any(char::is_uppercase) {
            return Err(syn::Error::new(name.span(), "the fields of a packed word are written small"));
        }
        input.parse::<Token![:]>()?;
        Ok(Field { attrs, name, width: input.parse()? })
    }
}

pub struct Word {
    attrs: Vec<Attribute>,
    vis: Visibility,
    name: Ident,
    fields: Vec<Field>,
}

impl Parse for Word {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let (vis, name) = (input.parse()?, input.parse()?);
        let inside;
        braced!(inside in input);
        let fields = Punctuated::<Field, Token![,]>::parse_terminated(&inside)?;
        if fields.is_empty() {
            return Err(syn::Error::new_spanned(&name, "a packed word has at least one field"));
        }
        Ok(Word { attrs, vis, name, fields: fields.into_iter().collect() })
    }
}

pub fn lower(word: &Word) -> TokenStream {
    let Word { attrs, vis, name, fields } = word;
    let names: Vec<_> = fields.iter().map(|f| &f.name).collect();
    let docs: Vec<_> = fields.iter().map(|f| &f.attrs).collect();
    let places: Vec<_> = names.iter().map(|n| format_ident!("{}", n.to_string().to_uppercase())).collect();
    // Each begins where the next one ends.
    let starts = (0..fields.len()).map(|i| match places.get(i + 1) {
        Some(next) => quote!(Self::#next.lo + Self::#next.width),
        None => quote!(0),
    });
    let widths = fields.iter().map(|f| &f.width);
    let first = &places[0];
    quote! {
        #(#attrs)*
        #[derive(Clone, Copy, Debug)]
        #[allow(dead_code, missing_docs)]
        #vis struct #name<__V = ()> {
            #(#(#docs)* #vis #names: __V,)*
        }
        #[allow(dead_code, missing_docs, clippy::cast_possible_truncation)]
        impl #name<()> {
            /// Bits of the word.
            #vis const WIDTH: usize = (Self::#first.lo + Self::#first.width) as usize;
            #(#(#docs)* #vis const #places: ::azote_hdl::Field = ::azote_hdl::Field { lo: #starts, width: (#widths) as u32 };)*
        }
        #[allow(dead_code, missing_docs)]
        impl<__V: ::azote_hdl::Value> #name<__V> {
            /// The word; a literal takes the width of its field.
            #[track_caller]
            #vis fn pack(self) -> __V {
                __V::cat(vec![#(self.#names.fit(#name::#places.width as usize)),*])
            }
            /// The fields of a word.
            #[track_caller]
            #vis fn unpack(word: __V) -> Self {
                let word = word.fit(#name::WIDTH);
                #name { #(#names: word.clone().get(#name::#places)),* }
            }
        }
    }
}
