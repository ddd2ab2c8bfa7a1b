//! Finds the borrows in a type.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Type;

/// Returns the reference that a type is, or the first lifetime in it except `'static`.
pub(super) fn find_borrow(ty: &Type) -> Option<TokenStream> {
    match ty {
        Type::Reference(reference) => Some(reference.to_token_stream()),
        _ => find_lifetime(ty.to_token_stream()),
    }
}

fn find_lifetime(tokens: TokenStream) -> Option<TokenStream> {
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(quote) if quote.as_char() == '\'' => {
                let name = tokens.next();
                // `rustc` reports a `'static` type that cannot be deserialized.
                if !matches!(&name, Some(TokenTree::Ident(name)) if name == "static") {
                    return Some(quote!(#quote #name));
                }
            }
            TokenTree::Group(group) => {
                if let Some(found) = find_lifetime(group.stream()) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}
