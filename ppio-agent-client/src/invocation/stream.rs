//! The items of an agent's response.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ppio_agent_protocol::ErrorItem;
use serde_json::Value;
use tokio::time::Sleep;

use super::cancellation::CancelOnDrop;
use super::items::{ItemKind, ItemReader, StreamItem};
use super::resume::{Connected, Reconnecting, Resumption};
use super::run_end::{RunAnswer, RunEnd};
use crate::error::Error;
use crate::session::SandboxSession;
use crate::transport::Deadline;

const OPERATION: &str = "read stream";

/// The items of an agent's response, as they arrive.
///
/// A stream that ends early ends with an error: [`Error::Invocation`] if the agent reported one,
/// [`Error::StreamIdle`] if nothing arrived for too long, [`Error::Timeout`] at the deadline of the
/// request ([`InvocationRequest::timeout`](crate::InvocationRequest::timeout)),
/// [`Error::ResponseTooLarge`] if an item exceeds the size limit, [`Error::Protocol`] if a
/// resumable stream breaks the protocol, [`Error::Network`] if the connection broke, even within a
/// character. [`next`](Self::next) returns `None` after the error, and after the last item of a
/// complete stream.
///
/// The stream keeps its session open. Dropping the stream closes the connection, which cancels the
/// invocation.
///
/// A stream that is [resumable](crate::Invoke::resumable), or of a [`Run`](crate::Run), reconnects
/// instead of ending with [`Error::Network`] or [`Error::StreamIdle`], and dropping it does not
/// cancel the invocation.
#[must_use = "nothing is read until the stream is polled"]
pub struct InvocationStream {
    state: StreamState,
    session: SandboxSession,
    request_id: String,
    deadline: Option<(Pin<Box<Sleep>>, Deadline)>,
    /// Which items are errors of the agent.
    errors: ErrorItems,
    resumption: Option<Box<Resumption>>,
    /// How the run of a resumable stream has answered, after its end.
    answer: Option<AnswerShape>,
    /// Dropped after `session`: dropping the last handle of a session kills its sandbox.
    cancel: CancelOnDrop,
}

/// Which items of a stream are errors of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorItems {
    /// Items that look like an error.
    Found,
    /// Items that are marked as errors, because the agent marks its errors.
    Named,
    /// None: the protocol of the stream has errors of its own.
    None,
}

/// How a run has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerShape {
    Items,
    Value,
    Response,
}

#[derive(Debug)]
enum StreamState {
    Open(Box<ItemReader>),
    Reconnecting(Reconnecting),
    Ended,
}

impl InvocationStream {
    pub(super) fn new(items: ItemReader, session: SandboxSession, request_id: String) -> Self {
        Self {
            state: StreamState::Open(Box::new(items)),
            session,
            request_id,
            deadline: None,
            errors: ErrorItems::Found,
            resumption: None,
            answer: None,
            cancel: CancelOnDrop::disarmed(),
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
            errors: if has_named_errors {
                ErrorItems::Named
            } else {
                ErrorItems::Found
            },
            ..self
        }
    }

    /// Makes the stream return every item as it is, even if the item reports an error.
    pub(super) fn with_raw_items(self) -> Self {
        Self {
            errors: ErrorItems::None,
            ..self
        }
    }

    /// Returns an error once the deadline has passed, even if the agent never stops sending items.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if let Some((sleep, deadline)) = &mut self.deadline
            && sleep.as_mut().poll(cx).is_ready()
        {
            return Err(deadline.error(OPERATION));
        }
        Ok(())
    }

    /// Makes the stream, whose items have ids, reconnect after a broken connection.
    pub(super) fn set_resumption(&mut self, resumption: Resumption) {
        self.resumption = Some(Box::new(resumption));
    }

    /// Sets the guard that cancels the run if the stream is dropped before its end.
    pub(super) fn set_cancel(&mut self, cancel: CancelOnDrop) {
        self.cancel = cancel;
    }

    /// How the run of a resumable stream has answered; `None` before its end.
    pub(super) fn answer(&self) -> Option<AnswerShape> {
        self.answer
    }

    /// Returns the next item, or `None` after the last one. Cancel safe.
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

    /// The number of the last item, counted from 1 in the whole stream of the run;
    /// [`Run::stream_after`](crate::Run::stream_after) continues after it. `None` before the first
    /// item of the run, and for a stream that is not resumable.
    pub fn last_event_id(&self) -> Option<u64> {
        self.resumption
            .as_ref()
            .and_then(|resumption| resumption.last())
    }

    /// The session that the stream belongs to.
    pub fn session(&self) -> &SandboxSession {
        &self.session
    }
}

