//! Asking an agent the way Amazon Bedrock `AgentCore` is asked.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use ppio_agent_protocol::AgentId;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::agent_runtime_client::AgentRuntimeClient;
use super::runtime_answer::AgentRuntimeAnswer;
use crate::error::Error;
use crate::invocation::CallerHeaders;
use crate::session::{SandboxConfig, SandboxSession};

/// A call by agent id. Await it.
#[must_use = "nothing is sent until this is awaited"]
pub struct InvokeAgentRuntime {
    client: AgentRuntimeClient,
    agent_id: String,
    payload: Bytes,
    session_id: Option<String>,
    timeout: Option<Duration>,
    trace: HeaderMap,
    headers: CallerHeaders,
    sandbox: SandboxConfig,
}

impl InvokeAgentRuntime {
    pub(super) fn new(client: AgentRuntimeClient, agent_id: String, payload: Bytes) -> Self {
        Self {
            client,
            agent_id,
            payload,
            session_id: None,
            timeout: None,
            trace: HeaderMap::new(),
            headers: CallerHeaders::default(),
            sandbox: SandboxConfig::default(),
        }
    }

    /// The caller's own id for the session. Calls with the same id reach the same sandbox.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// client.invoke_agent_runtime("my_agent-tmpl1", "hi").runtime_session_id("user-42").await?;
    /// # Ok(()) });
    /// ```
    pub fn runtime_session_id(mut self, id: impl Into<String>) -> Self {
        self.session_id = Some(id.into());
        self
    }

    /// How long the invocation may take; making the sandbox has its own limits.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # integration_tests::example(async |client| {
    /// client.invoke_agent_runtime("my_agent-tmpl1", "hi").timeout(Duration::from_secs(30)).await?;
    /// # Ok(()) });
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Options of the sandbox, if one is made for this call.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// use ppio_agent_client::SandboxConfig;
    ///
    /// let sandbox = SandboxConfig { auto_pause: true, ..SandboxConfig::default() };
    /// client.invoke_agent_runtime("my_agent-tmpl1", "hi").sandbox(sandbox).await?;
    /// # Ok(()) });
    /// ```
    pub fn sandbox(mut self, config: SandboxConfig) -> Self {
        self.sandbox = config;
        self
    }

    /// Passes on the trace that an incoming request belongs to: its `traceparent`, `tracestate`
    /// and `baggage`.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let incoming = http::HeaderMap::new();
    /// client.invoke_agent_runtime("my_agent-tmpl1", "hi").trace_context(&incoming).await?;
    /// # Ok(()) });
    /// ```
    pub fn trace_context(mut self, incoming: &HeaderMap) -> Self {
        self.trace.clone_from(incoming);
        self
    }

    /// A header of the caller's own, which takes the place of one that this library sets:
    /// `authorization` is the one an agent checks itself, and keeps the API key from it. Given
    /// twice, a header is sent twice.
    ///
    /// # Errors
    /// When awaited, [`Error::Validation`] for a header of the connection (`host`, `content-length`,
    /// `transfer-encoding`, `connection`, …) or of the route to the sandbox, or what is not a header.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let call = client.invoke_agent_runtime("my_agent-tmpl1", "hi");
    /// call.header("authorization", "Bearer sesame").await?;
    /// # Ok(()) });
    /// ```
    pub fn header<V: TryInto<HeaderValue>>(mut self, name: impl AsRef<str>, value: V) -> Self {
        self.headers.add(name.as_ref(), value);
        self
    }

    async fn run(self) -> Result<AgentRuntimeAnswer, Error> {
        let agent: AgentId =
            self.agent_id
                .parse()
                .map_err(|error: ppio_agent_protocol::InvalidAgentId| {
                    Error::validation("agent_id", error.to_string())
                })?;
        let request = request(&self.payload)?;
        let headers = self.headers.into_map()?;
        let template_id = agent.template_id();
        let create = self.client.create_session(template_id).config(self.sandbox);
        let sessions = &self.client.runtime_sessions;
        let session = match &self.session_id {
            Some(id) => sessions.get_or_create(template_id, id, create).await?,
            None => create.await?,
        };
        if self.session_id.is_none() {
            sessions.keep(template_id, &session);
        }
        let session_id = self
            .session_id
            .unwrap_or_else(|| session.session_id().to_owned());
        if session.is_half_spent() {
            prolong(&session);
        }
        let mut invoke = session.invoke_auto(request).trace_context(&self.trace);
        invoke = invoke.with_headers(headers);
        if let Some(timeout) = self.timeout {
            invoke = invoke.timeout(timeout);
        }
        let outcome = invoke.await;
        if let Err(Error::SessionNotFound { .. }) = outcome {
            // Not asked again: the agent may have heard the question before it went away. The
            // next call under this id gets a new sandbox.
            sessions.forget(template_id, &session_id, &session);
        }
        Ok(AgentRuntimeAnswer {
            answer: outcome?,
            runtime_session_id: session_id,
        })
    }
}

/// A session that is talked to stays; its caller has no other way to say so.
fn prolong(session: &SandboxSession) {
    let (core, session) = (session.client(), session.clone());
    core.background.spawn(&Handle::current(), async move {
        if let Err(error) = session.refresh().await {
            tracing::debug!(sandbox_id = session.sandbox_id(), %error, "cannot prolong a session");
        }
    });
}

/// JSON goes as it is, any other text is a prompt, and nothing is an empty object.
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

impl IntoFuture for InvokeAgentRuntime {
    type Output = Result<AgentRuntimeAnswer, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for InvokeAgentRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload and the trace's headers are the caller's business, not the log's.
        f.debug_struct("InvokeAgentRuntime")
            .field("agent_id", &self.agent_id)
            .field("session_id", &self.session_id)
            .field("timeout", &self.timeout)
            .field("sandbox", &self.sandbox)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_goes_as_it_is_and_any_other_text_is_a_prompt() {
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
