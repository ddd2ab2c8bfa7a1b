//! Calls by the protocols that agents serve besides `/invocations`. Each protocol has one file,
//! which builds the request and reads the answer.

mod a2a;
mod ag_ui;
mod answer_part;
mod mcp;
mod openai;
mod tool_calls;

use std::time::Duration;

use ppio_agent_client::http::{HeaderName, HeaderValue};
use ppio_agent_client::{Error, InvocationOutput, SandboxSession};
use ppio_agent_protocol::headers::PPIO_ON_DISCONNECT;
use serde_json::{Map, Value};

pub(crate) use self::answer_part::AnswerPart;
use crate::arguments::AgentProtocol;
use crate::error::{CliError, ExitKind};
use crate::platform::PrintError;

/// A call by a protocol, before it is sent.
pub(super) struct ProtocolCall {
    protocol: AgentProtocol,
    /// The body; for MCP the arguments of the tool.
    request: Map<String, Value>,
}

/// Reads the answer of an agent by one protocol.
pub(crate) trait AnswerReader {
    /// Reads an event of a stream, or a whole answer, and adds the parts to print.
    fn read(&mut self, event: &Value, parts: &mut Vec<AnswerPart>) -> Result<(), AgentFailure>;

    /// Whether the answer is complete, so that a stream may end.
    fn is_complete(&self) -> bool;
}

/// An error of the agent within an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct AgentFailure {
    message: String,
    error_type: Option<String>,
}

/// The session, headers and timeout with which every request of a call is sent.
struct Sender<'a> {
    session: &'a SandboxSession,
    headers: &'a [(HeaderName, HeaderValue)],
    timeout: Duration,
}

impl ProtocolCall {
    /// Creates the call with a request in the form of the protocol, or with a `prompt` as the
    /// user's message.
    pub(super) fn new(protocol: AgentProtocol, request: Value) -> Result<Self, CliError> {
        let Value::Object(mut request) = request else {
            return Err(usage_error("the request is not a JSON object"));
        };
        if protocol != AgentProtocol::Mcp {
            let prompt = match request.remove("prompt") {
                None => None,
                Some(Value::String(prompt)) => Some(prompt),
                Some(other) => {
                    return Err(usage_error(format!(
                        "`prompt` is {other}, which is not a text"
                    )));
                }
            };
            match protocol {
                AgentProtocol::Openai => openai::complete(&mut request, prompt)?,
                AgentProtocol::AgUi => ag_ui::complete(&mut request, prompt)?,
                AgentProtocol::A2a => request = a2a::request(request, prompt)?,
                AgentProtocol::Mcp => {}
            }
        }
        Ok(Self { protocol, request })
    }

    /// Sends the call.
    pub(super) async fn send(
        &self,
        session: &SandboxSession,
        headers: &[(HeaderName, HeaderValue)],
        timeout: Duration,
    ) -> Result<InvocationOutput, PrintError> {
        let sender = Sender {
            session,
            headers,
            timeout,
        };
        if self.protocol == AgentProtocol::Mcp {
            return mcp::call(&sender, &self.request).await;
        }
        let own: &[_] = match self.protocol {
            AgentProtocol::A2a => &[("a2a-version", "1.0")],
            _ => &[],
        };
        let sent = sender.post(path(self.protocol), &self.request, own);
        sent.await.map_err(PrintError::Client)
    }

    /// Returns the reader of the answer.
    pub(super) fn reader(&self) -> Box<dyn AnswerReader> {
        match self.protocol {
            AgentProtocol::Openai => Box::new(openai::CompletionReader::default()),
            AgentProtocol::AgUi => Box::new(ag_ui::AgUiReader::default()),
            AgentProtocol::A2a => Box::new(a2a::TaskReader::default()),
            AgentProtocol::Mcp => Box::new(mcp::CallReader::default()),
        }
    }
}

