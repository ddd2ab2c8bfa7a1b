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
    /// [`Error::Invocation`] if the agent fails, [`Error::SessionNotFound`] if the sandbox is
    /// gone, [`Error::Network`] and [`Error::Timeout`].
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
    /// [`Error::SessionNotFound`]: crate::Error::SessionNotFound
    /// [`Error::Network`]: crate::Error::Network
    /// [`Error::Timeout`]: crate::Error::Timeout
    pub fn invoke(&self, request: impl Serialize) -> Invoke {
        Invoke::in_session(self.clone(), &request)
    }
}
