//! MCP over streamable HTTP: the agent's function as one tool.
//!
//! Two generations of the protocol are served, and each request states its generation
//! ([`generation`]): up to 2025-11-25 a client sends `initialize` first; since 2026-07-28 every
//! request is self-contained. No session is kept between requests in either generation. The session
//! id that `initialize` returns identifies the calls that `notifications/cancelled` may cancel.

mod call_events;
mod generation;
mod interrupt;
mod message;
mod result;
mod tool;
mod tool_call;
mod tool_schema;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use self::generation::Generation;
use self::message::{JsonRpcError, Refusal, RpcMessage, RpcRequest, object};
use self::result::ResultWriter;
use self::tool::AgentTool;
use self::tool_call::{AcceptedTypes, Called, ToolCallRequest};
use super::path_table::{Methods, PathTable, ProtocolPath};
use super::{ProtocolAgent, SharedAgent, call, kept_open};
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::context::session_header;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::{self, to_bytes};
use crate::exchange::request_id::RequestId;
use crate::runs::tag::RunTag;

/// The header with the session id of a client that sent `initialize`.
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// The headers of the response to `initialize` that web pages may read.
const EXPOSED: HeaderValue = HeaderValue::from_static("mcp-session-id, x-request-id");

/// How long a client may cache the list of tools or the result of `server/discover`, in
/// milliseconds; both change only when the agent is replaced by another program.
const LIST_AGE: u32 = 60_000;

/// The paths of the protocol.
pub(super) static PATHS: PathTable<()> = PathTable(&[ProtocolPath::new(
    "/mcp",
    Methods::Post("Sends a JSON-RPC message"),
    (),
)]);

/// Returns the body of an error.
pub(super) fn error_body(failure: &Failure) -> Bytes {
    to_bytes(&JsonRpcError::of(failure).to_json(&Value::Null))
}

/// Answers a request.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let (parts, body) = call::read(request).await?;
    let body: Value = call::parse(&body)?;
    let accepts_events = AcceptedTypes::of(&parts.headers).events;
    let heartbeat = agent.invoker.settings().heartbeat;
    let answering = answer_body(agent.to_shared(), exchange.clone(), parts, body);
    match heartbeat.filter(|_| accepts_events) {
        Some(interval) => kept_open::answer(exchange, interval, answering).await,
        None => answering.await,
    }
}

async fn answer_body(
    agent: SharedAgent,
    exchange: Exchange,
    parts: Parts,
    body: Value,
) -> Result<Response, Error> {
    let server = McpServer {
        agent: &agent.get(),
        exchange: &exchange,
        parts,
    };
    match body {
        Value::Array(batch) => server.answer_batch(batch).await,
        message => server.answer_message(message).await,
    }
}

/// A request that was read, and the agent that answers it.
struct McpServer<'a> {
    agent: &'a ProtocolAgent<'a>,
    exchange: &'a Exchange,
    parts: Parts,
}

/// The result of a method.
enum MethodResult {
    Members(Map<String, Value>),
    Called(Called),
}

