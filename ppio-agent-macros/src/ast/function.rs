//! A function with a body.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, ExprLit, FnArg, Lit, Meta, Signature, Type, Visibility};

/// A function under an attribute.
///
/// The body is not parsed: `rustc` reports its errors, and an editor completes code in it while it
/// is incomplete.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    visibility: Visibility,
    pub(crate) signature: Signature,
    body: TokenTree,
}

impl Function {
    /// Parses an item; `None` if it is not a function with a body.
    pub(crate) fn parse(item: &TokenStream) -> Option<Self> {
        syn::parse2(item.clone()).ok()
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.signature.ident
    }

    pub(crate) fn is_async(&self) -> bool {
        self.signature.asyncness.is_some()
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.signature.receiver().is_some()
    }

    /// Returns the types of the parameters, without a receiver.
    pub(crate) fn parameters(&self) -> Vec<&Type> {
        self.signature
            .inputs
            .iter()
            .filter_map(|input| match input {
                FnArg::Typed(parameter) => Some(ungrouped(&parameter.ty)),
                FnArg::Receiver(_) => None,
            })
            .collect()
    }

    /// Returns the attribute that starts an async runtime, such as `#[tokio::main]`.
    pub(crate) fn runtime_attribute(&self) -> Option<&Attribute> {
        self.attributes.iter().find(|it| starts_a_runtime(it))
    }

    /// Returns the `#[cfg(..)]` attributes, which apply to everything that is generated for the
    /// function.
    pub(crate) fn cfg_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
    }

    /// Returns the text of the documentation comments, without the space that each line begins
    /// with. Parts that another macro computes are left out.
    pub(crate) fn documentation(&self) -> String {
        let lines = self.attributes.iter().filter_map(|attribute| {
            let Meta::NameValue(pair) = &attribute.meta else {
                return None;
            };
            let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &pair.value
            else {
                return None;
            };
            pair.path.is_ident("doc").then(|| text.value())
        });
        let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned());
        let text = lines.collect::<Vec<_>>().join("\n");
        text.trim().to_owned()
    }

    /// Returns the function to emit after reported errors, without the parts that `rustc` would
    /// report a second time.
    pub(crate) fn without_reported(mut self) -> Self {
        self.attributes.retain(|it| !starts_a_runtime(it));
        self.signature.variadic = None;
        if self.signature.ident == "main" {
            self.signature.ident = Ident::new("__main", self.signature.ident.span());
        }
        self
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: body(input)?,
        })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attribute in &self.attributes {
            attribute.to_tokens(tokens);
        }
        self.visibility.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// Parses one group of tokens: braces, or the invisible group around a `$body:block` of
/// `macro_rules!`.
fn body(input: ParseStream<'_>) -> syn::Result<TokenTree> {
    let mut tokens = input.parse::<TokenStream>()?.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(body @ TokenTree::Group(_)), None) => Ok(body),
        _ => Err(input.error("expected a body")),
    }
}

/// Returns the type inside parentheses, or inside the invisible group around a `$ty:ty` of
/// `macro_rules!`.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(group) => ungrouped(&group.elem),
        ty => ty,
    }
}

fn starts_a_runtime(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "main")
}
