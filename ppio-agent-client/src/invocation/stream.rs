//! The items of an agent's response.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ppio_agent_protocol::ErrorItem;
use serde_json::Value;
use tokio::time::Sleep;

use super::items::{ItemReader, StreamItem};
use crate::error::Error;
use crate::session::SandboxSession;
use crate::transport::Deadline;

const OPERATION: &str = "read stream";

/// The items of an agent's response, as they arrive.
///
/// A stream that ends early ends with an error: [`Error::Invocation`] if the agent reported one,
/// [`Error::StreamIdle`] if nothing arrived for too long, [`Error::Timeout`] at the deadline of the
/// request ([`InvocationRequest::timeout`](crate::InvocationRequest::timeout)), [`Error::Network`]
/// if the connection broke, even within a character. `None` follows it, and the last item of a
/// complete stream.
///
/// The stream keeps its session open. Dropping it closes the connection, which cancels the
/// invocation.
#[must_use = "nothing is read until the stream is polled"]
pub struct InvocationStream {
    /// `None` after the end.
    items: Option<ItemReader>,
    session: SandboxSession,
    request_id: String,
    deadline: Option<(Pin<Box<Sleep>>, Deadline)>,
    /// Whether the agent names its errors, so that an item that looks like one is an item.
    has_named_errors: bool,
}

impl InvocationStream {
    pub(super) fn new(items: ItemReader, session: SandboxSession, request_id: String) -> Self {
        Self {
            items: Some(items),
            session,
            request_id,
            deadline: None,
            has_named_errors: false,
        }
    }

    pub(super) fn with_deadline(self, deadline: Option<Deadline>) -> Self {
        Self {
            deadline: deadline.map(|deadline| (Box::pin(deadline.sleep()), deadline)),
            ..self
        }
    }

    pub(super) fn with_named_errors(self, has_named_errors: bool) -> Self {
        Self {
            has_named_errors,
            ..self
        }
    }

    /// Fails at the deadline, also if the agent always has a next item.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if let Some((sleep, deadline)) = &mut self.deadline
            && sleep.as_mut().poll(cx).is_ready()
        {
            return Err(deadline.error(OPERATION));
        }
        Ok(())
    }

    /// The next item; `None` after the last one. Cancel safe.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
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
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The session that the stream belongs to.
    pub fn session(&self) -> &SandboxSession {
        &self.session
    }
}

impl StreamItem {
    /// The value of the item, or the error that it reports.
    fn into_result(self, stream: &InvocationStream) -> Result<Value, Error> {
        let (session, request_id) = (&stream.session, &stream.request_id);
        if stream.has_named_errors && !self.is_error {
            return Ok(self.value);
        }
        let error = match ErrorItem::from_value(&self.value) {
            Some(error) => error,
            None if self.is_error => ErrorItem::new(match self.value {
                Value::String(text) => text,
                other => other.to_string(),
            }),
            None => return Ok(self.value),
        };
        let error = Error::Invocation {
            sandbox_id: session.sandbox_id().to_owned(),
            status: None,
            error_type: error.error_type,
            message: error.error,
            request_id: Some(error.request_id.unwrap_or_else(|| request_id.clone())),
        };
        Err(session.auth().redact_error(error))
    }
}

impl Stream for InvocationStream {
    type Item = Result<Value, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let expired = self.poll_deadline(cx);
        let Some(items) = &mut self.items else {
            return Poll::Ready(None);
        };
        let item = match expired {
            Ok(()) => ready!(items.poll_next(cx)),
            Err(expired) => Err(expired),
        };
        self.session.record_activity();
        let item = match item {
            Ok(Some(item)) => Some(item.into_result(&self)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
        if !matches!(item, Some(Ok(_))) {
            self.items = None;
        }
        Poll::Ready(item)
    }
}

impl fmt::Debug for InvocationStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvocationStream")
            .field("request_id", &self.request_id)
            .field("session", &self.session)
            .field("ended", &self.items.is_none())
            .finish_non_exhaustive()
    }
}
