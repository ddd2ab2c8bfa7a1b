//! The deadlines of a connection, with one timer for all of them.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::limits::{ConnectionError, Limits};
use crate::progress::{Phase, Progress};

/// How long a connection with frequent requests keeps hyper's buffers after a response.
pub(crate) const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long discarding and lingering continue at most after a shutdown has begun.
const SHUTDOWN_LINGER: Duration = Duration::from_secs(1);

/// What happens at a deadline.
#[derive(Debug)]
pub(crate) enum Expired {
    /// The connection stops waiting for the rest of the request body.
    Body,
    /// hyper's buffers are released.
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
    /// The phase and the request number at the last poll.
    phase: (Phase, u16),
    /// When `phase` last changed.
    since: Instant,
    shutdown: Option<Instant>,
    /// Whether the timer is set.
    is_set: bool,
    /// The task that the timer wakes.
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

    /// Records that a shutdown has begun.
    pub(crate) fn shut_down(&mut self) {
        self.shutdown = Some(Instant::now());
    }

    /// Waits for the next deadline. `body` is the deadline of discarding a body; `has_buffers` is
    /// whether hyper's buffers exist.
    pub(crate) fn poll(
        &mut self,
        progress: &Progress,
        body: Option<Instant>,
        has_buffers: bool,
        timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Expired> {
        let phase = (progress.phase(), progress.request_number());
        if phase != self.phase {
            self.phase = phase;
            self.since = Instant::now();
        }
        let next = self.next(progress, body, has_buffers);
        let is_late = next.is_some_and(|(deadline, _)| self.is_late(deadline, &timer));
        let is_registered = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_registered && !is_late && !timer.is_elapsed() {
            return Poll::Pending;
        }
        self.poll_timer(next, timer, cx)
    }

    /// Sets the timer, and waits for it. Few polls of a connection call this function.
    fn poll_timer(
        &mut self,
        next: Option<(Instant, Reason)>,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Expired> {
        loop {
            if let Some((deadline, _)) = next
                && self.is_late(deadline, &timer)
            {
                timer.as_mut().reset(deadline.into());
                self.is_set = true;
            }
            if !self.is_set {
                return Poll::Pending;
            }
            if timer.as_mut().poll(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.is_set = false;
            self.waker = None;
            if let Some((deadline, reason)) = next
                && deadline <= Instant::now()
            {
                return Poll::Ready(self.expired(reason));
            }
        }
    }

    /// Whether the timer ends after the deadline. A timer that ends before the deadline is set
    /// again when it ends, which happens less often than a request begins.
    fn is_late(&self, deadline: Instant, timer: &Sleep) -> bool {
        !self.is_set || timer.deadline() > deadline.into()
    }

    /// Returns the next deadline, if there is one, and its reason.
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
        let mut next = match self.phase.0 {
            Phase::Idle if has_buffers && RELEASE_TIMEOUT < keep_alive => {
                Some((self.since + RELEASE_TIMEOUT, Reason::Buffers))
            }
            Phase::Idle => Some((self.since + keep_alive, Reason::Idle)),
            Phase::Fresh | Phase::Head => {
                Some((self.since + self.limits.header_timeout, Reason::Header))
            }
            Phase::Handling | Phase::Responding | Phase::Flushing => None,
        };
        // The rare deadlines come last, because every request causes several polls.
        let mut add = |deadline, reason| {
            if next.is_none_or(|(earliest, _)| deadline < earliest) {
                next = Some((deadline, reason));
            }
        };
        if let Some(until) = body {
            add(capped(until), Reason::Body);
        }
        if let Some(timeout) = self.limits.write_timeout
            && let Some(since) = progress.blocked_since()
        {
            add(since + timeout, Reason::Write);
        }
        next
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
