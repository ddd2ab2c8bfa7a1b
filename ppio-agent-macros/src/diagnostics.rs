//! Collects every error of one function, so that `rustc` reports them in one pass.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Error;

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Diagnostics(Option<Error>);

impl Diagnostics {
    /// Reports an error at `tokens`, with what to write instead.
    pub(crate) fn report(&mut self, tokens: impl ToTokens, message: &str, help: &str) {
        self.push(Error::new_spanned(tokens, with_help(message, help)));
    }

    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            None => self.0 = Some(error),
            Some(errors) => errors.combine(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the errors, followed by the item. Without the item `rustc` would also report every
    /// use of it as unresolved, and an editor would lose completion inside it.
    pub(crate) fn into_tokens(self, item: impl ToTokens) -> TokenStream {
        let errors = self.0.map(Error::into_compile_error);
        quote!(#errors #item)
    }
}

/// Returns an error at a span, with what to write instead.
pub(crate) fn error_at(span: Span, message: &str, help: &str) -> Error {
    Error::new(span, with_help(message, help))
}

/// Joins a message and its help. On stable Rust a procedural macro reports one text per error; this
/// layout resembles a `help:` of `rustc`.
fn with_help(message: &str, help: &str) -> String {
    format!("{message}\n\n  = help: {help}")
}
