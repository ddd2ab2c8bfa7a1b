//! The session's agent: asked for answers, and asked how it is.

use http::{HeaderValue, Response, header};
use ppio_agent_protocol::PingResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SandboxSession;
use crate::error::Error;
use crate::invocation::{Auto, Envelope, Invoke, Streamed, Typed};
use crate::platform::Call;
use crate::transport::{BodyLimit, Deadline, Repeat, ResponseBody};

/// The most that is read of the answer to a ping, which has a hundred bytes.
const PING_ANSWER: usize = 64 * 1024;

impl SandboxSession {
    /// Asks the agent. `request` is anything that serializes: text becomes `{"prompt": text}`,
    /// everything else goes as it is. Await it, or set options first.
    ///
    /// The answer's `duration` is the agent's own count, or the time measured here where an agent
    /// answers with the bare value, as `AgentCore`'s do (and those of this project, when they are told
    /// their session).
    ///
    /// An invocation that may have reached the agent is never sent again.
    ///
    /// # Errors
    /// [`Error::Invocation`] if the agent failed, [`Error::SessionNotFound`] if the sandbox is
    /// gone, [`Error::Network`] and [`Error::Timeout`].
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let answer = session.invoke("what is the time?").await?;
    /// println!("{:?} in {} s", answer.result, answer.duration);
    /// # Ok(()) });
    /// ```
    pub fn invoke<R: Serialize>(&self, request: R) -> Invoke<Envelope> {
        Invoke::in_session(self.clone(), &request)
    }

    /// [`invoke`](Self::invoke), with the agent's result read as the caller's own type.
    ///
    /// # Errors
    /// Those of `invoke`, and [`Error::Runtime`] if the result does not fit the type.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// #[derive(serde::Deserialize)]
    /// struct Reply {
    ///     prompt: String,
    /// }
    /// let reply = session.invoke_as::<Reply>("what is the time?").await?;
    /// println!("{}", reply.prompt);
    /// # Ok(()) });
    /// ```
    pub fn invoke_as<T: DeserializeOwned + Send + 'static>(
        &self,
        request: impl Serialize,
    ) -> Invoke<Typed<T>> {
        Invoke::in_session(self.clone(), &request)
    }

    /// [`invoke`](Self::invoke), with the answer item by item. An agent that answers in one piece
    /// makes a stream of one item.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let mut story = session.invoke_stream("tell me a story").await?;
    /// while let Some(item) = story.next().await {
    ///     println!("{}", item?);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn invoke_stream<R: Serialize>(&self, request: R) -> Invoke<Streamed> {
        Invoke::in_session(self.clone(), &request)
    }

    /// [`invoke`](Self::invoke), and let the agent decide: a value or a stream, by the content type
    /// of its answer.
    ///
    /// ```
    /// use ppio_agent_client::Answer;
    ///
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// match session.invoke_auto("hello").await? {
    ///     Answer::Value(answer) => println!("{:?}", answer.result),
    ///     Answer::Stream(mut items) => while let Some(item) = items.next().await {
    ///         println!("{}", item?);
    ///     },
    /// }
    /// # Ok(()) });
    /// ```
    pub fn invoke_auto<R: Serialize>(&self, request: R) -> Invoke<Auto> {
        Invoke::in_session(self.clone(), &request)
    }

    /// Asks the agent how it is.
    ///
    /// # Errors
    /// [`Error::Invocation`] if it answers that it is not well, [`Error::Network`] if it does not
    /// answer.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{:?}", session.ping().await?.status);
    /// # Ok(()) });
    /// ```
    pub async fn ping(&self) -> Result<PingResponse, Error> {
        self.open()?;
        let deadline = Deadline::after(self.core.agent.timeout);
        self.ping_by(deadline, Repeat::IfUnsent).await
    }

    /// Sends a call to the agent; its answer may be no success.
    pub(crate) async fn send(
        &self,
        call: Call,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        self.open()?;
        let call = call.default_headers(self.core.credentials());
        self.core.agent.open(call, deadline).await
    }

    pub(super) async fn ping_by(
        &self,
        deadline: Deadline,
        repeat: Repeat,
    ) -> Result<PingResponse, Error> {
        let call = Call::get("ping agent", "/ping")
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .default_headers(self.core.credentials())
            .limit(BodyLimit::fixed(PING_ANSWER))
            .repeat(repeat);
        let answer = self.core.agent.send_by(call, deadline).await;
        let answer = answer.map_err(|error| error.redacted(&self.auth()));
        match answer {
            Ok(response) => crate::platform::json("ping agent", response.body())
                .map_err(|error| error.redacted(&self.auth())),
            Err(Error::Runtime {
                status, message, ..
            }) => Err(Error::Invocation {
                sandbox_id: self.sandbox_id().to_owned(),
                status,
                error_type: None,
                message,
                request_id: None,
            }),
            Err(error) => Err(error),
        }
    }
}
