//! Invocation of a session's agent.

use serde::Serialize;

use super::invoke::Invoke;
use crate::session::SandboxSession;

impl SandboxSession {
    /// Invokes the agent. `request` is any type that serializes: text becomes `{"prompt": text}`,
    /// everything else is sent as it is. The [`timeout`] of an [`InvocationRequest`] is the time
    /// limit of the call unless the limit of the call is shorter, and its [`request_id`] is the id
    /// of the call unless an option of the call sets another id.
    ///
    /// Awaiting the call returns the agent's [`InvocationResponse`], with its result, duration and
    /// metadata. [`json`](Invoke::json) returns the result as a type of the caller,
    /// [`stream`](Invoke::stream) the items of a stream.
    ///
    /// An invocation that may have reached the agent is sent again only if the agent honours its
    /// idempotency key, so that the invocation runs once.
    ///
    /// # Errors
    /// When awaited, [`Error::Invocation`] if the agent fails, [`Error::Authentication`] or
    /// [`Error::RateLimit`] if the agent responds with status 401 or 429, [`Error::Runtime`] if a
    /// stream is read as a value, [`Error::Protocol`] if the response breaks the protocol,
    /// [`Error::ResponseTooLarge`] if the response exceeds the size limit, [`Error::Validation`]
    /// for an invalid request or option, [`Error::SandboxOperation`] if the sandbox is paused,
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::Network`] and
    /// [`Error::Timeout`].
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let response = session.invoke("what is the time?").await?;
    /// println!("{:?} in {} s", response.result, response.duration);
    /// # Ok(()) });
    /// ```
    ///
    /// [`InvocationRequest`]: crate::InvocationRequest
    /// [`timeout`]: crate::InvocationRequest::timeout
    /// [`request_id`]: crate::InvocationRequest::request_id
    /// [`InvocationResponse`]: crate::InvocationResponse
    /// [`Error::Invocation`]: crate::Error::Invocation
    /// [`Error::Authentication`]: crate::Error::Authentication
    /// [`Error::RateLimit`]: crate::Error::RateLimit
    /// [`Error::Runtime`]: crate::Error::Runtime
    /// [`Error::Protocol`]: crate::Error::Protocol
    /// [`Error::ResponseTooLarge`]: crate::Error::ResponseTooLarge
    /// [`Error::Validation`]: crate::Error::Validation
    /// [`Error::SandboxOperation`]: crate::Error::SandboxOperation
    /// [`Error::SessionNotFound`]: crate::Error::SessionNotFound
    /// [`Error::Network`]: crate::Error::Network
    /// [`Error::Timeout`]: crate::Error::Timeout
    pub fn invoke(&self, request: impl Serialize) -> Invoke {
        Invoke::in_session(self.clone(), &request)
    }
}
