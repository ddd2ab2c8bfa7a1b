//! The function under an attribute: what all three attributes ask of it.

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{FnArg, GenericParam, ReturnType, Signature, Token, Type, Visibility};

use crate::errors::Errors;

/// A function with a body. The body stays as it is: what is wrong in there is for `rustc` to say,
/// and an editor goes on to complete code in it while it is half written.
pub(crate) struct Function {
    pub(crate) attributes: Vec<syn::Attribute>,
    visibility: Visibility,
    pub(crate) signature: Signature,
    body: TokenTree,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            attributes: input.call(syn::Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: body(input)?,
        })
    }
}

/// One group of tokens. Where a `macro_rules!` made the function, the braces may stand in the
/// invisible parentheses of its `$body:block`.
fn body(input: ParseStream<'_>) -> syn::Result<TokenTree> {
    let mut tokens = input.parse::<TokenStream>()?.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(body @ TokenTree::Group(_)), None) => Ok(body),
        _ => Err(input.error("expected a body")),
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

impl Function {
    /// Parses the item under the attribute `name`, which has to be a free function.
    pub(crate) fn parse(name: &str, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let function = syn::parse2::<Self>(item.clone()).ok();
        if function.is_none() {
            let (wrong, at) = not_a_function(item);
            errors.at(
                at,
                &format!("`#[ppio::{name}]` goes on a function, and this is {wrong}"),
                &format!("write a free function with a body and put `#[ppio::{name}]` on it"),
            );
        }
        function
    }

    /// Checks what no attribute allows: qualifiers, generics, a receiver, the name `main`.
    pub(crate) fn check(&self, name: &str, errors: &mut Errors) {
        let signature = &self.signature;
        if let Some(attribute) = self.attributes.iter().find(|it| starts_a_runtime(it)) {
            errors.at(
                attribute,
                &format!("the {name} runs on the runtime that `ppio` starts"),
                "remove this attribute",
            );
        }
        if let Some(token) = &signature.constness {
            errors.at(
                token,
                &format!("the {name} cannot be a `const` function"),
                "remove `const`",
            );
        }
        if let Some(token) = &signature.unsafety {
            errors.at(
                token,
                &format!("the {name} cannot be an `unsafe` function: the server calls it"),
                "remove `unsafe`, and use an `unsafe` block inside where it is needed",
            );
        }
        if let Some(abi) = &signature.abi {
            errors.at(
                abi,
                &format!("the {name} cannot be an `extern` function"),
                "remove `extern`",
            );
        }
        self.check_generics(name, errors);
        if signature.ident == "main" {
            errors.at(
                &signature.ident,
                &format!(
                    "the {name} cannot be called `main`: `#[ppio::entrypoint]` writes that function"
                ),
                "give it another name, such as `agent`",
            );
        }
        for input in &signature.inputs {
            match input {
                FnArg::Receiver(receiver) => errors.at(
                    receiver,
                    &format!("the {name} cannot be a method: nobody has the `self`"),
                    &format!("move it out as a free function and put `#[ppio::{name}]` on that"),
                ),
                FnArg::Typed(parameter) => {
                    if let Some(token) = find_word(parameter.ty.to_token_stream(), "impl") {
                        errors.at(
                            token,
                            "`impl Trait` in a parameter is generic, and nobody chooses the type",
                            "write the concrete type",
                        );
                    }
                }
            }
        }
        if let Some(variadic) = &signature.variadic {
            errors.at(
                variadic,
                &format!("the {name} cannot be variadic"),
                "remove `...`",
            );
        }
    }

    /// Lifetimes are inferred at the call, types and constants are not.
    fn check_generics(&self, name: &str, errors: &mut Errors) {
        let generics = &self.signature.generics;
        let chosen = |parameter: &&GenericParam| !matches!(parameter, GenericParam::Lifetime(_));
        let mut parameters = generics.params.iter().filter(chosen).peekable();
        if parameters.peek().is_some() {
            for parameter in parameters {
                errors.at(
                    parameter,
                    &format!("the {name} cannot be generic: nobody chooses the types"),
                    "write the concrete types",
                );
            }
        } else if let Some(clause) = &generics.where_clause {
            errors.at(
                clause,
                &format!("the {name} cannot have a `where` clause: it has no generic types"),
                "remove the clause",
            );
        }
    }

    /// The function as it is kept behind errors: without what would be an error of `rustc` for the
    /// same reason.
    pub(crate) fn kept(mut self) -> Self {
        self.attributes.retain(|it| !starts_a_runtime(it));
        if self.signature.ident == "main" {
            self.signature.ident = Ident::new("__main", self.signature.ident.span());
        }
        self
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.signature.ident
    }

    pub(crate) fn is_async(&self) -> bool {
        self.signature.asyncness.is_some()
    }

    pub(crate) fn is_method(&self) -> bool {
        self.signature.receiver().is_some()
    }

    /// The types of the parameters without a receiver.
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

