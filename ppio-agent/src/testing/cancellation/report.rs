//! The results of a cancellation test: the report and the error.

use std::fmt;
use std::io;
use std::time::Duration;

use super::source_line::SourceLine;

/// The report of [`CancelAtEveryAwait::run`](super::CancelAtEveryAwait::run).
#[derive(Debug, Clone)]
#[must_use = "a report lists what was left behind"]
pub struct CancellationReport {
    pub(super) await_points: usize,
    pub(super) tried: usize,
    pub(super) left_behind: Vec<LeftBehind>,
}

impl CancellationReport {
    /// Returns the number of await points of the invocation.
    pub fn await_points(&self) -> usize {
        self.await_points
    }

    /// Returns the number of await points at which an invocation was dropped: all of them, or those
    /// up to the one after which a check or the next invocation did not finish.
    pub fn tried(&self) -> usize {
        self.tried
    }

    /// Returns the await points at which a dropped invocation left something behind.
    pub fn left_behind(&self) -> &[LeftBehind] {
        &self.left_behind
    }

    /// Panics with the report if an invocation left something behind.
    ///
    /// # Panics
    /// If an invocation left something behind.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.left_behind.is_empty(), "{self}");
    }

    /// Adds texts about an await point. If the last entry is about the same point, the texts are
    /// appended to that entry.
    pub(super) fn add(&mut self, await_point: usize, line: Option<SourceLine>, what: Vec<String>) {
        if what.is_empty() {
            return;
        }
        match self.left_behind.last_mut() {
            Some(last) if last.await_point == await_point => last.what.extend(what),
            _ => self.left_behind.push(LeftBehind {
                await_point,
                line,
                what,
            }),
        }
    }
}

impl fmt::Display for CancellationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (points, bad) = (self.await_points, self.left_behind.len());
        if bad == 0 {
            return write!(
                f,
                "an invocation dropped at any of {points} await points leaves nothing behind"
            );
        }
        write!(
            f,
            "an invocation leaves something behind when it is dropped at {bad} of {points} await \
             points"
        )?;
        for left in &self.left_behind {
            write!(f, "\n  {left}")?;
        }
        if self.tried < points {
            write!(
                f,
                "\n  await points {} to {points} were not tried",
                self.tried + 1
            )?;
        }
        Ok(())
    }
}

/// What an invocation that was dropped at one await point left behind.
#[derive(Debug, Clone)]
pub struct LeftBehind {
    await_point: usize,
    line: Option<SourceLine>,
    what: Vec<String>,
}

impl LeftBehind {
    /// Returns the number of the await point, from 1: how often the future was polled.
    pub fn await_point(&self) -> usize {
        self.await_point
    }

    /// Returns the line at which the future waited.
    ///
    /// Returns `None` in a build without line tables, for a future that stores no waker, and if
    /// only the next invocation failed.
    pub fn line(&self) -> Option<&SourceLine> {
        self.line.as_ref()
    }

    /// Returns what was left behind, one text for each problem.
    pub fn what(&self) -> &[String] {
        &self.what
    }
}

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", Point(self.await_point, self.line.as_ref()))?;
        let what = self.what.iter().map(|text| text.replace('\n', "\n    "));
        f.write_str(&what.collect::<Vec<_>>().join("; "))
    }
}

/// The number and the line of an await point, for texts.
pub(super) struct Point<'a>(pub(super) usize, pub(super) Option<&'a SourceLine>);

impl fmt::Display for Point<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, line) = self;
        match line {
            Some(line) => write!(f, "await point {number} ({line})"),
            None => write!(f, "await point {number}"),
        }
    }
}

/// The error of a cancellation test that could not be completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancellationError {
    /// The invocation has more await points than the limit.
    #[error(
        "the invocation has more than {limit} await points; make its input smaller, or raise the \
         limit with `max_await_points`"
    )]
    TooManyAwaitPoints {
        /// The limit.
        limit: usize,
    },
    /// The invocation does not take the same path each time.
    #[error(
        "the invocation does not take the same path each time: it was polled {expected} times, \
         but {found} times in a later run; do one-time setup in `before`, and replace threads, \
         random choices and the network by something that is the same in each run"
    )]
    NotDeterministic {
        /// The number of await points of the first run.
        expected: usize,
        /// The number of await points of another run.
        found: usize,
    },
    /// The invocation or a closure of the test waits for something that does not happen, although
    /// no invocation was dropped before.
    #[error(
        "the test waits for more than {after:?} at {}; pause the clock of the runtime if the \
         wait is for a timer, or raise the limit with `stuck_after`",
        Point(*.await_point, .line.as_ref())
    )]
    Stuck {
        /// The number of the await point.
        await_point: usize,
        /// The line at which the invocation or the closure waits.
        line: Option<SourceLine>,
        /// The limit.
        after: Duration,
    },
    /// The test was started inside a tokio runtime, whose thread it would block.
    #[error(
        "cannot run the test inside a tokio runtime; use a `#[test]` function, not a \
         `#[tokio::test]`"
    )]
    InsideRuntime,
    /// The runtime has several threads.
    #[error("the runtime has several threads; create it with `Builder::new_current_thread`")]
    MultiThread,
    /// The runtime, or the thread that measures the time, cannot be created.
    #[error("cannot create the runtime")]
    Runtime(#[source] io::Error),
}
