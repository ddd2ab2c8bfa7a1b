//! Reads the response of an agent.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, header};
use ppio_agent_protocol::headers::{PPIO_STREAM_IDS, RESPONSE_FORMAT};
use ppio_agent_protocol::{InvocationResponse, ResponseFormat, sse};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::items::ItemReader;
use super::request_id;
use crate::error::Error;
use crate::platform::read_json;
use crate::session::SandboxSession;
use crate::transport::{Chunks, Deadline, ResponseBody};

pub(super) const OPERATION: &str = "invoke agent";

/// What is needed to resume a stream.
#[derive(Debug, Clone)]
pub(super) struct StreamOfRun {
    /// The id of the run; `None` until the response to the invocation contains the id.
    pub(super) run_id: Option<String>,
    /// The number of the last item that was received; 0 before the first.
    pub(super) last: u64,
    /// How long an outage may last.
    pub(super) limit: Duration,
}

/// A response whose body has not been read.
pub(super) struct AgentResponse {
    pub(super) response: Response<ResponseBody>,
    pub(super) session: SandboxSession,
    pub(super) deadline: Deadline,
    /// The time by which a stream has to end.
    pub(super) stream_deadline: Option<Deadline>,
    pub(super) request_id: String,
    pub(super) started_at: Instant,
    /// What is needed to resume a stream with ids, if the call requested one.
    pub(super) stream: Option<StreamOfRun>,
    /// The caller's headers for later calls about the run of this response.
    pub(super) run_headers: HeaderMap,
}

/// The format of a body.
pub(super) enum BodyFormat {
    Json,
    EventStream,
    JsonLines,
    Other(String),
}

/// Returns the content type as text, or `None` if there is no such header.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    let content_type = headers.get(header::CONTENT_TYPE)?;
    Some(content_type.to_str().unwrap_or("unreadable"))
}

