//! The errors that an entrypoint may return.

use std::error::Error as StdError;
use std::fmt;
use std::rc::Rc;

use futures_util::stream::{self, Stream};
use ppio::{Error, Response, Value};

use crate::http::Expected;

type Failing<T> = Result<T, Refused>;

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

/// An error whose source is a `ppio::Error`.
#[derive(Debug, thiserror::Error)]
#[error("around it")]
struct Around(#[from] Error);

/// An error that is not `Send`.
#[derive(Debug, thiserror::Error)]
#[error("local {0}")]
struct Local(Rc<str>);

/// A type that implements `Display` but not `Error`.
struct Displayed;

impl fmt::Display for Displayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("displayed")
    }
}

agents! { |request, id|
    text: [Result<Value, String>] { Err(request + " no") }
        => Expected::Error(500, "AgentError", "hi no");
    borrowed_text: [Result<Value, &'static str>] { drop(request); Err("no") }
        => Expected::Error(500, "AgentError", "no");
    own_type: [Result<Value, Refused>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");
    alias: [Failing<Value>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");
    status: [Result<Value, Error>] { Err(Error::not_found(request + " not found")) }
        => Expected::Error(404, "NotFound", "hi not found");
    from_anyhow: [anyhow::Result<Value>] { Err(anyhow::anyhow!("{request} no")) }
        => Expected::Error(500, "AgentError", "hi no");
    // The status of a `ppio::Error` applies inside other errors.
    status_in_anyhow: [anyhow::Result<Value>] { Err(Error::not_found(request + " not found"))? }
        => Expected::Error(404, "NotFound", "hi not found");
    status_with_context: [anyhow::Result<Value>] {
        use anyhow::Context as _;
        Err(Error::not_found(request + " not found")).context("cannot find it").context("no reply")
    } => Expected::Error(404, "NotFound", "hi not found");
    status_as_a_source: [Result<Value, Around>] {
        Err(Around(Error::not_found(request + " not found")))
    } => Expected::Error(404, "NotFound", "hi not found");
    boxed: [Result<Value, Box<dyn StdError>>] { Err((request + " no").into()) }
        => Expected::Error(500, "AgentError", "hi no");
    boxed_send: [Result<Value, Box<dyn StdError + Send>>] { drop(request); Err(Box::new(Refused)) }
        => Expected::Error(500, "AgentError", "refused");
    boxed_send_sync: [Result<Value, Box<dyn StdError + Send + Sync>>] {
        Err((request + " no").into())
    } => Expected::Error(500, "AgentError", "hi no");
    // `?` may box a `ppio::Error`; its status still applies.
    status_in_a_box: [Result<Value, Box<dyn StdError>>] {
        Err(Error::not_found(request + " not found"))?
    } => Expected::Error(404, "NotFound", "hi not found");
    status_in_a_send_box: [Result<Value, Box<dyn StdError + Send>>] {
        Err(Box::new(Error::not_found(request + " not found")))
    } => Expected::Error(404, "NotFound", "hi not found");
    status_in_a_send_sync_box: [Result<Value, Box<dyn StdError + Send + Sync>>] {
        Err(Error::not_found(request + " not found"))?
    } => Expected::Error(404, "NotFound", "hi not found");
    not_send: [Result<Value, Local>] { Err(Local(request.into())) }
        => Expected::Error(500, "Local", "local hi");
    only_displayed: [Result<Value, Displayed>] { drop(request); Err(Displayed) }
        => Expected::Error(500, "Displayed", "displayed");
    opaque: [Result<Value, impl fmt::Display>] { drop(request); Err(Displayed) }
        => Expected::Error(500, "Displayed", "displayed");

    for_a_response: [Result<Response, Refused>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");
    for_an_iterator: [Result<Box<dyn Iterator<Item = u8> + Send>, Refused>] {
        drop(request);
        Err(Refused)
    } => Expected::Error(500, "Refused", "refused");
    for_a_stream: [Result<impl Stream<Item = u8>, Refused>] {
        drop(request);
        if id.is_empty() { Ok(stream::empty()) } else { Err(Refused) }
    } => Expected::Error(500, "Refused", "refused");
    for_a_stream_not_send: [Result<impl Stream<Item = u8>, Box<dyn StdError>>] {
        drop(request);
        if id.is_empty() { Ok(stream::empty()) } else { Err(Refused.into()) }
    } => Expected::Error(500, "AgentError", "refused");

    inner_of_two: [Result<Result<Value, Error>, Refused>] {
        Ok(Err(Error::not_found(request + " not found")))
    } => Expected::Error(404, "NotFound", "hi not found");
    outer_of_two: [Result<Result<Value, Error>, Refused>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");

    from_a_future: [impl Future<Output = Result<Value, Box<dyn StdError>>>] {
        drop(request);
        async { Err(Refused.into()) }
    } => Expected::Error(500, "AgentError", "refused");
}
