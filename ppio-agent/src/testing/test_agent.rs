//! An agent that is called without a socket.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use ppio_agent_protocol::{InvocationResponse, ResponseFormat, headers, sse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cancellation::traced_handler;
use crate::app::AgentRuntimeApp;
use crate::app::StartError;
use crate::exchange::body::Body;
use crate::exchange::error::Error;
use crate::exchange::header_names::RESPONSE_FORMAT;
use crate::exchange::request_headers::RequestHeaders;
use crate::server::service::AgentService;

/// An agent that is called without a socket.
#[derive(Debug, Clone)]
pub struct TestAgent {
    service: AgentService,
}

impl TestAgent {
    /// Creates a test agent from any app.
    pub fn new(app: AgentRuntimeApp) -> Self {
        Self {
            service: app.into_unstarted_service().map_handler(traced_handler),
        }
    }

    /// Creates a test agent from the annotated functions of this program.
    ///
    /// # Errors
    /// Those of [`AgentRuntimeApp::annotated`].
    pub fn annotated() -> Result<Self, StartError> {
        AgentRuntimeApp::annotated().map(Self::new)
    }

    /// Sends one value to `POST /invocations`.
    ///
    /// # Panics
    /// If the value cannot be written as JSON, or a startup function of the agent fails.
    pub async fn invoke<T: Serialize + ?Sized>(&self, request: &T) -> TestReply {
        self.request(Method::POST, "/invocations")
            .json(request)
            .send()
            .await
    }

    /// Sends `GET /ping`.
    ///
    /// # Panics
    /// If a startup function of the agent fails.
    pub async fn ping(&self) -> TestReply {
        self.request(Method::GET, "/ping").send().await
    }

    /// Runs the startup functions of the agent, which otherwise run before the first request.
    ///
    /// # Errors
    /// If a startup function fails, or if the startup functions did not finish in an earlier call.
    pub async fn start(&self) -> Result<(), StartError> {
        Ok(self.service.agent().lifecycle.start().await?)
    }

    /// Runs the shutdown functions of the agent, if its startup functions have run.
    ///
    /// # Errors
    /// If a shutdown function fails or does not end in time.
    pub async fn shut_down(&self) -> Result<(), StartError> {
        self.service.shut_down().await
    }

    /// Returns what keeps the agent busy: its invocations, and its background tasks by their names.
    pub(super) fn busy_with(&self) -> Vec<String> {
        let invoker = &self.service.agent().invoker;
        let mut work = Vec::new();
        match invoker.counters().running() {
            0 => {}
            1 => work.push("1 invocation still counts as running".to_owned()),
            running => work.push(format!("{running} invocations still count as running")),
        }
        let tasks = invoker.tasks().own_tasks();
        work.extend(tasks.map(|task| format!("the background task {:?} still runs", task.name)));
        work
    }

    /// Returns a request to any route, which is sent with [`send`](TestRequest::send).
    ///
    /// # Panics
    /// If `path` is not valid in a URI.
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .body(Bytes::new());
        TestRequest {
            service: self.service.clone(),
            request: request.unwrap_or_else(|error| panic!("{path:?} is not a path: {error}")),
        }
    }
}

/// A request before it is sent.
#[must_use = "a request does nothing until it is sent"]
#[derive(Debug)]
pub struct TestRequest {
    service: AgentService,
    request: http::Request<Bytes>,
}

impl TestRequest {
    /// Adds a header.
    ///
    /// # Panics
    /// If the name or the value is not valid.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
        else {
            panic!("`{name}: {value}` is not a header");
        };
        self.request.headers_mut().append(name, value);
        self
    }

    /// Sets the session id in AgentCore's header.
    pub fn session(self, session_id: &str) -> Self {
        self.header(headers::AGENT_CORE_SESSION_ID, session_id)
    }

    /// Sets the body to a value as JSON.
    ///
    /// # Panics
    /// If the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        let body = serde_json::to_vec(value)
            .unwrap_or_else(|error| panic!("the request cannot be written as JSON: {error}"));
        self.header(header::CONTENT_TYPE.as_str(), "application/json")
            .body(body)
    }

    /// Sets the body to any bytes.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends the request and waits for the status and the headers of the response.
    ///
    /// If the request has no `PPIO-Response-Format` header, this method adds one with the format
    /// that applies anyway, so that the response names its format.
    ///
    /// # Panics
    /// If a startup function of the agent fails.
    pub async fn send(mut self) -> TestReply {
        if let Err(error) = self.service.agent().lifecycle.start().await {
            panic!("the agent does not start: {error}");
        }
        let headers = self.request.headers_mut();
        if !headers.contains_key(RESPONSE_FORMAT) {
            let format = RequestHeaders::of(headers).format.of_value();
            headers.insert(RESPONSE_FORMAT, HeaderValue::from_static(format.as_str()));
        }
        let response = self.service.respond(self.request.map(Full::new)).await;
        let (head, body) = response.into_parts();
        TestReply {
            head,
            body,
            events: sse::Decoder::new(),
        }
    }
}