pub(super) fn body_format(headers: &HeaderMap) -> BodyFormat {
    let Some(text) = content_type(headers) else {
        // Parsing shows whether the body is JSON.
        return BodyFormat::Json;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    match essence.as_str() {
        sse::MEDIA_TYPE => BodyFormat::EventStream,
        "application/x-ndjson" | "application/jsonl" => BodyFormat::JsonLines,
        "application/json" => BodyFormat::Json,
        other if other.starts_with("application/") && other.ends_with("+json") => BodyFormat::Json,
        _ => BodyFormat::Other(text.to_owned()),
    }
}

/// Returns the format in the header [`RESPONSE_FORMAT`], or `None` if the response does not have
/// this header.
pub(super) fn announced_format(headers: &HeaderMap) -> Result<Option<ResponseFormat>, Error> {
    let Some(format) = headers.get(HeaderName::from_static(RESPONSE_FORMAT)) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(format.as_bytes());
    text.parse().map(Some).map_err(|error| {
        let message = format!("the response has an invalid header {RESPONSE_FORMAT}: {error}");
        Error::protocol(OPERATION, message)
    })
}

/// Whether the body is an event stream with ids and an end event.
fn has_ids(response: &HeaderMap) -> bool {
    let value = response.get(HeaderName::from_static(PPIO_STREAM_IDS));
    value.is_some_and(|value| value == "true")
}

/// Reads the envelope of a response whose header [`RESPONSE_FORMAT`] announces an envelope.
/// Middleware of the agent may have replaced the body without changing the header.
fn announced_envelope(value: Value) -> Result<InvocationResponse, Error> {
    if value.get("result").or(value.get("error")).is_none() {
        let message = format!(
            "the response has the header {RESPONSE_FORMAT}: {}, but its body is not an envelope: \
             it has no `result` or `error`; agent code that replaces a body has to set the header",
            ResponseFormat::Envelope
        );
        return Err(Error::protocol(OPERATION, message));
    }
    serde_json::from_value(value).map_err(|error| Error::protocol(OPERATION, error.to_string()))
}

/// Wraps a value in an envelope, for an agent that sends the bare value.
fn value_response(
    value: Value,
    request_id: String,
    started_at: Instant,
) -> InvocationResponse<Value> {
    let mut response = InvocationResponse::success(value);
    response.duration = started_at.elapsed().as_secs_f64();
    response.metadata = Some(Map::from_iter([(
        "request_id".to_owned(),
        request_id.into(),
    )]));
    response
}

pub(super) fn unexpected_format(content_type: &str) -> Error {
    let message = format!(
        "the response has the content type {content_type:?}, which agents do not send; check \
         that no other service listens on the agent's port"
    );
    Error::protocol(OPERATION, message)
}

impl AgentResponse {
    /// Creates the response to a request that is not an invocation.
    pub(super) fn of_request(
        response: Response<ResponseBody>,
        session: &SandboxSession,
        deadline: Deadline,
        request_id: String,
        started_at: Instant,
    ) -> Self {
        let answered = request_id::of_response(response.headers()).map(str::to_owned);
        Self {
            response,
            session: session.clone(),
            deadline,
            stream_deadline: None,
            request_id: answered.unwrap_or(request_id),
            started_at,
            stream: None,
            run_headers: HeaderMap::new(),
        }
    }

    /// Returns the response, which has to be in one piece.
    pub(super) async fn into_value(self) -> Result<InvocationResponse<Value>, Error> {
        match body_format(self.response.headers()) {
            BodyFormat::Json => self.read_json().await,
            BodyFormat::EventStream | BodyFormat::JsonLines => {
                let message =
                    "the agent responded with a stream; read it with `.stream()` or `.output()`";
                Err(Error::runtime(OPERATION, message))
            }
            BodyFormat::Other(content_type) => Err(unexpected_format(&content_type)),
        }
    }

    /// Returns the result as a `T`.
    pub(super) async fn into_result<T: DeserializeOwned>(self) -> Result<T, Error> {
        let result = self.into_value().await?.result.unwrap_or(Value::Null);
        serde_json::from_value(result).map_err(|error| {
            let message = format!("the agent's result is not of the requested type: {error}");
            Error::runtime(OPERATION, message)
        })
    }

    /// Returns the whole body as JSON.
    pub(super) async fn into_json<T: DeserializeOwned>(self) -> Result<T, Error> {
        read_json(OPERATION, &self.whole(OPERATION).await?)
    }

    /// Returns the whole JSON as the result, even if it looks like an envelope; null for an empty
    /// body.
    pub(super) async fn read_plain_json(
        self,
        operation: &str,
    ) -> Result<InvocationResponse<Value>, Error> {
        let (request_id, started_at) = (self.request_id.clone(), self.started_at);
        let body = self.whole(operation).await?;
        let value = if body.is_empty() {
            Value::Null
        } else {
            read_json(operation, &body)?
        };
        Ok(value_response(value, request_id, started_at))
    }

    async fn whole(self, operation: &str) -> Result<bytes::Bytes, Error> {
        let limit = self.session.response_limit();
        let whole = self.response.into_body().whole(operation, limit);
        self.deadline.run(operation, whole).await?
    }

    /// Returns a reader of the items of a stream with ids.
    pub(super) async fn into_items_with_ids(self) -> Result<ItemReader, Error> {
        let is_stream = matches!(
            body_format(self.response.headers()),
            BodyFormat::EventStream
        );
        if !is_stream || !has_ids(self.response.headers()) {
            let message = "the agent's stream cannot be resumed, because it has no ids";
            return Err(Error::protocol(OPERATION, message));
        }
        let idle_timeout = self.session.stream_idle_timeout();
        let chunks = Chunks::new(self.response.into_body(), idle_timeout);
        Ok(ItemReader::events_with_ids(
            chunks,
            self.session.response_limit(),
        ))
    }

    /// Returns the start of the body, for an error response.
    pub(super) async fn read_start(self) -> Result<bytes::Bytes, Error> {
        let start = self.response.into_body().start(OPERATION);
        self.deadline.run(OPERATION, start).await?
    }

    /// Reads the envelope, or wraps a bare value in an envelope.
    pub(super) async fn read_json(self) -> Result<InvocationResponse<Value>, Error> {
        let sandbox_id = self.session.sandbox_id().to_owned();
        let (request_id, started_at) = (self.request_id.clone(), self.started_at);
        let status = self.response.status().as_u16();
        let announced = announced_format(self.response.headers())?;
        let body = self.whole(OPERATION).await?;
        let envelope = match announced {
            Some(ResponseFormat::Envelope) => Ok(announced_envelope(read_json(OPERATION, &body)?)?),
            Some(_) => Err(read_json(OPERATION, &body)?),
            None => InvocationResponse::from_exact(read_json(OPERATION, &body)?),
        };
        // The body is dropped here, so that the response is in memory only once.
        drop(body);
        let mut response = match envelope {
            Ok(response) => response,
            Err(value) => return Ok(value_response(value, request_id, started_at)),
        };
        if response.is_success() {
            if response.request_id().is_none() {
                let metadata = response.metadata.get_or_insert_default();
                metadata.insert("request_id".to_owned(), request_id.into());
            }
            return Ok(response);
        }
        Err(Error::Invocation {
            sandbox_id,
            status: Some(status),
            error_type: response.error_type.clone(),
            request_id: Some(response.request_id().map_or(request_id, str::to_owned)),
            message: response.error.unwrap_or_else(|| {
                format!("the response has status {:?}", response.status.as_str())
            }),
        })
    }
}
