//! AG-UI over a WebSocket, in the form that AgentCore uses: the input is the first message, and
//! each event is a message.

use std::time::Instant;

use bytes::BytesMut;
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http_body_util::BodyExt as _;
use ppio_agent_websocket::{WebSocket, WebSocketError, close_code};
use tokio::sync::watch;

use super::input::RunAgentInput;
use super::{error_body, run};
use crate::exchange::Exchange;
use crate::exchange::body::Body;
use crate::exchange::clipped::clipped;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::protocols::ProtocolAgent;
use crate::protocols::call;
use crate::protocols::events::take_message;

/// The maximum length of the reason in a close frame, in bytes.
const MAX_REASON: usize = 123;

/// Runs the agent once. On shutdown, a run that has begun continues for the grace period, like the
/// run of a request.
pub(crate) async fn serve_socket(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    mut parts: Parts,
    mut socket: WebSocket,
    shutdown: watch::Receiver<()>,
) -> Result<(), Error> {
    let input = match input(agent, exchange, &mut socket, shutdown).await {
        Ok(input) => input,
        Err(NoInput::Gone) => return Ok(()),
        Err(NoInput::Refused { code, reason }) => return close(&mut socket, code, &reason).await,
    };
    // These headers describe the connection, not the invocation.
    for name in [CONNECTION, UPGRADE] {
        parts.headers.remove(name);
    }
    let started = Instant::now();
    let deadline = started + agent.invoker.settings().timeout;
    let requested = exchange.requested_deadline;
    let exchange = Exchange {
        started,
        deadline: requested.map_or(deadline, |requested| requested.min(deadline)),
        ..exchange.clone()
    };
    let running = run(agent, &exchange, parts, input);
    let answer = tokio::select! {
        answer = running => answer,
        () = closed(&mut socket) => return Ok(()),
    };
    match answer {
        Ok(response) => send_events(response.into_body(), &mut socket).await,
        Err(error) => {
            let failure = Failure::of(&error, exchange.request_id.as_str());
            let event = error_body(&failure);
            Ok(send(&socket, &event).await?)
        }
    }
}

/// Why no run is started.
enum NoInput {
    Refused {
        code: u16,
        reason: String,
    },
    /// The connection was closed, by the client or by the driver.
    Gone,
}

/// Waits for the input, for at most as long as for the body of a request.
async fn input(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    socket: &mut WebSocket,
    mut shutdown: watch::Receiver<()>,
) -> Result<RunAgentInput, NoInput> {
    let refused = |code, reason: &str| NoInput::Refused {
        code,
        reason: reason.to_owned(),
    };
    let unsupported = |reason: &str| refused(close_code::UNSUPPORTED, reason);
    let limit = exchange.started + agent.invoker.settings().body_timeout;
    let limit = exchange
        .requested_deadline
        .map_or(limit, |at| at.min(limit));
    let message = tokio::select! {
        biased;
        message = socket.recv() => message,
        _ = shutdown.changed() => {
            return Err(refused(close_code::GOING_AWAY, "the agent is shutting down"));
        }
        () = tokio::time::sleep_until(limit.into()) => {
            return Err(unsupported("no RunAgentInput was received in time"));
        }
    };
    // The driver closes the connection for a message that it cannot read.
    let Some(Ok(message)) = message else {
        return Err(NoInput::Gone);
    };
    let text = message
        .as_text()
        .ok_or_else(|| unsupported("the RunAgentInput is not a text message"))?;
    call::parse(text.as_bytes()).map_err(|error| {
        let reason = format!("invalid RunAgentInput: {}", error.message());
        unsupported(&reason)
    })
}

/// Sends each event as a message, no faster than the client reads the messages.
async fn send_events(mut body: Body, socket: &mut WebSocket) -> Result<(), Error> {
    let mut unsent = BytesMut::new();
    loop {
        let frame = tokio::select! {
            biased;
            () = closed(socket) => return Ok(()),
            frame = body.frame() => frame,
        };
        let Some(frame) = frame else { return Ok(()) };
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        unsent.extend_from_slice(&data);
        while let Some(event) = take_message(&mut unsent) {
            send(socket, &event).await?;
        }
    }
}

async fn send(socket: &WebSocket, event: &[u8]) -> Result<(), WebSocketError> {
    socket
        .send(String::from_utf8_lossy(event).into_owned())
        .await
}

/// Waits until the connection is closed or fails. Messages after the input are discarded.
async fn closed(socket: &mut WebSocket) {
    while let Some(Ok(_)) = socket.recv().await {}
}

async fn close(socket: &mut WebSocket, code: u16, reason: &str) -> Result<(), Error> {
    Ok(socket.close(code, clipped(reason, MAX_REASON)).await?)
}