    /// The `#[cfg(..)]`s of the function: what is generated beside it exists where it does.
    pub(crate) fn conditions(&self) -> TokenStream {
        self.attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .map(ToTokens::to_token_stream)
            .collect()
    }

    /// Where a complaint about the function's result belongs.
    pub(crate) fn output(&self) -> Output {
        Output(match &self.signature.output {
            ReturnType::Default => (self.name().span(), self.name().span()),
            ReturnType::Type(_, ty) => ends(ty),
        })
    }

    /// A variable of our own at the function's name.
    pub(crate) fn variable(&self, name: &str) -> Ident {
        Ident::new(name, self.name().span())
    }

    /// `move |parameters| async move { code }`. What the future keeps that is not `Send` is
    /// reported at the function's name.
    pub(crate) fn callback(&self, parameters: &[&Ident], code: TokenStream) -> TokenStream {
        let span = self.name().span();
        let mut block = Group::new(Delimiter::Brace, code);
        block.set_span(span);
        quote_spanned!(span=> move |#(#parameters),*| async move #block)
    }

    /// The `Place` of the function.
    pub(crate) fn place(&self, krate: &TokenStream) -> TokenStream {
        let text = self.name().to_string();
        quote! {
            #krate::__private::Place {
                file: ::core::file!(),
                line: ::core::line!(),
                column: ::core::column!(),
                module: ::core::module_path!(),
                function: #text,
            }
        }
    }
}

/// The place of a function's result type.
///
/// A complaint of `rustc` about an expression stands where its tokens are; a single token can only
/// be at the first token of the type. So what the function returned is kept in a tuple of one, and
/// `answer.0` reaches from the first token to the last.
pub(crate) struct Output((Span, Span));

impl Output {
    pub(crate) fn ends(&self) -> (Span, Span) {
        self.0
    }

    /// A variable that holds a tuple of one, and what is in there.
    pub(crate) fn variable(&self, name: &str) -> (Ident, TokenStream) {
        let (first, last) = self.0;
        let name = Ident::new(name, first);
        let mut zero = Literal::usize_unsuffixed(0);
        zero.set_span(last);
        let inside = quote_spanned!(first=> #name.#zero);
        (name, inside)
    }
}

/// The first and the last token, which `rustc` joins to the whole.
pub(crate) fn ends(tokens: impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.into_token_stream().into_iter();
    let first = tokens.next().map_or_else(Span::call_site, |it| it.span());
    let last = tokens.last().map_or(first, |it| it.span());
    (first, last)
}

/// A type inside the invisible parentheses that a `macro_rules!` puts around its `$ty:ty`.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(group) => ungrouped(&group.elem),
        ty => ty,
    }
}

/// `#[tokio::main]` and its relatives.
fn starts_a_runtime(attribute: &syn::Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "main")
}

/// The first token that is this word, however deep.
pub(crate) fn find_word(tokens: TokenStream, word: &str) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if ident == word => Some(ident),
        TokenTree::Group(group) => find_word(group.stream(), word),
        _ => None,
    })
}

/// What stands there instead of a function, and its telling token.
fn not_a_function(item: &TokenStream) -> (&'static str, TokenStream) {
    if let Some(semicolon) = is_bodiless(item) {
        return ("one without a body", semicolon.into_token_stream());
    }
    // Behind attributes, a visibility, `unsafe` and the like.
    let keyword = item.clone().into_iter().find_map(|token| match token {
        TokenTree::Ident(word) => kind(&word.to_string()).map(|kind| (kind, word)),
        _ => None,
    });
    match keyword {
        Some((kind, keyword)) => (kind, keyword.into_token_stream()),
        None => ("none", item.clone()),
    }
}

/// The semicolon in the place of a body, as functions in traits have one.
pub(crate) fn is_bodiless(item: &TokenStream) -> Option<Token![;]> {
    let head = |input: ParseStream<'_>| {
        input.call(syn::Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Signature>()?;
        input.parse()
    };
    head.parse2(item.clone()).ok()
}

fn kind(keyword: &str) -> Option<&'static str> {
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

/// Puts what registers a part beside its function, in a constant with a name that speaks for
/// itself when there are two of them.
///
/// An attribute does not see whether its function stands in an `impl` block or a trait. There, a
/// macro definition is an error of `rustc` that says to move it out to a module; in a module it is
/// nothing.
pub(crate) fn beside(function: &Function, part: &TokenStream, name: &str) -> TokenStream {
    let conditions = function.conditions();
    let name = Ident::new(name, Span::call_site());
    quote! {
        #[allow(unused_macros)]
        macro_rules! __ppio_stands_in_a_module { () => {} }

        #function

        #conditions
        #[doc(hidden)]
        const #name: () = { #part };
    }
}

/// The item as it was written, behind the errors. Keeping it spares the author complaints about
/// something that is "not found", and lets an editor go on.
pub(crate) fn with_errors(errors: Errors, item: impl ToTokens) -> TokenStream {
    let errors = errors.into_compile_errors();
    quote!(#errors #item)
}
