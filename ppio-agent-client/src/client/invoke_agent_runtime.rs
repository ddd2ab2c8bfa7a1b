//! Invocation as Amazon Bedrock `AgentCore` defines it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use ppio_agent_protocol::{AgentId, InvalidAgentId};
use serde_json::{Map, Value};

use super::runtime_sessions::RuntimeSessions;
use crate::deferred::{Deferred, DeferredCall};
use crate::error::Error;
use crate::invocation::{InvocationOutput, InvokeOptions};
use crate::session::{CreateSession, SandboxConfig, Sessions};

/// An agent's response, and the session id for further calls.
#[derive(Debug)]
#[non_exhaustive]
pub struct AgentRuntimeResponse {
    /// The session id that the caller set, or else the id of the sandbox.
    pub runtime_session_id: String,
    /// The response or stream.
    pub output: InvocationOutput,
}

/// An invocation by agent id. Await it, spawn it, or join it with other futures.
///
/// # Panics
/// A method that sets an option panics after the first poll: the option would be ignored.
#[must_use = "nothing is sent until this is awaited"]
pub struct InvokeAgentRuntime {
    call: Deferred<RuntimeCall>,
}

/// The call before it is sent.
struct RuntimeCall {
    sessions: Sessions,
    runtime_sessions: Arc<RuntimeSessions>,
    agent_id: String,
    payload: Bytes,
    session_id: Option<String>,
    options: InvokeOptions,
    sandbox: SandboxConfig,
}

impl InvokeAgentRuntime {
    pub(super) fn new(
        sessions: Sessions,
        runtime_sessions: Arc<RuntimeSessions>,
        agent_id: String,
        payload: Bytes,
    ) -> Self {
        let call = RuntimeCall {
            sessions,
            runtime_sessions,
            agent_id,
            payload,
            session_id: None,
            options: InvokeOptions::default(),
            sandbox: SandboxConfig::default(),
        };
        Self {
            call: Deferred::new(call),
        }
    }

    fn set(mut self, change: impl FnOnce(&mut RuntimeCall)) -> Self {
        self.call.set(change);
        self
    }

    /// Sets the session id, which the caller chooses. Calls of one agent with the same session id
    /// reach the same sandbox.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let call = client.invoke_agent_runtime("my_agent-tmpl1", "hi");
    /// let response = call.runtime_session_id("user-42").await?;
    /// # Ok(()) });
    /// ```
    pub fn runtime_session_id(self, id: impl Into<String>) -> Self {
        self.set(|call| call.session_id = Some(id.into()))
    }

    /// Sets the time limit of the invocation; creating the sandbox has limits of its own.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|call| call.options.timeout = Some(timeout))
    }

    /// Sets the options of the sandbox, if the call creates one.
    pub fn sandbox(self, config: SandboxConfig) -> Self {
        self.set(|call| call.sandbox = config)
    }

    /// Sends the `traceparent`, `tracestate` and `baggage` of an incoming request; see
    /// [`Invoke::trace_context`](crate::Invoke::trace_context).
    pub fn trace_context(self, incoming: &HeaderMap) -> Self {
        self.set(|call| call.options.trace_context(incoming))
    }

    /// Adds a header; see [`Invoke::header`](crate::Invoke::header).
    pub fn header<V: TryInto<HeaderValue>>(self, name: impl AsRef<str>, value: V) -> Self {
        self.set(|call| call.options.headers.add(name.as_ref(), value))
    }
}

impl DeferredCall for RuntimeCall {
    type Output = Result<AgentRuntimeResponse, Error>;

    async fn run(mut self) -> Self::Output {
        let agent: AgentId = self
            .agent_id
            .parse()
            .map_err(|error: InvalidAgentId| Error::validation("agent_id", error.to_string()))?;
        let request = request(&self.payload)?;
        // No sandbox is created for a header that cannot be sent.
        self.options.headers.check()?;
        let template_id = agent.template_id();
        let create = CreateSession::new(self.sessions, template_id.to_owned()).config(self.sandbox);
        let sessions = &self.runtime_sessions;
        let session = if let Some(id) = &self.session_id {
            sessions.get_or_create(template_id, id, create).await?
        } else {
            let session = create.await?;
            sessions.insert(template_id, &session);
            session
        };
        let session_id = self
            .session_id
            .unwrap_or_else(|| session.session_id().to_owned());
        if session.is_half_spent() {
            session.refresh_in_background();
        }
        let invoke = session.invoke(request).with_options(self.options);
        let outcome = invoke.output().await;
        if let Err(Error::SessionNotFound { .. }) = outcome {
            // The request may have reached the agent before its sandbox was gone, so it is not sent
            // again. The next call with this session id creates a new sandbox.
            sessions.remove(template_id, &session_id, &session);
        }
        Ok(AgentRuntimeResponse {
            output: outcome?,
            runtime_session_id: session_id,
        })
    }
}

/// Returns a JSON object as it is, any other text as the prompt, and an empty object for a blank
/// payload.
fn request(payload: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(payload)
        .map_err(|error| Error::validation("payload", format!("is not UTF-8 text: {error}")))?;
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        _ => Ok(Value::String(text.to_owned())),
    }
}

impl Future for InvokeAgentRuntime {
    type Output = Result<AgentRuntimeResponse, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().call).poll(cx)
    }
}

impl fmt::Debug for InvokeAgentRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payload and headers may contain personal data and secrets, so they stay out of logs.
        let mut output = f.debug_struct("InvokeAgentRuntime");
        if let Some(call) = self.call.options() {
            output
                .field("agent_id", &call.agent_id)
                .field("session_id", &call.session_id)
                .field("timeout", &call.options.timeout)
                .field("sandbox", &call.sandbox);
        }
        output.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_stays_as_it_is_and_any_other_text_is_the_prompt() {
        for (payload, expected) in [
            (r#"{"a": 1}"#, json!({"a": 1})),
            ("[1]", json!("[1]")),
            ("hi", json!("hi")),
            ("", json!({})),
        ] {
            assert_eq!(request(payload.as_bytes()).expect("text"), expected);
        }
        assert!(request(b"\xff").is_err());
    }
}