/// Returns the error for an agent that does not serve the protocol, if `error` shows that.
pub(super) fn not_served(protocol: AgentProtocol, error: &Error) -> Option<CliError> {
    let Error::Invocation {
        status: Some(404),
        error_type,
        message,
        ..
    } = error
    else {
        return None;
    };
    // A 404 of the protocol itself has an error type. For an unknown route, the runtime sends an
    // error type and a message with this text; other servers send no error type.
    if error_type.is_some() && !message.starts_with("no route for ") {
        return None;
    }
    let (name, feature) = match protocol {
        AgentProtocol::Openai => ("OpenAI's protocol", "openai"),
        AgentProtocol::AgUi => ("AG-UI", "ag-ui"),
        AgentProtocol::A2a => ("A2A", "a2a"),
        AgentProtocol::Mcp => ("MCP", "mcp"),
    };
    let message = format!("the agent does not serve {name} at {}", path(protocol));
    let help = format!(
        "build the agent with the feature `{feature}` of `ppio-agent`; if it has the feature, \
         PPIO_AGENT_PROTOCOLS has to list `{feature}`, or not be set"
    );
    Some(
        CliError::new(ExitKind::Agent, message)
            .caused_by(error)
            .help(help),
    )
}

fn path(protocol: AgentProtocol) -> &'static str {
    match protocol {
        AgentProtocol::Openai => "/v1/chat/completions",
        AgentProtocol::AgUi => "/ag-ui",
        AgentProtocol::A2a => "/a2a",
        AgentProtocol::Mcp => "/mcp",
    }
}

impl Sender<'_> {
    /// Posts a body with headers of the protocol. Headers of the command line replace them.
    async fn post(
        &self,
        path: &str,
        body: &Map<String, Value>,
        own: &[(&str, &str)],
    ) -> Result<InvocationOutput, Error> {
        // Without this header, the agent continues after Ctrl-C in some protocols.
        let default = (PPIO_ON_DISCONNECT, "cancel");
        let own = own.iter().copied().chain([default]);
        let own = own.filter(|(name, _)| self.headers.iter().all(|(given, _)| given != name));
        let post = self.session.post(path, body).timeout(self.timeout);
        let post = own.fold(post, |post, (name, value)| post.header(name, value));
        self.headers
            .iter()
            .fold(post, |post, (name, value)| post.header(name, value.clone()))
            .await
    }
}

impl AgentFailure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            error_type: None,
        }
    }

    /// Creates the failure from an object with a `message`, and a `code` that is the error type.
    fn of_error(error: &Value) -> Self {
        let message = error["message"].as_str().map(str::to_owned);
        Self {
            message: message.unwrap_or_else(|| error.to_string()),
            error_type: match &error["code"] {
                Value::String(code) => Some(code.clone()),
                Value::Number(code) => Some(code.to_string()),
                _ => None,
            },
        }
    }

    /// Converts the failure to an error of the client.
    pub(super) fn into_error(self, session_id: &str, request_id: &str) -> Error {
        Error::Invocation {
            sandbox_id: session_id.to_owned(),
            status: None,
            error_type: self.error_type,
            message: self.message,
            request_id: Some(request_id.to_owned()),
        }
    }
}

fn usage_error(message: impl Into<String>) -> CliError {
    CliError::new(ExitKind::Usage, message).help(
        "with `--protocol`, send a request of that protocol, or the user's message as \
         {\"prompt\": \"hi\"}",
    )
}

/// Adds a message to `messages`.
fn push_message(request: &mut Map<String, Value>, message: Value) -> Result<(), CliError> {
    let messages = request.entry("messages");
    match messages.or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(messages) => {
            messages.push(message);
            Ok(())
        }
        other => Err(usage_error(format!(
            "`messages` is {other}, which is not a list"
        ))),
    }
}

/// Adds those members that the request does not have.
fn add_defaults<const N: usize>(request: &mut Map<String, Value>, defaults: [(&str, Value); N]) {
    for (name, value) in defaults {
        request.entry(name).or_insert(value);
    }
}
