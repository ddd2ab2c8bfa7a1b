//! An answer, item by item.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ppio_agent_protocol::ErrorItem;
use serde_json::Value;

use super::items::{Item, Source};
use crate::error::Error;
use crate::session::SandboxSession;

/// The items of an agent's answer, as they come.
///
/// How it ends is never in doubt. After a clean end there is nothing more. Otherwise the last item
/// is an error: [`Error::Invocation`] if the agent reported one, [`Error::StreamIdle`] if it fell
/// silent, [`Error::Network`] if the connection was cut, were it in the middle of a character.
///
/// The stream keeps its session open. Dropping it closes the connection, which tells the agent to
/// stop.
#[must_use = "a stream is read by polling it"]
pub struct InvocationStream {
    /// `None` once it is over.
    source: Option<Source>,
    session: SandboxSession,
    request_id: String,
}

impl InvocationStream {
    pub(super) fn new(source: Source, session: SandboxSession, request_id: String) -> Self {
        Self {
            source: Some(source),
            session,
            request_id,
        }
    }

    /// The next item; `None` after the last one. Cancel safe.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let mut stream = client.invoke_agent_stream("tmpl_1", "hi").await?;
    /// while let Some(item) = stream.next().await {
    ///     println!("{}", item?);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn next(&mut self) -> Option<Result<Value, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The id under which the agent logs this call.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let stream = client.invoke_agent_stream("tmpl_1", "hi").await?;
    /// println!("request {}", stream.request_id());
    /// # Ok(()) });
    /// ```
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The session it belongs to.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let stream = client.invoke_agent_stream("tmpl_1", "hi").await?;
    /// println!("sandbox {}", stream.session().sandbox_id());
    /// # Ok(()) });
    /// ```
    pub fn session(&self) -> &SandboxSession {
        &self.session
    }

    /// The item, or the error that it stands for.
    fn into_result(&self, item: Item) -> Result<Value, Error> {
        let error = match ErrorItem::from_value(&item.value) {
            Some(error) => error,
            None if item.is_error => ErrorItem::new(match item.value {
                Value::String(text) => text,
                other => other.to_string(),
            }),
            None => return Ok(item.value),
        };
        let error = Error::Invocation {
            sandbox_id: self.session.sandbox_id().to_owned(),
            status: None,
            error_type: error.error_type,
            message: error.error,
            request_id: Some(error.request_id.unwrap_or_else(|| self.request_id.clone())),
        };
        Err(error.redacted(&self.session.auth()))
    }
}

impl Stream for InvocationStream {
    type Item = Result<Value, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(None);
        };
        let item = ready!(source.poll_next(cx));
        self.session.touch();
        let item = match item {
            Ok(Some(item)) => Some(self.into_result(item)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
        if !matches!(item, Some(Ok(_))) {
            self.source = None;
        }
        Poll::Ready(item)
    }
}

impl fmt::Debug for InvocationStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvocationStream")
            .field("request_id", &self.request_id)
            .field("session", &self.session)
            .field("over", &self.source.is_none())
            .finish()
    }
}