impl StreamItem {
    /// Returns the value of the item, or the error that the item reports.
    fn into_result(self, stream: &InvocationStream) -> Result<Value, Error> {
        let (session, request_id) = (&stream.session, &stream.request_id);
        match stream.errors {
            ErrorItems::None => return Ok(self.value),
            ErrorItems::Named if self.kind != ItemKind::Error => return Ok(self.value),
            ErrorItems::Named | ErrorItems::Found => {}
        }
        let error = match ErrorItem::from_value(&self.value) {
            Some(error) => error,
            None if self.kind == ItemKind::Error => ErrorItem::new(match self.value {
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

/// What a poll of the stream returns.
type Next = Option<Result<Value, Error>>;

impl InvocationStream {
    /// Handles an event of the open stream. Returns what the caller receives, or `None` if the
    /// caller receives nothing.
    fn take(&mut self, event: Result<Option<StreamItem>, Error>) -> Option<Next> {
        self.session.record_activity();
        let event = match (event, &mut self.resumption) {
            (Ok(Some(event)), _) => event,
            (Ok(None), _) => return Some(None),
            (Err(error), Some(resumption)) if is_interruption(&error) => {
                let reconnecting = resumption.reconnect(error);
                self.state = StreamState::Reconnecting(reconnecting);
                return None;
            }
            (Err(error), _) => return Some(Some(Err(error))),
        };
        if event.kind == ItemKind::End {
            return Some(self.take_end(event.value).transpose());
        }
        if let Some(resumption) = &mut self.resumption {
            match resumption.accept(event.id.as_deref()) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Some(Err(error))),
            }
        }
        Some(Some(event.into_result(self)))
    }

    /// Ends the stream, and returns the value of a run that has no items.
    fn take_end(&mut self, end: Value) -> Result<Option<Value>, Error> {
        self.end();
        let (sandbox_id, run_id) = (self.session.sandbox_id(), &self.request_id);
        let answer = RunEnd::from_value(end)?.into_answer(sandbox_id, run_id);
        let answer = answer.map_err(|error| self.session.auth().redact_error(error))?;
        let (kind, value) = match answer {
            RunAnswer::Items => (AnswerShape::Items, None),
            RunAnswer::Value(value) => (AnswerShape::Value, Some(value)),
            RunAnswer::Response => (AnswerShape::Response, None),
        };
        self.answer = Some(kind);
        Ok(value)
    }

    /// Takes over a new connection, or the error of an outage that has lasted too long.
    fn reconnected(&mut self, outcome: Connected) -> Option<Next> {
        let (items, attempts) = match outcome {
            Ok(connected) => connected,
            Err(error) => return Some(Some(Err(error))),
        };
        if let Some(resumption) = &mut self.resumption {
            resumption.reconnected(attempts);
        }
        self.state = StreamState::Open(Box::new(items));
        None
    }

    fn end(&mut self) {
        self.state = StreamState::Ended;
        self.cancel.disarm();
    }
}

impl Stream for InvocationStream {
    type Item = Result<Value, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let is_ended = matches!(self.state, StreamState::Ended);
        if !is_ended && let Err(expired) = self.poll_deadline(cx) {
            self.end();
            return Poll::Ready(Some(Err(expired)));
        }
        loop {
            let step = match &mut self.state {
                StreamState::Ended => return Poll::Ready(None),
                StreamState::Open(items) => {
                    let event = ready!(items.poll_next(cx));
                    self.take(event)
                }
                StreamState::Reconnecting(reconnecting) => {
                    let outcome = ready!(reconnecting.as_future().poll(cx));
                    self.reconnected(outcome)
                }
            };
            if let Some(next) = step {
                if !matches!(next, Some(Ok(_))) {
                    self.end();
                }
                return Poll::Ready(next);
            }
        }
    }
}

/// Whether the rest of a stream may be received over another connection.
fn is_interruption(error: &Error) -> bool {
    matches!(error, Error::Network { .. } | Error::StreamIdle { .. })
}

impl fmt::Debug for InvocationStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvocationStream")
            .field("request_id", &self.request_id)
            .field("session", &self.session)
            .field("ended", &matches!(self.state, StreamState::Ended))
            .finish_non_exhaustive()
    }
}
