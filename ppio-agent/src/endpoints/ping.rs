//! `GET /ping`: the health check.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use ppio_agent_protocol::{PingResponse, PingStatus};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::exchange::body::Response;
use crate::exchange::error::{Error, panic_message};
use crate::exchange::json;
use crate::lifecycle::State;
use crate::lifecycle::states::{StateLookup, StateSlot};
use crate::stalls::Watch;

/// The time after which a health check has failed; platforms do not wait longer either.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of synchronous checks that occupy a thread at the same time, including checks
/// that never return.
const MAX_THREADS: usize = 8;

/// A type that a `#[ppio::ping]` function may return: a [`PingStatus`], a [`PingResponse`], a
/// [`Value`] with a `status`, or any of them in a `Result`.
///
/// A `time_of_last_update` in the returned value is ignored: the runtime sets this member to the
/// time at which the status last changed.
#[diagnostic::on_unimplemented(
    message = "a ping cannot return `{Self}`",
    label = "not a health status",
    note = "help: return `ppio::PingStatus`, `ppio::PingResponse`, a `ppio::Value` object with a `status`, or a `Result` of one of these with an error that implements `std::fmt::Display`"
)]
pub trait IntoPing {
    /// Returns the answer of the check.
    ///
    /// # Errors
    /// Returns the text of the error if the check failed, or if the value is not a health status.
    fn into_ping(self) -> Result<PingResponse, String>;
}

#[diagnostic::do_not_recommend]
impl IntoPing for PingStatus {
    fn into_ping(self) -> Result<PingResponse, String> {
        Ok(self.into())
    }
}

#[diagnostic::do_not_recommend]
impl IntoPing for PingResponse {
    fn into_ping(self) -> Result<PingResponse, String> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoPing for Value {
    fn into_ping(mut self) -> Result<PingResponse, String> {
        if let Some(fields) = self.as_object_mut() {
            fields.remove("time_of_last_update");
        }
        serde_json::from_value(self).map_err(|error| format!("not a health status: {error}"))
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoPing, E: Display> IntoPing for Result<T, E> {
    fn into_ping(self) -> Result<PingResponse, String> {
        self.map_err(|error| error.to_string())?.into_ping()
    }
}

/// Converts the return value of an annotated function to the answer of the check.
pub fn into_ping<A: IntoPing>(answer: A) -> Result<PingResponse, String> {
    answer.into_ping()
}

/// Creates a health check from an annotated `async` function.
pub fn ping_on_worker<F, R>(ping: F) -> PingHandler
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<PingResponse, String>> + Send + 'static,
{
    PingHandler::on_worker(ping)
}

/// Creates a health check from an annotated plain function.
pub fn ping_on_blocking_thread<F>(ping: F) -> PingHandler
where
    F: Fn() -> Result<PingResponse, String> + Send + Sync + 'static,
{
    PingHandler::on_blocking_thread(ping)
}

type PingFuture = Pin<Box<dyn Future<Output = Result<PingResponse, String>> + Send>>;

/// A user's health check.
#[derive(Clone)]
pub enum PingHandler {
    /// An `async` function.
    Async(Arc<dyn Fn() -> PingFuture + Send + Sync>),
    /// A plain function, and the threads that its calls may occupy.
    Blocking(
        Arc<dyn Fn() -> Result<PingResponse, String> + Send + Sync>,
        Arc<Semaphore>,
    ),
}

impl PingHandler {
    /// Returns the health check of an `async` function.
    pub fn on_worker<F, R>(ping: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: IntoPing> + Send + 'static,
    {
        Self::Async(Arc::new(move || {
            let future = ping();
            Box::pin(async move { future.await.into_ping() })
        }))
    }

    /// Returns the health check of a plain function.
    pub fn on_blocking_thread<F, R>(ping: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: IntoPing,
    {
        let threads = Arc::new(Semaphore::new(MAX_THREADS));
        Self::Blocking(Arc::new(move || ping().into_ping()), threads)
    }

    async fn check(&self, watch: Watch) -> Result<PingResponse, String> {
        match self {
            // The function runs in a task, which turns a panic into an error.
            Self::Async(ping) => {
                let ping = Arc::clone(ping);
                join(tokio::spawn(async move {
                    // The function is called inside the future, so that all of its code is watched.
                    watch.run(b"", async move { ping().await }).await
                }))
                .await
            }
            Self::Blocking(ping, threads) => {
                let permit = Arc::clone(threads).acquire_owned().await;
                let ping = Arc::clone(ping);
                join(tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    ping()
                }))
                .await
            }
        }
    }
}

/// Waits for the task of a check, and aborts the task when this future is dropped.
async fn join(
    task: tokio::task::JoinHandle<Result<PingResponse, String>>,
) -> Result<PingResponse, String> {
    struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);
    impl<T> Drop for AbortOnDrop<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = AbortOnDrop(task);
    match (&mut task.0).await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => {
                // The text of the panic may contain secrets, so it is not in the response.
                let panic = panic_message(panic.as_ref());
                tracing::error!(panic, "the health check panicked");
                Err("the health check panicked; the log has the reason".to_owned())
            }
            Err(_) => Err("the health check was cancelled".to_owned()),
        },
    }
}

/// A closure or function that can be an asynchronous ping of the builder: it takes up to four
/// [`State`]s. `Marker` distinguishes the signatures; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a ping",
    label = "not a ping",
    note = "help: take nothing or up to four parameters of type `ppio::State<T>`, be `async`, and return a `ppio::PingStatus` or another `ppio::IntoPing`"
)]
pub trait AsyncPing<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_handler(self, states: &mut StateLookup<'_>) -> PingHandler;
}

