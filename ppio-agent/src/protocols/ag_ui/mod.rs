//! AG-UI 1.0.

mod event;
mod input;
mod json_patch;
mod run_events;
#[cfg(feature = "websocket")]
mod socket;

use bytes::Bytes;
use http::request::Parts;

use self::event::Event;
use self::input::RunAgentInput;
use self::run_events::RunEvents;
#[cfg(feature = "websocket")]
pub(crate) use self::socket::serve_socket;
use super::ProtocolAgent;
use super::call::{self, failed_events};
use super::path_table::{Methods, PathTable, ProtocolPath};
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::header_names::IDEMPOTENCY_KEY;
use crate::exchange::json::to_bytes;
use crate::exchange::rejection::Rejection;

/// The protocol version that this agent serves, whichever version the caller declares.
const PROTOCOL_VERSION: &str = "1.0";

/// The paths of the protocol.
pub(super) static PATHS: PathTable<()> = PathTable(&[ProtocolPath::new(
    "/ag-ui",
    Methods::Post("Runs the agent"),
    (),
)]);

/// Returns the body of an error response: the event of a failed run.
pub(super) fn error_body(failure: &Failure) -> Bytes {
    to_bytes(&Event::of_failure(failure, None))
}

/// Answers a request whose body is a `RunAgentInput`, on any path.
pub(crate) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let (parts, body) = call::read(request).await?;
    run(agent, exchange, parts, call::parse(&body)?).await
}

/// Runs the agent. Once the agent's function has been called, every outcome is an event, as AG-UI
/// clients expect; a request that is refused before the call is an error.
async fn run(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    input: RunAgentInput,
) -> Result<Response, Error> {
    let mut events = RunEvents::new(&input);
    // A page that is reloaded sends the same input again, and joins the same run.
    let is_key_of_run = !parts.headers.contains_key(IDEMPOTENCY_KEY);
    let run_id = input.run_id.chars().take(64).collect();
    let options = call::run_options(agent, &parts.headers)?.or_key(input.key());
    let request = input.into_request();
    match call::invoke(agent, exchange, parts, &request, options).await {
        Ok(answer) => {
            events.is_stream = answer.is_stream();
            Ok(answer.into_events(exchange, events))
        }
        Err(error) if error.rejection().is_none_or(Rejection::follows_call) => {
            let failure = Failure::of(&error, exchange.request_id.as_str());
            Ok(failed_events(exchange, failure, events))
        }
        Err(error) => Err(match error.rejection() {
            Some(Rejection::KeyReused) if is_key_of_run => Rejection::RunIdReused { run_id }.into(),
            _ => error,
        }),
    }
}
