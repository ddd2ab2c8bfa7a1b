//! The arguments of the attributes.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, ExprLit, ExprUnary, Lit, Path, Token, UnOp};

use crate::errors::{Errors, wrong_at};

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

    /// `ppio::__private::name`, in the place of the code between two spans: a complaint of `rustc`
    /// about this path looks like one about that code.
    pub(crate) fn private_at(&self, name: &str, (first, last): (Span, Span)) -> TokenStream {
        let krate = match &self.krate {
            None => quote_spanned!(first=> ::ppio),
            Some(path) => quote!(#path)
                .into_iter()
                .map(|mut token| {
                    // It still means what it means where the author wrote it.
                    token.set_span(token.span().located_at(first));
                    token
                })
                .collect(),
        };
        let name = Ident::new(name, last);
        quote_spanned!(first=> #krate::__private::#name)
    }

    /// The call of such a function, in the same place.
    pub(crate) fn call_at(
        &self,
        name: &str,
        ends: (Span, Span),
        arguments: TokenStream,
    ) -> TokenStream {
        let function = self.private_at(name, ends);
        let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
        arguments.set_span(ends.1);
        quote!(#function #arguments)
    }
}

impl Attribute {
    /// Parses the arguments. Every one that is unknown, repeated or malformed becomes an error.
    pub(crate) fn parse(&self, tokens: TokenStream, errors: &mut Errors) -> Arguments {
        let mut arguments = Arguments::default();
        let parser = |input: ParseStream<'_>| {
            let mut seen: Vec<Ident> = Vec::new();
            while !input.is_empty() {
                let name = Ident::parse_any(input).map_err(|error| {
                    let wrong = format!("`{}` takes arguments by name", self.name);
                    wrong_at(error.span(), &wrong, &self.has())
                })?;
                self.parse_one(&name, input, &mut arguments, errors)?;
                if seen.contains(&name) {
                    errors.at(
                        &name,
                        &format!("`{name}` is given twice"),
                        "keep one of them",
                    );
                }
                seen.push(name);
                if !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
                    return Err(wrong_at(
                        input.span(),
                        "arguments are separated by commas",
                        "write a `,` before this",
                    ));
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        arguments
    }

    fn has(&self) -> String {
        format!("it has `{}`", self.allowed.join("`, `"))
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
            let wrong = format!("`{}` has no argument `{text}`", self.name);
            errors.at(name, &wrong, &self.has());
            // Read past the value, to find further mistakes behind it.
            return skip_value(input);
        }
        let example = match text.as_str() {
            "all" => {
                if input.peek(Token![=]) {
                    errors.at(name, "`all` has no value", "write `all`, or leave it out");
                    skip_value(input)?;
                }
                arguments.all = true;
                return Ok(());
            }
            "config" => "RuntimeConfig::new()",
            "order" => "10",
            _ => "my::path::to::ppio",
        };
        if input.parse::<Option<Token![=]>>()?.is_none() {
            let wrong = format!("`{name}` needs a value");
            errors.at(name, &wrong, &format!("write `{name} = {example}`"));
            return Ok(());
        }
        match text.as_str() {
            "config" => arguments.config = Some(input.parse()?),
            "order" => {
                arguments.order = integer(&input.parse()?, errors);
            }
            _ => match Path::parse_mod_style(input) {
                Ok(path) => arguments.krate = Some(path),
                Err(error) => {
                    let help = format!("write `{name} = {example}`, without quotes");
                    errors.push(wrong_at(error.span(), "`crate` is a path", &help));
                    input.parse::<Expr>()?;
                }
            },
        }
        Ok(())
    }
}

fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_some() {
        input.parse::<Expr>()?;
    }
    Ok(())
}

fn integer(value: &Expr, errors: &mut Errors) -> Option<i32> {
    let parsed = match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(literal),
            ..
        }) => literal.base10_parse().ok(),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => match &**expr {
            Expr::Lit(ExprLit {
                lit: Lit::Int(literal),
                ..
            }) => format!("-{}", literal.base10_digits()).parse().ok(),
            _ => None,
        },
        _ => None,
    };
    if parsed.is_none() {
        errors.at(
            value,
            "`order` is a whole number of 32 bits",
            "write one such as `order = 10` or `order = -1`",
        );
    }
    parsed
}
