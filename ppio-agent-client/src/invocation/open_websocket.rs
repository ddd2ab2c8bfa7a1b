//! The builder of a WebSocket to the agent of a session.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ppio_agent_websocket::{ClientHandshake, Role, SocketLimits, WebSocket, WebSocketError, open};
use tokio::time::Instant;

use super::caller_headers::CallerHeaders;
use super::error_response::invocation_error;
use super::request_id;
use super::response::AgentResponse;
use crate::deferred::{Deferred, DeferredCall};
use crate::error::{Error, NetworkError, NetworkErrorKind};
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::{Deadline, Idempotency, ResponseBody};

const OPERATION: &str = "open WebSocket";
/// The interval of pings on an idle WebSocket.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How long the agent may read nothing before the connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens a WebSocket to the agent when awaited; see [`SandboxSession::websocket`].
///
/// # Panics
/// A method that sets an option panics after the first poll: the option would be ignored.
#[must_use = "nothing is sent until this is awaited"]
pub struct OpenWebSocket {
    call: Deferred<OpenOptions>,
}

struct OpenOptions {
    session: SandboxSession,
    timeout: Option<Duration>,
    protocols: Vec<String>,
    headers: CallerHeaders,
}

impl OpenWebSocket {
    fn set(mut self, change: impl FnOnce(&mut OpenOptions)) -> Self {
        self.call.set(change);
        self
    }

    /// Adds a header to the handshake; see [`Invoke::header`](crate::Invoke::header).
    pub fn header<V: TryInto<HeaderValue>>(self, name: impl AsRef<str>, value: V) -> Self {
        self.set(|options| options.headers.add(name.as_ref(), value))
    }

    /// Offers a subprotocol. The agent has to select one of the offered subprotocols.
    pub fn protocol(self, name: impl Into<String>) -> Self {
        self.set(|options| options.protocols.push(name.into()))
    }

    /// Sets the time limit for opening, in place of
    /// [`ClientConfig::timeout`](crate::ClientConfig::timeout). An open WebSocket has no time
    /// limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.timeout = Some(timeout))
    }
}

impl SandboxSession {
    /// Opens a WebSocket to the agent, at `/ws`. Set options on the returned value, then await it.
    ///
    /// The handshake has the same credentials and takes the same route as an invocation, including
    /// proxies and TLS. The open socket keeps the session open, and counts as one of
    /// [`ClientConfig::max_connections`](crate::ClientConfig::max_connections). A message may be as
    /// large as [`ClientConfig::max_response_size`](crate::ClientConfig::max_response_size). When
    /// all handles of the socket are dropped, the socket is closed in the background.
    ///
    /// # Errors
    /// When awaited, [`Error::Invocation`] if the agent has no WebSocket or refuses the handshake,
    /// except that status 401 is [`Error::Authentication`] and 429 is [`Error::RateLimit`];
    /// [`Error::Protocol`] if the agent's handshake is invalid, [`Error::Validation`] for an
    /// invalid header or subprotocol, [`Error::SandboxOperation`] if the sandbox is paused,
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::Network`] and
    /// [`Error::Timeout`].
    ///
    /// ```no_run
    /// # use ppio_agent_client::SandboxSession;
    /// # async fn run(session: SandboxSession) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut socket = session.websocket().header("authorization", "Bearer sesame").await?;
    /// socket.send("what is the time?").await?;
    /// while let Some(message) = socket.recv().await {
    ///     println!("{:?}", message?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn websocket(&self) -> OpenWebSocket {
        let options = OpenOptions {
            session: self.clone(),
            timeout: None,
            protocols: Vec::new(),
            headers: CallerHeaders::default(),
        };
        OpenWebSocket {
            call: Deferred::new(options),
        }
    }
}

impl DeferredCall for OpenOptions {
    type Output = Result<WebSocket, Error>;

    async fn run(self) -> Self::Output {
        let Self {
            session,
            timeout,
            protocols,
            headers,
        } = self;
        let headers = checked(headers.into_map()?)?;
        let request_id = request_id::random();
        let handshake = ClientHandshake::new();
        let call = ServiceCall::get(OPERATION, "/ws")
            .headers(request_id::headers(&request_id)?)
            .headers(headers)
            .headers(handshake.headers())
            .headers(offer(&protocols)?)
            .idempotency(Idempotency::IfUnsent)
            .upgrade();
        let deadline = Deadline::after(timeout.unwrap_or_else(|| session.default_timeout()));
        let started_at = Instant::now();
        session.record_activity();
        let opened = async {
            let response = session.send(call, deadline).await?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refusal(response, &session, deadline, request_id, started_at).await);
            }
            if !handshake.is_accepted(response.headers()) {
                return Err(protocol_error("the response does not match the handshake"));
            }
            check_selection(&protocols, response.headers())?;
            accept(response, &session, deadline).await
        };
        let opened = Box::pin(opened).await;
        opened.map_err(|error| session.auth().redact_error(error))
    }
}