/// A closure or function that can be a synchronous ping of the builder: it takes up to four
/// [`State`]s. `Marker` distinguishes the signatures; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a ping that blocks",
    label = "not a ping that blocks",
    note = "help: take nothing or up to four parameters of type `ppio::State<T>`, and return a `ppio::PingStatus` or another `ppio::IntoPing`"
)]
pub trait BlockingPing<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_handler(self, states: &mut StateLookup<'_>) -> PingHandler;
}

macro_rules! pings {
    ($(($($state:ident $slot:ident),*))*) => {$(
        impl<F, R, $($state),*> AsyncPing<($(State<$state>,)*)> for F
        where
            F: Fn($(State<$state>),*) -> R + Send + Sync + 'static,
            R: Future<Output: IntoPing> + Send + 'static,
            $($state: Send + Sync + 'static,)*
        {
            #[allow(unused_variables, reason = "without states")]
            fn into_handler(self, states: &mut StateLookup<'_>) -> PingHandler {
                $(let $slot: StateSlot<$state> = states.slot();)*
                PingHandler::on_worker(move || self($($slot.state()),*))
            }
        }

        impl<F, R, $($state),*> BlockingPing<($(State<$state>,)*)> for F
        where
            F: Fn($(State<$state>),*) -> R + Send + Sync + 'static,
            R: IntoPing,
            $($state: Send + Sync + 'static,)*
        {
            #[allow(unused_variables, reason = "without states")]
            fn into_handler(self, states: &mut StateLookup<'_>) -> PingHandler {
                $(let $slot: StateSlot<$state> = states.slot();)*
                PingHandler::on_blocking_thread(move || self($($slot.state()),*))
            }
        }
    )*};
}

pings! {
    ()
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}

/// The last status, and the time of the first health check that returned this status, for
/// AgentCore's `time_of_last_update`. Before the first check, the time is that of the start.
struct LastChange(std::sync::Mutex<(PingStatus, SystemTime)>);

impl LastChange {
    fn new() -> Self {
        Self((PingStatus::Healthy, SystemTime::now()).into())
    }

    fn update(&self, status: PingStatus) -> SystemTime {
        let mut last = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.0 != status {
            *last = (status, SystemTime::now());
        }
        last.1
    }
}

/// The endpoint `GET /ping`.
pub(crate) struct Ping {
    handler: Option<PingHandler>,
    /// Watches an `async` health check while its future is polled.
    watch: Watch,
    /// Whether AgentCore's rules apply: the status of the check is returned even while invocations
    /// or tasks run, and if the check fails, the status of the running work is returned.
    is_agent_core: bool,
    last_change: LastChange,
}

/// The result of a health check.
pub(crate) struct Health {
    /// The response, with the time at which the status changed.
    pub(crate) ping: PingResponse,
    failure: Option<Error>,
}

impl Ping {
    pub(crate) fn new(handler: Option<PingHandler>, is_agent_core: bool, watch: Watch) -> Self {
        Self {
            handler,
            watch,
            is_agent_core,
            last_change: LastChange::new(),
        }
    }

    /// Answers `GET /ping`. A check that fails results in a 500 with the status `HealthyBusy`, so
    /// that the platform does not reclaim the sandbox, unless AgentCore's rules apply.
    pub(crate) async fn answer(&self, busy: bool, forced: Option<PingStatus>) -> Response {
        let Health { mut ping, failure } = self.health(busy, forced).await;
        ping.timestamp
            .get_or_insert_with(|| timestamp(SystemTime::now()));
        let status = failure.as_ref().map_or(StatusCode::OK, Error::status);
        let mut response = json::response(status, json::to_bytes(&ping));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(error) = failure {
            response.extensions_mut().insert(error);
        }
        response
    }

    /// Returns the forced status, otherwise the status of the check and of the running work.
    pub(crate) async fn health(&self, busy: bool, forced: Option<PingStatus>) -> Health {
        let mut health = match forced {
            Some(status) => Health::of(status),
            None => self.checked(busy).await,
        };
        // AgentCore ends a session that has been idle since `time_of_last_update`, so a check
        // cannot set this member.
        let changed = self.last_change.update(health.ping.status);
        health.ping.time_of_last_update = Some(unix_seconds(changed));
        health
    }

    async fn checked(&self, busy: bool) -> Health {
        let automatic = if busy {
            PingStatus::HealthyBusy
        } else {
            PingStatus::Healthy
        };
        let Some(handler) = &self.handler else {
            return Health::of(automatic);
        };
        let error = match tokio::time::timeout(CHECK_TIMEOUT, handler.check(self.watch)).await {
            Ok(Ok(mut ping)) => {
                if busy && !self.is_agent_core {
                    ping.status = PingStatus::HealthyBusy;
                }
                return Health {
                    ping,
                    failure: None,
                };
            }
            Ok(Err(error)) => error,
            Err(_) => format!("the health check took over {} s", CHECK_TIMEOUT.as_secs()),
        };
        tracing::error!(error, "health check failed");
        if self.is_agent_core {
            return Health::of(automatic);
        }
        let failure = Error::internal(error.as_str()).with_type("HealthCheckFailed");
        Health {
            ping: PingResponse::new(PingStatus::HealthyBusy).with_message(error),
            failure: Some(failure),
        }
    }
}

impl Health {
    fn of(status: PingStatus) -> Self {
        Self {
            ping: PingResponse::new(status),
            failure: None,
        }
    }
}

/// Formats a time as RFC 3339, in UTC, with milliseconds.
pub(crate) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
