//! Places generated code at the user's tokens, so that `rustc` reports errors there.

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ReturnType;

use crate::ast::Function;

/// The first and the last token of a piece of code. `rustc` underlines an expression from its first
/// token to its last one, so generated code with these two spans is reported as that piece.
#[derive(Clone, Copy)]
pub(super) struct TokenRange {
    pub(super) first: Span,
    pub(super) last: Span,
}

/// A variable of generated code.
///
/// A single token would be reported at the first token of its range. So the value is kept in a
/// tuple of one, and `value` is `name.0`, which reaches from the first token to the last one.
pub(super) struct Binding {
    pub(super) name: Ident,
    pub(super) value: TokenStream,
}

impl TokenRange {
    pub(super) fn of(tokens: impl ToTokens) -> Self {
        let mut tokens = tokens.into_token_stream().into_iter();
        let first = tokens.next().map_or_else(Span::call_site, |it| it.span());
        let last = tokens.last().map_or(first, |it| it.span());
        Self { first, last }
    }

    /// Returns the range of the function's name.
    pub(super) fn of_name(function: &Function) -> Self {
        Self::of(function.name())
    }

    /// Returns the range of the type that a function returns, or of the function's name if it
    /// returns nothing.
    pub(super) fn of_output(function: &Function) -> Self {
        match &function.signature.output {
            ReturnType::Default => Self::of_name(function),
            ReturnType::Type(_, ty) => Self::of(ty),
        }
    }

    pub(super) fn binding(self, name: &str) -> Binding {
        let name = Ident::new(name, self.first);
        let mut zero = Literal::usize_unsuffixed(0);
        zero.set_span(self.last);
        let value = quote_spanned!(self.first=> #name.#zero);
        Binding { name, value }
    }
}

/// Returns `move |parameters| async move { code }` at the function's name, where `rustc` reports
/// values of the future that are not `Send`. `copies` are statements that copy, for each call, what
/// the code takes from the closure.
pub(super) fn async_closure(
    function: &Function,
    parameters: &[&Ident],
    copies: &TokenStream,
    code: TokenStream,
) -> TokenStream {
    let span = function.name().span();
    let mut block = Group::new(Delimiter::Brace, code);
    block.set_span(span);
    let future = quote_spanned!(span=> async move #block);
    if copies.is_empty() {
        quote_spanned!(span=> move |#(#parameters),*| #future)
    } else {
        quote_spanned!(span=> move |#(#parameters),*| { #copies #future })
    }
}

/// Returns a variable at the function's name, for [`async_closure`].
pub(super) fn variable(function: &Function, name: &str) -> Ident {
    Ident::new(name, function.name().span())
}

/// Returns `path(arguments)`, reported at a range.
pub(super) fn call(path: &TokenStream, range: TokenRange, arguments: TokenStream) -> TokenStream {
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(range.last);
    quote!(#path #arguments)
}
