//! Reading an agent's answer.

use http::{HeaderMap, Response, header};
use ppio_agent_protocol::{InvocationResponse, sse};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::items::Source;
use super::stream::InvocationStream;
use crate::error::Error;
use crate::session::SandboxSession;
use crate::transport::{BodyLimit, Chunks, Deadline, ResponseBody};

/// A value or a stream, as the agent chose.
#[derive(Debug)]
pub enum Answer {
    /// The answer in one piece.
    Value(InvocationResponse<Value>),
    /// The answer item by item.
    Stream(InvocationStream),
}

/// An answer whose body has not been read.
pub struct Exchange {
    pub(super) response: Response<ResponseBody>,
    pub(super) session: SandboxSession,
    pub(super) deadline: Deadline,
    pub(super) request_id: String,
    pub(super) started: Instant,
}

/// What a content type promises.
enum Form {
    Json,
    EventStream,
    JsonLines,
    Other(String),
}

fn form(headers: &HeaderMap) -> Form {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        // The body will tell.
        return Form::Json;
    };
    let text = content_type.to_str().unwrap_or("unreadable");
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        sse::CONTENT_TYPE => Form::EventStream,
        "application/x-ndjson" | "application/jsonl" => Form::JsonLines,
        "application/json" => Form::Json,
        other if other.starts_with("application/") && other.ends_with("+json") => Form::Json,
        _ => Form::Other(text.to_owned()),
    }
}

fn wrong(content_type: &str) -> Error {
    let message = format!(
        "the answer is of type {content_type:?}, which no agent sends; is something else \
         listening on the agent's port?"
    );
    Error::protocol("invoke agent", message)
}

impl Exchange {
    /// The answer in one piece.
    pub(super) async fn value(self) -> Result<InvocationResponse<Value>, Error> {
        match form(self.response.headers()) {
            Form::Json => self.json().await,
            Form::EventStream | Form::JsonLines => {
                let message =
                    "the agent answered with a stream, ask with invoke_stream or invoke_auto";
                Err(Error::protocol("invoke agent", message))
            }
            Form::Other(content_type) => Err(wrong(&content_type)),
        }
    }

    /// The answer item by item.
    pub(super) async fn stream(self) -> Result<InvocationStream, Error> {
        let (session, request_id) = (self.session.clone(), self.request_id.clone());
        match self.auto().await? {
            Answer::Stream(stream) => Ok(stream),
            // One piece is a stream of one item.
            Answer::Value(response) => {
                let item = response.result.unwrap_or(Value::Null);
                Ok(InvocationStream::new(
                    Source::once(item),
                    session,
                    request_id,
                ))
            }
        }
    }

    /// The answer in the form it has.
    pub(super) async fn auto(self) -> Result<Answer, Error> {
        let source: fn(Chunks, BodyLimit) -> Source = match form(self.response.headers()) {
            Form::Json => return self.json().await.map(Answer::Value),
            Form::EventStream => Source::events,
            Form::JsonLines => Source::lines,
            Form::Other(content_type) => return Err(wrong(&content_type)),
        };
        let chunks = Chunks::new(
            self.response.into_body(),
            self.session.stream_idle_timeout(),
        );
        Ok(Answer::Stream(InvocationStream::new(
            source(chunks, self.session.response_limit()),
            self.session,
            self.request_id,
        )))
    }

    /// The start of an explanation, within the deadline.
    pub(super) async fn explanation(self) -> Result<bytes::Bytes, Error> {
        let operation = "invoke agent";
        let start = self.response.into_body().start(operation);
        self.deadline.run(operation, start).await?
    }

    async fn json(self) -> Result<InvocationResponse<Value>, Error> {
        let operation = "invoke agent";
        let sandbox_id = self.session.sandbox_id().to_owned();
        let (request_id, started) = (self.request_id, self.started);
        let status = self.response.status().as_u16();
        let limit = self.session.response_limit();
        let whole = self.response.into_body().whole(operation, limit);
        let body = self.deadline.run(operation, whole).await??;
        let value: Value = crate::platform::json(operation, &body)?;
        // From here on the answer is held once.
        drop(body);
        if !is_envelope(&value) {
            let mut response = InvocationResponse::success(value);
            response.duration = started.elapsed().as_secs_f64();
            let metadata = Map::from_iter([("request_id".to_owned(), request_id.into())]);
            response.metadata = Some(metadata);
            return Ok(response);
        }
        let mut response: InvocationResponse<Value> = serde_json::from_value(value)
            .map_err(|error| Error::protocol(operation, error.to_string()))?;
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
                format!("it answered with status {:?}", response.status.as_str())
            }),
        })
    }
}

/// PPIO agents wrap their results, `AgentCore` agents do not; an object is taken for a wrapper only
/// if it has what every wrapper has.
fn is_envelope(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| {
        fields.get("status").is_some_and(Value::is_string)
            && fields.contains_key("duration")
            && (fields.contains_key("result") || fields.contains_key("error"))
    })
}
