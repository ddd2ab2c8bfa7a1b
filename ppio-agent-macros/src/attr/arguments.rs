//! Parses the arguments of an attribute.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Expr, ExprLit, ExprUnary, Lit, Path, Token, UnOp};

use super::attribute::{Argument, Attribute};
use crate::diagnostics::{Diagnostics, error_at};

/// The arguments of one attribute.
#[derive(Default)]
pub(crate) struct AttributeArguments {
    /// The expression of a `ppio::RuntimeConfig`.
    pub(crate) config: Option<Expr>,
    /// The variant of `ppio::OnDisconnect`.
    pub(crate) on_disconnect: Option<Ident>,
    /// The variant of `ppio::SessionConcurrency`.
    pub(crate) session_concurrency: Option<Ident>,
    /// The position of middleware; the lowest is outermost.
    pub(crate) order: i32,
    /// Whether middleware runs on every route.
    pub(crate) all: bool,
    /// The path of the `ppio` crate; `None` for `::ppio`.
    pub(crate) crate_path: Option<Path>,
}

impl AttributeArguments {
    /// Parses the arguments. Reports each one that is unknown, repeated or malformed.
    pub(crate) fn parse(
        attribute: Attribute,
        tokens: TokenStream,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut arguments = Self::default();
        let parser = |input: ParseStream<'_>| {
            let mut seen: Vec<Ident> = Vec::new();
            while !input.is_empty() {
                let name = Ident::parse_any(input).map_err(|error| {
                    let message = "expected the name of an argument";
                    error_at(error.span(), message, &attribute.arguments_help())
                })?;
                arguments.parse_one(attribute, &name, input, diagnostics)?;
                if seen.contains(&name) {
                    let message = format!("duplicate argument `{name}`");
                    diagnostics.report(&name, &message, "remove one of the two arguments");
                }
                seen.push(name);
                if !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
                    let message = "expected `,` between two arguments";
                    return Err(error_at(
                        input.span(),
                        message,
                        "write a `,` before this token",
                    ));
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            diagnostics.push(error);
        }
        arguments
    }

    fn parse_one(
        &mut self,
        attribute: Attribute,
        name: &Ident,
        input: ParseStream<'_>,
        diagnostics: &mut Diagnostics,
    ) -> syn::Result<()> {
        let Some(argument) = attribute.argument(&name.to_string()) else {
            let message = format!("unknown argument `{name}`");
            diagnostics.report(name, &message, &attribute.arguments_help());
            return skip_value(input);
        };
        let help = format!("write `{}`", argument.example());
        if argument == Argument::All {
            if input.peek(Token![=]) {
                diagnostics.report(name, "`all` does not take a value", &help);
                skip_value(input)?;
            }
            self.all = true;
            return Ok(());
        }
        if input.parse::<Option<Token![=]>>()?.is_none() || input.is_empty() {
            let message = format!("`{name}` requires a value");
            diagnostics.report(name, &message, &help);
            return Ok(());
        }
        match argument {
            Argument::Config => {
                let message = "`config` must be an expression of type `ppio::RuntimeConfig`";
                self.config = Some(parse_value(input, message, &help)?);
            }
            Argument::OnDisconnect => {
                self.on_disconnect = parse_word(argument, input, diagnostics)?;
            }
            Argument::SessionConcurrency => {
                self.session_concurrency = parse_word(argument, input, diagnostics)?;
            }
            Argument::Order => {
                let value = parse_value(input, ORDER_MESSAGE, &help)?;
                match integer(&value) {
                    Some(order) => self.order = order,
                    None => diagnostics.report(value, ORDER_MESSAGE, &help),
                }
            }
            Argument::Crate => match Path::parse_mod_style(input) {
                Ok(path) => self.crate_path = Some(path),
                Err(error) => {
                    let message = "`crate` must be a path without quotes";
                    let error = error_at(error.span(), message, &help);
                    // The arguments after a value that is not a path are still checked.
                    if input.parse::<Expr>().is_err() {
                        return Err(error);
                    }
                    diagnostics.push(error);
                }
            },
            Argument::All => {}
        }
        Ok(())
    }
}

const ORDER_MESSAGE: &str = "`order` must be an integer from -2147483648 to 2147483647";

fn parse_value<T: Parse>(input: ParseStream<'_>, message: &str, help: &str) -> syn::Result<T> {
    let start = input.span();
    input.parse().map_err(|_| error_at(start, message, help))
}

/// Parses one of the words that an argument accepts, and returns the name of its variant.
fn parse_word(
    argument: Argument,
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
) -> syn::Result<Option<Ident>> {
    let words: Vec<String> = argument
        .words()
        .iter()
        .map(|(word, _)| format!("`\"{word}\"`"))
        .collect();
    let (last, others) = words
        .split_last()
        .map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    let message = format!(
        "`{}` must be {} or {last}",
        argument.name(),
        others.join(", ")
    );
    let help = format!("write `{}`", argument.example());
    let value: Expr = parse_value(input, &message, &help)?;
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = &value
    {
        let word = text.value();
        if let Some((_, variant)) = argument.words().iter().find(|(found, _)| *found == word) {
            return Ok(Some(Ident::new(variant, text.span())));
        }
    }
    diagnostics.report(value, &message, &help);
    Ok(None)
}

/// Skips the value of an argument that is already reported, so that the arguments after it are
/// checked as well. Skips all remaining arguments if the value is not an expression.
fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_some() && input.parse::<Expr>().is_err() {
        input.parse::<TokenStream>()?;
    }
    Ok(())
}

fn integer(value: &Expr) -> Option<i32> {
    match value {
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
    }
}