/// The response of an agent. Dropping the reply before the end of a stream cancels the invocation,
/// as a client that disconnects does.
pub struct TestReply {
    head: http::response::Parts,
    body: Body,
    events: sse::Decoder,
}

impl TestReply {
    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Returns the whole body as text.
    ///
    /// # Panics
    /// If the body fails or is not UTF-8.
    pub async fn text(self) -> String {
        let bytes = self
            .body
            .bytes()
            .await
            .unwrap_or_else(|error| panic!("the answer is incomplete: {error}"));
        String::from_utf8(bytes.into())
            .unwrap_or_else(|error| panic!("the answer is not UTF-8: {error}"))
    }

    /// Returns the whole body as JSON, including the envelope.
    ///
    /// # Panics
    /// If the body fails or is not JSON of this type.
    pub async fn json<T: DeserializeOwned>(self) -> T {
        read(&self.text().await)
    }

    /// Returns the value that the entrypoint returned: the `result` of the envelope, or the whole
    /// body if there is no envelope.
    ///
    /// # Panics
    /// If the body fails, or if the answer is an error, a stream, or of another type.
    pub async fn value<T: DeserializeOwned>(self) -> T {
        let status = self.status();
        let format = self.headers().get(RESPONSE_FORMAT);
        let format = format.map(|format| format == ResponseFormat::Envelope.as_str());
        let text = self.text().await;
        assert!(status.is_success(), "the agent answered {status}: {text}");
        match format {
            Some(true) => {
                let mut envelope: Value = read(&text);
                read(&envelope["result"].take().to_string())
            }
            Some(false) => read(&text),
            // A body that middleware wrote.
            None => match InvocationResponse::from_exact(read(&text)) {
                Ok(envelope) => read(&envelope.result.unwrap_or_default().to_string()),
                Err(_) => read(&text),
            },
        }
    }

    /// Returns the error in the response, with its status, type and text.
    ///
    /// # Panics
    /// If the status is not that of an error, or if the body fails or has no error text and type.
    pub async fn error(self) -> Error {
        #[derive(serde::Deserialize)]
        struct ErrorAnswer {
            error: String,
            error_type: String,
        }
        let status = self.status();
        let text = self.text().await;
        let failed = status.is_client_error() || status.is_server_error();
        assert!(failed, "not an error but {status}: {text}");
        let ErrorAnswer { error, error_type } = read(&text);
        Error::new(status, error).with_type(error_type)
    }

    /// Returns the next item of a stream, or `None` at its end. An error is an item as well: an
    /// object with the key `error`.
    ///
    /// # Panics
    /// If the stream fails or the item is of another type.
    pub async fn next_item<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            if let Some(event) = self.events.next_event() {
                return Some(read(&event.data));
            }
            let frame = self
                .body
                .frame()
                .await?
                .unwrap_or_else(|error| panic!("the stream is incomplete: {error}"));
            if let Some(data) = frame.data_ref()
                && let Err(error) = self.events.push(data)
            {
                panic!("{error}");
            }
        }
    }

    /// Returns all items of a stream.
    ///
    /// # Panics
    /// If the response is not a stream, and whenever [`next_item`](Self::next_item) panics.
    pub async fn items<T: DeserializeOwned>(mut self) -> Vec<T> {
        let kind = self.head.headers.get(header::CONTENT_TYPE).cloned();
        let kind = kind.as_ref().and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next());
        if kind.map(str::trim) != Some(sse::MEDIA_TYPE) {
            let status = self.status();
            panic!("not a stream but {status}: {}", self.text().await);
        }
        let mut items = Vec::new();
        while let Some(item) = self.next_item().await {
            items.push(item);
        }
        items
    }
}

impl fmt::Debug for TestReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestReply")
            .field("status", &self.head.status)
            .field("headers", &self.head.headers)
            .finish_non_exhaustive()
    }
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| {
        let expected = std::any::type_name::<T>();
        panic!("not a {expected}: {error} in {text}")
    })
}
