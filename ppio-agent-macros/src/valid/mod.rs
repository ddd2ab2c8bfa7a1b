//! Checks the parsed function, and reports every error at its token.

mod borrows;
mod entrypoint;
mod middleware;
mod parameters;
mod ping;
mod routes;
mod shutdown;
mod signature;
mod startup;
mod websocket;

use proc_macro2::TokenStream;

pub(crate) use entrypoint::{EntrypointParameters, check as check_entrypoint};
pub(crate) use middleware::{MiddlewareParameter, MiddlewareParameters, check as check_middleware};
pub(crate) use ping::check as check_ping;
pub(crate) use routes::check as check_routes;
pub(crate) use shutdown::check as check_shutdown;
pub(crate) use startup::check as check_startup;
pub(crate) use websocket::{WebSocketParameters, check as check_websocket};

use crate::ast::MisplacedItem;
use crate::attr::Attribute;
use crate::diagnostics::Diagnostics;

/// Reports an item that is not a function with a body.
pub(crate) fn report_item(attribute: Attribute, item: &TokenStream, diagnostics: &mut Diagnostics) {
    let (kind, token) = MisplacedItem::of(item);
    let (path, signature) = (attribute.path(), attribute.example_signature());
    diagnostics.report(
        token,
        &format!("`#[{path}]` cannot be applied to {}", kind.description()),
        &format!("apply the attribute to a free function such as `{signature} {{ .. }}`"),
    );
}
