//! The data that an invocation passes to the user function.

use std::future::Future;
use std::time::Instant;

use tracing::{Instrument as _, Span};

use super::event_buffer::{EventBuffer, RunOn};
use super::executor::{HandlerFuture, Job};
use super::reply::Outcome;
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::requested_format::RequestedFormat;

/// One call of the user function.
pub struct Call {
    pub(crate) context: RequestContext,
    pub(crate) format: RequestedFormat,
    pub(crate) span: Span,
    pub(crate) started: Instant,
}

impl Call {
    /// Creates a job from the future that `run` returns.
    pub(super) fn start<F, R>(self, run_on: RunOn, run: F) -> Job
    where
        F: FnOnce(EventBuffer) -> R,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let buffer = EventBuffer::new(self.format, run_on, self.context.trace().clone());
        let future = AgentRuntimeContext::scope(self.context, run(buffer.clone()));
        let future: HandlerFuture = if self.span.is_none() {
            Box::pin(future)
        } else {
            Box::pin(future.instrument(self.span))
        };
        Job { future, buffer }
    }
}
