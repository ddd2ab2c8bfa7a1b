//! Drops an invocation at every await point, and reports what the invocation leaves behind.
//!
//! `search` runs the invocations. `driver` polls an invocation up to one of its await points;
//! `poll_trace` and `source_line` find the line of that point in the code. `step` contains the
//! closures of the test's author, `report` the results.

mod driver;
mod poll_trace;
mod report;
mod search;
mod source_line;
mod step;

use std::fmt::{self, Debug};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use tokio::runtime::{self, Handle, Runtime};

use self::driver::Driver;
pub(super) use self::poll_trace::traced_handler;
pub use self::report::{CancellationError, CancellationReport, LeftBehind};
pub use self::source_line::SourceLine;
use self::step::{Assertions, AsyncStep, Idle, StateCheck, Unchanged};
use super::TestAgent;

/// The default of [`CancelAtEveryAwait::max_await_points`].
const MAX_AWAIT_POINTS: usize = 1_000;
/// The default of [`CancelAtEveryAwait::stuck_after`].
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Returns a test that drops an invocation at every await point, as a caller that disconnects does,
/// and reports what the invocation leaves behind.
///
/// The closure creates the future of one invocation: a call of an `async fn`, or a request to a
/// [`TestAgent`]. The invocation is first run to its end to count its await points, which are the
/// polls that return `Pending`. Then, for each await point, a new invocation is run up to that
/// point and dropped. After that, the test checks for the following:
///
/// - tasks that the invocation has spawned and that still run, unless
///   [`tasks_may_outlive`](CancelAtEveryAwait::tasks_may_outlive) was called;
/// - a state that has changed ([`unchanged`](CancelAtEveryAwait::unchanged)), assertions that fail
///   ([`check`](CancelAtEveryAwait::check)), and an agent that is still busy
///   ([`leaves_idle`](CancelAtEveryAwait::leaves_idle));
/// - a later invocation that waits forever, for example for a lock, and a panic in a `Drop`.
///
/// ```
/// use std::sync::Mutex;
/// use ppio::testing::cancel_at_every_await;
///
/// /// Takes a ticket, and puts it back when the work is done: not if it is cancelled.
/// async fn with_ticket(tickets: &Mutex<u32>) {
///     *tickets.lock().unwrap() -= 1;
///     tokio::task::yield_now().await;
///     *tickets.lock().unwrap() += 1;
/// }
///
/// let tickets = Mutex::new(5);
/// let report = cancel_at_every_await(async || with_ticket(&tickets).await)
///     .unchanged(async || *tickets.lock().unwrap())
///     .run()
///     .unwrap();
/// assert_eq!(report.await_points(), 1);
/// assert_eq!(report.left_behind()[0].what(), ["the state was 5 and is 4"]);
/// ```
///
/// In a `#[test]` function, [`assert_clean`](CancelAtEveryAwait::assert_clean) does the same as
/// [`run`](CancelAtEveryAwait::run), and panics with the report if something was left behind. The
/// report contains the line of each await point at which an invocation left something behind. To
/// drop an invocation between the items of a stream as well, read the stream with [`drain`], or
/// call [`await_point`] after each item:
///
/// ```
/// use ppio::testing::{TestAgent, await_point, cancel_at_every_await};
/// use ppio::{AgentRuntimeApp, BoxError, Sse, Stream, Value, json, try_stream};
///
/// fn numbers() -> impl Stream<Item = Result<u32, BoxError>> {
///     try_stream! {
///         yield 1;
///         yield 2;
///     }
/// }
///
/// # fn main() -> Result<(), ppio::StartError> {
/// let app = AgentRuntimeApp::builder()
///     .entrypoint(async |_: Value| Sse(numbers()))
///     .build()?;
/// let agent = TestAgent::new(app);
/// cancel_at_every_await(async || {
///     let mut reply = agent.invoke(&json!({})).await;
///     while reply.next_item::<Value>().await.is_some() {
///         await_point().await;
///     }
/// })
/// // What happens once is not cancelled.
/// .before(async || agent.start().await.unwrap())
/// .leaves_idle(&agent)
/// .assert_clean();
/// # Ok(()) }
/// ```
///
/// If nothing else affects them, the same closures always lead to the same report: an invocation
/// that takes another path in a later run is an error. A plain `fn` or an iterator runs on a
/// blocking thread, where there is no future to drop.
pub fn cancel_at_every_await<'a, F, T>(invocation: F) -> CancelAtEveryAwait<'a>
where
    F: AsyncFn() -> T + 'a,
{
    CancelAtEveryAwait {
        invocation: Box::new(async move || {
            invocation().await;
        }),
        before: Vec::new(),
        checks: Vec::new(),
        max_await_points: MAX_AWAIT_POINTS,
        stuck_after: STUCK_AFTER,
        task_grace: Some(Duration::ZERO),
        runtime: None,
    }
}

