//! The deadlines of a connection, with one timer for all of them.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::limits::{ConnectionError, Limits};
use crate::progress::{Phase, Progress};

/// How long a connection with frequent requests keeps hyper's buffers after a response.
pub(crate) const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long discarding and lingering go on after a shutdown has begun.
const SHUTDOWN_LINGER: Duration = Duration::from_secs(1);

/// What happens at a deadline.
#[derive(Debug)]
pub(crate) enum Expired {
    /// The rest of the request body is not waited for any longer.
    Body,
    /// hyper's buffers are not kept any longer.
    Buffers,
    /// The connection ends.
    Connection(Result<(), ConnectionError>),
}

#[derive(Debug, Clone, Copy)]
enum Reason {
    Body,
    Buffers,
    Linger,
    Idle,
    Header,
    Write,
}

/// The deadlines of a connection.
#[derive(Debug)]
pub(crate) struct Deadlines<'a> {
    limits: &'a Limits,
    /// The phase and request as of the last poll, and since when.
    phase: (Phase, u16),
    since: Instant,
    shutdown: Option<Instant>,
    /// Whether the timer is set, and the task that it wakes.
    is_set: bool,
    waker: Option<Waker>,
}

impl<'a> Deadlines<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            phase: (Phase::Fresh, 0),
            since: Instant::now(),
            shutdown: None,
            is_set: false,
            waker: None,
        }
    }

    /// A shutdown has begun.
    pub(crate) fn shut_down(&mut self) {
        self.shutdown = Some(Instant::now());
    }

    /// Waits for the next deadline. `body` is the one of discarding a body; `has_buffers` is whether
    /// hyper's buffers exist.
    pub(crate) fn poll(
        &mut self,
        progress: &Progress,
        body: Option<Instant>,
        has_buffers: bool,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Expired> {
        let phase = (progress.phase(), progress.request_number());
        if phase != self.phase {
            self.phase = phase;
            self.since = Instant::now();
        }
        loop {
            let next = self.next(progress, body, has_buffers);
            if let Some((deadline, _)) = next {
                let deadline = deadline.into();
                // A timer that ends too early is set again then, which happens less often than a
                // request begins.
                if !self.is_set || timer.deadline() > deadline {
                    timer.as_mut().reset(deadline);
                    self.is_set = true;
                    self.waker = None;
                }
            }
            if !self.is_set {
                return Poll::Pending;
            }
            let is_registered = self
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()));
            if is_registered && !timer.is_elapsed() {
                return Poll::Pending;
            }
            if timer.as_mut().poll(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.is_set = false;
            if let Some((deadline, reason)) = next
                && deadline <= Instant::now()
            {
                return Poll::Ready(self.expired(reason));
            }
        }
    }

    /// The first deadline.
    fn next(
        &self,
        progress: &Progress,
        body: Option<Instant>,
        has_buffers: bool,
    ) -> Option<(Instant, Reason)> {
        let capped = |deadline: Instant| match self.shutdown {
            Some(shutdown) => deadline.min(shutdown + SHUTDOWN_LINGER),
            None => deadline,
        };
        if let Some(until) = progress.lingers_until() {
            return Some((capped(until), Reason::Linger));
        }
        let keep_alive = self.limits.keep_alive_timeout;
        let phase = match self.phase.0 {
            Phase::Idle if has_buffers && RELEASE_TIMEOUT < keep_alive => {
                Some((self.since + RELEASE_TIMEOUT, Reason::Buffers))
            }
            Phase::Idle => Some((self.since + keep_alive, Reason::Idle)),
            Phase::Fresh | Phase::Head => {
                Some((self.since + self.limits.header_timeout, Reason::Header))
            }
            Phase::Handling | Phase::Responding | Phase::Flushing => None,
        };
        let body = body.map(|until| (capped(until), Reason::Body));
        let write = self
            .limits
            .write_timeout
            .and_then(|timeout| Some((progress.blocked_since()? + timeout, Reason::Write)));
        [phase, body, write]
            .into_iter()
            .flatten()
            .min_by_key(|(deadline, _)| *deadline)
    }

    fn expired(&self, reason: Reason) -> Expired {
        Expired::Connection(match reason {
            Reason::Body => return Expired::Body,
            Reason::Buffers => return Expired::Buffers,
            Reason::Linger | Reason::Idle => Ok(()),
            Reason::Header => Err(ConnectionError::HeaderTimeout(self.limits.header_timeout)),
            Reason::Write => Err(ConnectionError::WriteTimeout(
                self.limits.write_timeout.unwrap_or_default(),
            )),
        })
    }
}
