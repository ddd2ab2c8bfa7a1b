//! Names an item that is not a function with a body.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser as _};
use syn::{Signature, Token, Visibility};

/// The kind of an item that an attribute cannot be applied to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MisplacedItem {
    /// A function that ends with `;`, as in a trait.
    FunctionWithoutBody,
    /// The item that this keyword starts.
    Keyword(&'static str),
    /// Anything else.
    Unknown,
}

impl MisplacedItem {
    /// Returns the kind, and the token that an error points at.
    pub(crate) fn of(item: &TokenStream) -> (Self, TokenStream) {
        if let Some(semicolon) = semicolon_of_function(item) {
            return (Self::FunctionWithoutBody, semicolon.into_token_stream());
        }
        // The keyword comes after attributes, a visibility, `unsafe` and similar tokens.
        let keyword = item.clone().into_iter().find_map(|token| match token {
            TokenTree::Ident(word) => {
                let description = describe(&word.to_string())?;
                Some((Self::Keyword(description), word.into_token_stream()))
            }
            _ => None,
        });
        keyword.unwrap_or_else(|| (Self::Unknown, item.clone()))
    }

    /// Returns the name of the kind with its article, such as `a struct`.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::FunctionWithoutBody => "a function without a body",
            Self::Keyword(description) => description,
            Self::Unknown => "this item",
        }
    }
}

fn semicolon_of_function(item: &TokenStream) -> Option<Token![;]> {
    let parser = |input: ParseStream<'_>| {
        input.call(syn::Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Signature>()?;
        input.parse()
    };
    parser.parse2(item.clone()).ok()
}

fn describe(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "struct" => "a struct",
        "enum" => "an enum",
        "union" => "a union",
        "trait" => "a trait",
        "impl" => "an `impl` block",
        "mod" => "a module",
        "const" => "a constant",
        "static" => "a static",
        "type" => "a type alias",
        "use" => "an import",
        "macro_rules" => "a macro",
        _ => return None,
    })
}
