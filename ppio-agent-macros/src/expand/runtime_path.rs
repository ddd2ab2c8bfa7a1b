//! Paths into the `ppio` crate.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use super::token_range::{TokenRange, call};
use crate::attr::AttributeArguments;

/// The `ppio` crate: `::ppio`, or the path in `crate = ..`.
pub(super) struct RuntimePath<'a>(Option<&'a Path>);

impl<'a> RuntimePath<'a> {
    pub(super) fn new(arguments: &'a AttributeArguments) -> Self {
        Self(arguments.crate_path.as_ref())
    }

    /// Returns the path of the crate.
    pub(super) fn root(&self) -> TokenStream {
        self.0.map_or_else(|| quote!(::ppio), |path| quote!(#path))
    }

    /// Returns the path of `ppio::__private`.
    pub(super) fn private(&self) -> TokenStream {
        let root = self.root();
        quote!(#root::__private)
    }

    /// Returns the path of an item in `ppio::__private`, reported at a range.
    pub(super) fn item_at(&self, name: &str, range: TokenRange) -> TokenStream {
        let TokenRange { first, last } = range;
        let root = match self.0 {
            None => quote_spanned!(first=> ::ppio),
            Some(path) => quote!(#path)
                .into_iter()
                .map(|mut token| {
                    // The path is still resolved where the user wrote it.
                    token.set_span(token.span().located_at(first));
                    token
                })
                .collect(),
        };
        let name = Ident::new(name, last);
        quote_spanned!(first=> #root::__private::#name)
    }

    /// Returns the call of a function in `ppio::__private`, reported at a range.
    pub(super) fn call_at(
        &self,
        name: &str,
        range: TokenRange,
        arguments: TokenStream,
    ) -> TokenStream {
        call(&self.item_at(name, range), range, arguments)
    }
}