impl McpServer<'_> {
    async fn answer_message(&self, message: Value) -> Result<Response, Error> {
        let request = match RpcMessage::of(message) {
            Ok(RpcMessage::Request(request)) => request,
            Ok(RpcMessage::Notification { method, params }) => {
                Generation::check_notification(&self.parts.headers)
                    .map_err(|error| error.into_error(&Value::Null))?;
                self.receive(&method, &params);
                return Ok(call::accepted());
            }
            Ok(RpcMessage::Response) => return Ok(call::accepted()),
            Err((id, error)) => return Err(error.into_error(&id)),
        };
        let id = &request.id;
        let generation =
            Generation::of(&self.parts.headers, &request).map_err(|error| error.into_error(id))?;
        let writer = ResultWriter::new(self.agent.protocols.agent(), generation, &request);
        let accepted = AcceptedTypes::of(&self.parts.headers);
        match self.reply(&request, generation, accepted).await {
            Ok(MethodResult::Members(members)) => {
                let body = to_bytes(&writer.to_json(members));
                let mut response = json::response(StatusCode::OK, body);
                self.open_session(&request, &mut response);
                Ok(response)
            }
            Ok(MethodResult::Called(called)) => {
                Ok(called.into_response(self.exchange, writer).await)
            }
            Err(Refusal::ByProtocol(error)) if generation == Generation::Handshake => {
                Ok(json::response(StatusCode::OK, to_bytes(&error.to_json(id))))
            }
            Err(refusal) => Err(refusal.into_error(self.exchange, id)),
        }
    }

    /// Answers the messages of a batch one after the other.
    async fn answer_batch(&self, batch: Vec<Value>) -> Result<Response, Error> {
        Generation::check_batch(&self.parts.headers, &batch)
            .map_err(|error| error.into_error(&Value::Null))?;
        let mut answers = Vec::new();
        for message in batch {
            match RpcMessage::of(message) {
                Ok(RpcMessage::Request(request)) => {
                    answers.push(self.answer_in_batch(&request).await);
                }
                Ok(RpcMessage::Notification { method, params }) => self.receive(&method, &params),
                Ok(RpcMessage::Response) => {}
                Err((id, error)) => answers.push(error.to_json(&id)),
            }
        }
        if answers.is_empty() {
            return Ok(call::accepted());
        }
        Ok(json::response(StatusCode::OK, to_bytes(&answers)))
    }

    async fn answer_in_batch(&self, request: &RpcRequest) -> Value {
        if request.method == "initialize" {
            let error = JsonRpcError::invalid_request("`initialize` cannot be part of a batch");
            return error.to_json(&request.id);
        }
        let agent = self.agent.protocols.agent();
        let generation = Generation::Handshake;
        let writer = ResultWriter::new(agent, generation, request);
        match self.reply(request, generation, AcceptedTypes::JSON).await {
            Ok(MethodResult::Members(members)) => writer.to_json(members),
            Ok(MethodResult::Called(called)) => called.into_json(self.exchange, &writer).await,
            Err(refusal) => refusal.into_json(self.exchange, &request.id),
        }
    }

    async fn reply(
        &self,
        request: &RpcRequest,
        generation: Generation,
        accepted: AcceptedTypes,
    ) -> Result<MethodResult, Refusal> {
        let members = match (request.method.as_str(), generation) {
            ("initialize", Generation::Handshake) => self.initialize(request),
            ("ping", Generation::Handshake) => Map::new(),
            ("server/discover", Generation::Stateless) => object(json!({
                "supportedVersions": generation::VERSIONS,
                "capabilities": {"tools": {}},
                "ttlMs": LIST_AGE,
                "cacheScope": "private",
            })),
            ("tools/list", _) => self.list(request, generation)?,
            ("tools/call", _) => {
                let called = self.call(request, generation, accepted).await?;
                return Ok(MethodResult::Called(called));
            }
            (method, _) => return Err(JsonRpcError::no_method(method).into()),
        };
        Ok(MethodResult::Members(members))
    }

    /// Returns the result of `initialize`: with the client's version if it is supported and has
    /// `initialize`, otherwise with the newest version that has `initialize`.
    fn initialize(&self, request: &RpcRequest) -> Map<String, Value> {
        let wanted = request.params.get("protocolVersion");
        let version = wanted.and_then(Value::as_str);
        object(json!({
            "protocolVersion": generation::handshake_version(version),
            "capabilities": {"tools": {}},
            "serverInfo": result::server_info(self.agent.protocols.agent()),
        }))
    }

    fn list(
        &self,
        request: &RpcRequest,
        generation: Generation,
    ) -> Result<Map<String, Value>, Refusal> {
        if let Some(cursor) = request
            .params
            .get("cursor")
            .filter(|cursor| !cursor.is_null())
        {
            let message = format!("no page has the cursor {cursor}; list without a cursor");
            return Err(JsonRpcError::invalid_params(message).into());
        }
        let mut members = object(json!({"tools": [AgentTool::of(self.agent.protocols).to_json()]}));
        if generation == Generation::Stateless {
            members.insert("ttlMs".to_owned(), LIST_AGE.into());
            members.insert("cacheScope".to_owned(), "private".into());
        }
        Ok(members)
    }

    async fn call(
        &self,
        request: &RpcRequest,
        generation: Generation,
        accepted: AcceptedTypes,
    ) -> Result<Called, Refusal> {
        let call = ToolCallRequest::of(request, &AgentTool::of(self.agent.protocols), accepted)?;
        let mut options = call::run_options(self.agent, &self.parts.headers)?;
        if generation == Generation::Handshake
            && let Some(session) = self.session()
        {
            options = options.tagged(tag(session, &request.id));
        }
        call.run(self.agent, self.exchange, self.parts.clone(), options)
            .await
    }

    /// Adds a session id to the response to `initialize`, unless the request has one, which a proxy
    /// may have added.
    fn open_session(&self, request: &RpcRequest, response: &mut Response) {
        if request.method == "initialize" && self.session().is_none() {
            let id = RequestId::random().header_value();
            let headers = response.headers_mut();
            headers.insert(SESSION_ID, id);
            if self.parts.headers.contains_key(ORIGIN) {
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            }
        }
    }

    fn session(&self) -> Option<&str> {
        self.parts.headers.get(SESSION_ID)?.to_str().ok()
    }

    /// Handles a notification; only a cancellation has an effect.
    fn receive(&self, method: &str, params: &Map<String, Value>) {
        if method == "notifications/cancelled"
            && let (Some(session), Some(id)) = (self.session(), params.get("requestId"))
        {
            self.cancel(&tag(session, id));
        }
    }

    fn cancel(&self, wanted: &RunTag) {
        let headers: &HeaderMap = &self.parts.headers;
        let runs = self.agent.runs;
        let caller = runs.caller(headers, session_header(headers));
        if let Some(run) = runs.find_tagged(&caller, |tag| tag == wanted) {
            run.cancel("by `notifications/cancelled`");
        }
    }
}

/// Returns the tag by which a call is found when it is cancelled.
fn tag(session: &str, request_id: &Value) -> RunTag {
    RunTag {
        protocol: "mcp".to_owned(),
        thread: Some(session.to_owned()),
        data: request_id.to_string(),
    }
}