/// Returns the headers, or an error if one of them is set by the handshake.
fn checked(headers: HeaderMap) -> Result<HeaderMap, Error> {
    let of_handshake = headers
        .keys()
        .find(|name| name.as_str().starts_with("sec-websocket-"));
    match of_handshake {
        None => Ok(headers),
        Some(name) => Err(Error::validation(
            "header",
            format!("{name:?} is set by the handshake, remove it; `protocol` offers a subprotocol"),
        )),
    }
}

/// Returns the header that offers the subprotocols.
fn offer(protocols: &[String]) -> Result<HeaderMap, Error> {
    let is_token = |name: &String| {
        let is_allowed =
            |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
        !name.is_empty() && name.bytes().all(is_allowed)
    };
    if let Some(name) = protocols.iter().find(|name| !is_token(name)) {
        let message = format!("{name:?} is not a token such as `chat.v1`");
        return Err(Error::validation("protocol", message));
    }
    let mut headers = HeaderMap::new();
    if !protocols.is_empty() {
        let value = HeaderValue::try_from(protocols.join(", "));
        let value = value.map_err(|error| Error::validation("protocol", error.to_string()))?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok(headers)
}

/// Returns an error unless the agent has selected one of the offered subprotocols, or none if none
/// was offered.
fn check_selection(protocols: &[String], response: &HeaderMap) -> Result<(), Error> {
    let selected = response.get(SEC_WEBSOCKET_PROTOCOL);
    let is_offered = match selected {
        None => protocols.is_empty(),
        Some(selected) => protocols.iter().any(|offered| *selected == **offered),
    };
    if is_offered {
        return Ok(());
    }
    Err(protocol_error(match selected {
        None => "the agent selected none of the subprotocols that were offered",
        Some(_) => "the agent selected a subprotocol that was not offered",
    }))
}

fn protocol_error(message: &str) -> Error {
    Error::Protocol {
        operation: OPERATION.to_owned(),
        message: message.to_owned(),
    }
}

/// Returns the error for a response that does not accept the handshake.
async fn refusal(
    response: Response<ResponseBody>,
    session: &SandboxSession,
    deadline: Deadline,
    request_id: String,
    started_at: Instant,
) -> Error {
    if response.status().is_success() {
        return protocol_error("the agent responded to the handshake without an upgrade");
    }
    let response = AgentResponse::of_request(response, session, deadline, request_id, started_at);
    invocation_error(response).await
}

/// Takes over the connection, and spawns a task that drives it.
async fn accept(
    mut response: Response<ResponseBody>,
    session: &SandboxSession,
    deadline: Deadline,
) -> Result<WebSocket, Error> {
    let upgraded = deadline
        .run(OPERATION, hyper::upgrade::on(&mut response))
        .await?;
    let body = response.into_body();
    let upgraded = upgraded.map_err(|error| Error::Network {
        operation: OPERATION.to_owned(),
        source: NetworkError::new(NetworkErrorKind::Interrupted, body.host(), error),
    })?;
    let limit = session.response_limit().bytes();
    let limits = SocketLimits {
        max_frame_size: limit,
        max_message_size: limit,
        idle_timeout: None,
        heartbeat: Some(HEARTBEAT),
        write_timeout: WRITE_TIMEOUT,
    };
    let (socket, driver) = open(TokioIo::new(upgraded), Role::Client, limits).await;
    let session = session.clone();
    // The task ends with the connection, which is closed when the last handle of the socket is
    // dropped.
    tokio::spawn(async move {
        let end = driver.await;
        tracing::debug!(sandbox_id = session.sandbox_id(), ?end, "WebSocket closed");
        session.record_activity();
        drop(body);
    });
    Ok(socket)
}

impl From<WebSocketError> for Error {
    fn from(error: WebSocketError) -> Self {
        let (operation, message) = ("use WebSocket".to_owned(), error.to_string());
        if error.is_closed() {
            Self::Runtime {
                operation,
                status: None,
                message,
            }
        } else {
            Self::Protocol { operation, message }
        }
    }
}

impl Future for OpenWebSocket {
    type Output = Result<WebSocket, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().call).poll(cx)
    }
}

impl fmt::Debug for OpenWebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenWebSocket").finish_non_exhaustive()
    }
}
