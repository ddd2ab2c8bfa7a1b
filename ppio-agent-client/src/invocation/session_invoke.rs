//! The session's agent: asked for answers, and asked how it is.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::invoke::Invoke;
use super::kind::{Auto, Envelope, Streamed, Typed};
use crate::session::SandboxSession;

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
}
