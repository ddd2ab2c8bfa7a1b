//! Everything that an agent may fail with.

use std::error::Error as StdError;
use std::fmt;
use std::rc::Rc;

use futures_util::stream::{self, Stream};
use ppio::{Error, Response, Value};

use crate::answer::Expected;

type Failing<T> = Result<T, Refused>;

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

/// An error with one of ours as its source.
#[derive(Debug, thiserror::Error)]
#[error("around it")]
struct Around(#[from] Error);

/// An error that cannot leave its thread.
#[derive(Debug, thiserror::Error)]
#[error("stayed home with {0}")]
struct Local(Rc<str>);

/// Not an error, but it can be shown.
struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shown")
    }
}

agents! { |request, who|
    text: [Result<Value, String>] { Err(request + " no") }
        => Expected::Error(500, "AgentError", "hi no");
    borrowed_text: [Result<Value, &'static str>] { drop(request); Err("no") }
        => Expected::Error(500, "AgentError", "no");
    own_type: [Result<Value, Refused>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");
    alias: [Failing<Value>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");
    status: [Result<Value, Error>] { Err(Error::not_found(request + " is gone")) }
        => Expected::Error(404, "NotFound", "hi is gone");
    from_anyhow: [anyhow::Result<Value>] { Err(anyhow::anyhow!("{request} no")) }
        => Expected::Error(500, "AgentError", "hi no");
    // Whatever is put around a status, it still counts.
    status_in_anyhow: [anyhow::Result<Value>] { Err(Error::not_found(request + " is gone"))? }
        => Expected::Error(404, "NotFound", "hi is gone");
    status_with_context: [anyhow::Result<Value>] {
        use anyhow::Context as _;
        Err(Error::not_found(request + " is gone")).context("cannot find it").context("no answer")
    } => Expected::Error(404, "NotFound", "hi is gone");
    status_as_a_source: [Result<Value, Around>] { Err(Around(Error::not_found(request + " is gone"))) }
        => Expected::Error(404, "NotFound", "hi is gone");
    boxed: [Result<Value, Box<dyn StdError>>] { Err((request + " no").into()) }
        => Expected::Error(500, "AgentError", "hi no");
    boxed_send: [Result<Value, Box<dyn StdError + Send>>] { drop(request); Err(Box::new(Refused)) }
        => Expected::Error(500, "AgentError", "refused");
    boxed_send_sync: [Result<Value, Box<dyn StdError + Send + Sync>>] {
        Err((request + " no").into())
    } => Expected::Error(500, "AgentError", "hi no");
    // Behind `?` a status is easily put into a box; it still counts.
    status_in_a_box: [Result<Value, Box<dyn StdError>>] {
        Err(Error::not_found(request + " is gone"))?
    } => Expected::Error(404, "NotFound", "hi is gone");
    status_in_a_send_box: [Result<Value, Box<dyn StdError + Send>>] {
        Err(Box::new(Error::not_found(request + " is gone")))
    } => Expected::Error(404, "NotFound", "hi is gone");
    status_in_a_send_sync_box: [Result<Value, Box<dyn StdError + Send + Sync>>] {
        Err(Error::not_found(request + " is gone"))?
    } => Expected::Error(404, "NotFound", "hi is gone");
    not_send: [Result<Value, Local>] { Err(Local(request.into())) }
        => Expected::Error(500, "Local", "stayed home with hi");
    only_displayed: [Result<Value, Shown>] { drop(request); Err(Shown) }
        => Expected::Error(500, "Shown", "shown");
    opaque: [Result<Value, impl fmt::Display>] { drop(request); Err(Shown) }
        => Expected::Error(500, "Shown", "shown");

    for_a_response: [Result<Response, Refused>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");
    for_an_iterator: [Result<Box<dyn Iterator<Item = u8> + Send>, Refused>] {
        drop(request);
        Err(Refused)
    } => Expected::Error(500, "Refused", "refused");
    for_a_stream: [Result<impl Stream<Item = u8>, Refused>] {
        drop(request);
        if who.is_empty() { Ok(stream::empty()) } else { Err(Refused) }
    } => Expected::Error(500, "Refused", "refused");
    for_a_stream_not_send: [Result<impl Stream<Item = u8>, Box<dyn StdError>>] {
        drop(request);
        if who.is_empty() { Ok(stream::empty()) } else { Err(Refused.into()) }
    } => Expected::Error(500, "AgentError", "refused");

    inner_of_two: [Result<Result<Value, Error>, Refused>] {
        Ok(Err(Error::not_found(request + " is gone")))
    } => Expected::Error(404, "NotFound", "hi is gone");
    outer_of_two: [Result<Result<Value, Error>, Refused>] { drop(request); Err(Refused) }
        => Expected::Error(500, "Refused", "refused");

    from_a_future: [impl Future<Output = Result<Value, Box<dyn StdError>>>] {
        drop(request);
        async { Err(Refused.into()) }
    } => Expected::Error(500, "AgentError", "refused");
}