/// A test that drops an invocation at every await point; see [`cancel_at_every_await`].
#[must_use = "nothing is run before `run` or `assert_clean`"]
pub struct CancelAtEveryAwait<'a> {
    invocation: Box<dyn AsyncStep + 'a>,
    before: Vec<Box<dyn AsyncStep + 'a>>,
    checks: Vec<Box<dyn StateCheck + 'a>>,
    max_await_points: usize,
    stuck_after: Duration,
    /// How long spawned tasks may still run after an invocation was dropped; `None` for no limit.
    task_grace: Option<Duration>,
    runtime: Option<Runtime>,
}

impl<'a> CancelAtEveryAwait<'a> {
    /// Runs a step before each invocation. The step is not cancelled. It can fill a cache, start an
    /// agent or reset a state.
    pub fn before(mut self, step: impl AsyncFn() + 'a) -> Self {
        self.before.push(Box::new(step));
        self
    }

    /// Checks that a state is the same before an invocation and after the invocation was dropped.
    pub fn unchanged<S>(mut self, state: impl AsyncFn() -> S + 'a) -> Self
    where
        S: PartialEq + Debug + 'a,
    {
        self.checks.push(Box::new(Unchanged::new(state)));
        self
    }

    /// Runs assertions after an invocation was dropped. The report contains the message of a panic.
    pub fn check(mut self, assertions: impl AsyncFn() + 'a) -> Self {
        self.checks.push(Box::new(Assertions(assertions)));
        self
    }

    /// Checks that an agent counts no invocation and no background task as running after an
    /// invocation was dropped, so that the platform can stop the agent. The report names the tasks.
    pub fn leaves_idle(mut self, agent: &TestAgent) -> Self {
        self.checks.push(Box::new(Idle(agent.clone())));
        self
    }

    /// Allows spawned tasks to continue after the invocation was dropped, such as tasks that finish
    /// its work.
    pub fn tasks_may_outlive(mut self) -> Self {
        self.task_grace = None;
        self
    }

    /// Sets how long spawned tasks may still run, by the clock of the runtime; by default not at
    /// all. Aborted tasks, and tasks that end without waiting for anything, have time to end in any
    /// case.
    pub fn task_grace(mut self, grace: Duration) -> Self {
        self.task_grace = Some(grace);
        self
    }

    /// Sets the maximum number of await points of an invocation; by default 1,000. The number of
    /// polls of all invocations together is about half the square of the number of await points.
    pub fn max_await_points(mut self, limit: usize) -> Self {
        self.max_await_points = limit;
        self
    }

    /// Sets how long an invocation may wait at an await point, in real time; by default 10 s.
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.stuck_after = limit;
        self
    }

    /// Sets the tokio runtime; by default a current-thread runtime with the real clock.
    ///
    /// Use a paused clock for an invocation that waits for a timer. A paused clock advances
    /// immediately when the invocation and all tasks wait.
    /// `Builder::new_current_thread().enable_all().start_paused(true)` builds a runtime with a
    /// paused clock, if the `[dev-dependencies]` have the feature `test-util` of tokio.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Runs the test, and panics with the report if an invocation left something behind.
    ///
    /// # Panics
    /// If an invocation left something behind, and if [`run`](Self::run) returns an error or
    /// panics.
    #[track_caller]
    pub fn assert_clean(self) {
        match self.run() {
            Ok(report) => report.assert_clean(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs the test.
    ///
    /// # Errors
    /// If the invocation has too many await points or is not deterministic; if the invocation or a
    /// closure of the test waits for longer than [`stuck_after`](Self::stuck_after) before an
    /// invocation was dropped; if this method is called inside a tokio runtime; or if the runtime
    /// has several threads, or the runtime or a thread cannot be created.
    ///
    /// # Panics
    /// If the invocation, or a closure of [`before`](Self::before) or
    /// [`unchanged`](Self::unchanged), panics before an invocation was dropped.
    pub fn run(mut self) -> Result<CancellationReport, CancellationError> {
        if Handle::try_current().is_ok() {
            return Err(CancellationError::InsideRuntime);
        }
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(CancellationError::Runtime)?,
        };
        let driver = Driver::new(runtime, self.stuck_after)?;
        let report = self.search(&driver);
        driver.end();
        report
    }
}

impl Debug for CancelAtEveryAwait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelAtEveryAwait").finish_non_exhaustive()
    }
}

/// Returns `Pending` on the first poll: an explicit await point.
///
/// [`cancel_at_every_await`] drops an invocation at this point as well, for example after an item
/// of a stream.
pub async fn await_point() {
    let mut polled = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Reads a stream to its end, with an [`await_point`] after each item.
pub async fn drain(stream: impl Stream) {
    let mut stream = pin!(stream);
    while poll_fn(|cx| stream.as_mut().poll_next(cx)).await.is_some() {
        await_point().await;
    }
}
