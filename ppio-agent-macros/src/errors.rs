//! Collects every mistake of one function, so that its author sees them all at once.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Error;

/// What is wrong so far.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    /// A mistake at `tokens`, and what to write instead.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, wrong: &str, help: &str) {
        self.push(Error::new_spanned(tokens, with_help(wrong, help)));
    }

    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            None => self.0 = Some(error),
            Some(all) => all.combine(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// A mistake at a place, and what to write instead.
pub(crate) fn wrong_at(span: Span, wrong: &str, help: &str) -> Error {
    Error::new(span, with_help(wrong, help))
}

/// `rustc` gives procedural macros one message on stable; this is how it looks like two.
fn with_help(wrong: &str, help: &str) -> String {
    format!("{wrong}\n\n  = help: {help}")
}
