//! The arguments of the attributes.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, LitInt, Path, Token};

use crate::errors::{Errors, with_help};

/// What may stand in an attribute's parentheses.
pub(crate) struct Attribute {
    /// The attribute's name, for messages.
    pub(crate) name: &'static str,
    allowed: &'static [&'static str],
}

pub(crate) const ENTRYPOINT: Attribute = Attribute {
    name: "entrypoint",
    allowed: &["config = ..", "crate = .."],
};
pub(crate) const PING: Attribute = Attribute {
    name: "ping",
    allowed: &["crate = .."],
};
pub(crate) const MIDDLEWARE: Attribute = Attribute {
    name: "middleware",
    allowed: &["order = ..", "all", "crate = .."],
};

/// The arguments that were there.
#[derive(Default)]
pub(crate) struct Arguments {
    config: Option<Expr>,
    order: Option<i32>,
    all: bool,
    krate: Option<Path>,
}

impl Arguments {
    pub(crate) fn config(&self) -> Option<&Expr> {
        self.config.as_ref()
    }

    pub(crate) fn order(&self) -> i32 {
        self.order.unwrap_or(0)
    }

    pub(crate) fn all(&self) -> bool {
        self.all
    }

    /// The path of the `ppio` crate.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate
            .as_ref()
            .map_or_else(|| quote!(::ppio), |path| quote!(#path))
    }
}

impl Attribute {
    /// Parses the arguments. Every one that is unknown, repeated or malformed becomes an error.
    pub(crate) fn parse(&self, tokens: TokenStream, errors: &mut Errors) -> Arguments {
        let mut arguments = Arguments::default();
        let parser = |input: ParseStream<'_>| {
            let mut seen: Vec<Ident> = Vec::new();
            while !input.is_empty() {
                let name = Ident::parse_any(input)?;
                self.parse_one(&name, input, &mut arguments, errors)?;
                if seen.contains(&name) {
                    errors.at(
                        &name,
                        &format!("`{name}` is given twice"),
                        "keep one of them",
                    );
                }
                seen.push(name);
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        arguments
    }

    fn parse_one(
        &self,
        name: &Ident,
        input: ParseStream<'_>,
        arguments: &mut Arguments,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let text = name.to_string();
        let known = self
            .allowed
            .iter()
            .any(|allowed| allowed.split(' ').next() == Some(&text));
        if !known {
            let allowed = self.allowed.join("`, `");
            errors.at(
                name,
                &format!("`{}` has no argument `{text}`", self.name),
                &format!("it has `{allowed}`"),
            );
            // Read past the value, to find further mistakes behind it.
            if input.parse::<Option<Token![=]>>()?.is_some() {
                input.parse::<Expr>()?;
            }
            return Ok(());
        }
        match text.as_str() {
            "all" => arguments.all = true,
            "config" => {
                value_follows(name, input, "RuntimeConfig::new()")?;
                arguments.config = Some(input.parse()?);
            }
            "order" => {
                value_follows(name, input, "10")?;
                arguments.order = Some(integer(input)?);
            }
            _ => {
                value_follows(name, input, "my::path::ppio")?;
                arguments.krate = Some(Path::parse_mod_style(input)?);
            }
        }
        Ok(())
    }
}

fn value_follows(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_none() {
        return Err(syn::Error::new_spanned(
            name,
            with_help(
                &format!("`{name}` needs a value"),
                &format!("write `{name} = {example}`"),
            ),
        ));
    }
    Ok(())
}

fn integer(input: ParseStream<'_>) -> syn::Result<i32> {
    let minus = input.parse::<Option<Token![-]>>()?;
    let literal: LitInt = input.parse().map_err(|error| {
        syn::Error::new(
            error.span(),
            with_help(
                "`order` is an integer",
                "write `order = 10` or `order = -1`",
            ),
        )
    })?;
    let sign = if minus.is_some() { "-" } else { "" };
    format!("{sign}{}", literal.base10_digits())
        .parse()
        .map_err(|error| syn::Error::new_spanned(literal, error))
}
