//! The configuration in code, and its overlay with the environment.

mod address;
mod getters;
pub(crate) mod settings;

use std::path::PathBuf;
use std::time::Duration;

use ppio_agent_protocol::ByteSize;

#[cfg(feature = "logging")]
use crate::exchange::log_format::LogFormat;
use crate::exchange::platform::Platform;
use crate::exchange::policies::{OnDisconnect, SessionConcurrency};
use crate::exchange::protocol::Protocol;

/// The configuration that the code of an agent sets.
///
/// Every setting is optional and has the default below. Environment variables override the code, so
/// that one binary can be configured where it runs.
///
/// | setting | variable | default |
/// | --- | --- | --- |
/// | [`host`](Self::host) | `PPIO_AGENT_HOST` | `0.0.0.0`; `127.0.0.1` when run by cargo |
/// | [`port`](Self::port) | `PPIO_AGENT_PORT` | `PORT`, else `8080` |
/// | [`platform`](Self::platform) | `PPIO_AGENT_PLATFORM`: `agentcore`, `agentcore-ag-ui`, `agentcore-mcp` or `agentcore-a2a` | none |
/// | [`debug`](Self::debug) | `PPIO_AGENT_DEBUG` | `false` |
/// | [`timeout`](Self::timeout) | `PPIO_AGENT_TIMEOUT`, seconds | 300 s |
/// | [`max_request_size`](Self::max_request_size) | `PPIO_AGENT_MAX_REQUEST_SIZE`, bytes or `2Mi` | 10 MiB |
/// | [`allowed_hosts`](Self::allowed_hosts) | `PPIO_AGENT_ALLOWED_HOSTS`, comma-separated | loopback only |
/// | [`cors_origins`](Self::cors_origins) | `PPIO_AGENT_CORS_ORIGINS`, comma-separated | `PPIO_AGENT_DEFAULT_CORS_ORIGINS`, else the agent's own and loopback |
/// | [`cors_credentials`](Self::cors_credentials) | `PPIO_AGENT_CORS_CREDENTIALS` | `false` |
/// | [`enable_metrics`](Self::enable_metrics) | `PPIO_AGENT_ENABLE_METRICS` | `true` |
/// | [`enable_openapi`](Self::enable_openapi) | `PPIO_AGENT_ENABLE_OPENAPI` | `true` |
/// | [`enable_middleware`](Self::enable_middleware) | `PPIO_AGENT_ENABLE_MIDDLEWARE` | `true` |
/// | [`require_ping`](Self::require_ping) | | `false` |
/// | [`protocols`](Self::protocols) | `PPIO_AGENT_PROTOCOLS`: `all`, `none` or comma-separated names | all whose features are on |
/// | [`max_concurrency`](Self::max_concurrency) | `PPIO_AGENT_MAX_CONCURRENCY`, 0 for no limit | no limit |
/// | [`busy_after`](Self::busy_after) | `PPIO_AGENT_BUSY_AFTER`, seconds | 60 s |
/// | [`heartbeat`](Self::heartbeat) | `PPIO_AGENT_HEARTBEAT`, seconds, 0 for none | 15 s |
/// | [`session_concurrency`](Self::session_concurrency) | `PPIO_AGENT_SESSION_CONCURRENCY`: `parallel`, `queue`, `reject` or `interrupt` | `parallel` |
/// | [`session_queue`](Self::session_queue) | `PPIO_AGENT_SESSION_QUEUE` | 16 |
/// | [`on_disconnect`](Self::on_disconnect) | `PPIO_AGENT_ON_DISCONNECT`: `cancel` or `continue` | `cancel` |
/// | [`reconnect_grace`](Self::reconnect_grace) | `PPIO_AGENT_RECONNECT_GRACE`, seconds | 5 s |
/// | [`max_runs`](Self::max_runs) | `PPIO_AGENT_MAX_RUNS` | 1000 |
/// | [`max_run_size`](Self::max_run_size) | `PPIO_AGENT_MAX_RUN_SIZE`, bytes or `2Mi` | 8 MiB |
/// | [`max_total_run_size`](Self::max_total_run_size) | `PPIO_AGENT_MAX_TOTAL_RUN_SIZE`, bytes or `2Mi` | 64 MiB |
/// | [`run_retention`](Self::run_retention) | `PPIO_AGENT_RUN_RETENTION`, seconds | 600 s |
/// | [`list_anonymous_runs`](Self::list_anonymous_runs) | `PPIO_AGENT_LIST_ANONYMOUS_RUNS` | `true` in debug mode, else `false` |
/// | [`inspect_runs`](Self::inspect_runs) | `PPIO_AGENT_INSPECT_RUNS` | `false` |
/// | [`journal`](Self::journal) | `PPIO_AGENT_JOURNAL`, a directory | none |
/// | [`a2a_push_private`](Self::a2a_push_private) | `PPIO_AGENT_A2A_PUSH_PRIVATE` | `false` |
/// | [`websocket_max_frame_size`](Self::websocket_max_frame_size) | `PPIO_AGENT_WEBSOCKET_MAX_FRAME_SIZE`, bytes or `64Ki` | 64 KiB |
/// | [`websocket_max_message_size`](Self::websocket_max_message_size) | `PPIO_AGENT_WEBSOCKET_MAX_MESSAGE_SIZE`, bytes or `1Mi` | 1 MiB |
/// | [`websocket_idle_timeout`](Self::websocket_idle_timeout) | `PPIO_AGENT_WEBSOCKET_IDLE_TIMEOUT`, seconds, 0 for none | 900 s |
/// | [`shutdown_grace`](Self::shutdown_grace) | `PPIO_AGENT_SHUTDOWN_GRACE`, seconds | 30 s |
/// | [`keep_alive_timeout`](Self::keep_alive_timeout) | `PPIO_AGENT_KEEP_ALIVE_TIMEOUT`, seconds | 75 s |
/// | [`header_timeout`](Self::header_timeout) | `PPIO_AGENT_HEADER_TIMEOUT`, seconds | 30 s |
/// | [`body_timeout`](Self::body_timeout) | `PPIO_AGENT_BODY_TIMEOUT`, seconds | 30 s |
/// | [`write_timeout`](Self::write_timeout) | `PPIO_AGENT_WRITE_TIMEOUT`, seconds | 60 s |
/// | [`blocking_warning`](Self::blocking_warning) | `PPIO_AGENT_BLOCKING_WARNING`, seconds, 0 for none | 0.1 s |
/// | [`worker_threads`](Self::worker_threads) | `PPIO_AGENT_WORKER_THREADS` | one per core |
/// | [`blocking_threads`](Self::blocking_threads) | `PPIO_AGENT_BLOCKING_THREADS` | 496 |
/// | [`log_format`](Self::log_format) | `PPIO_AGENT_LOG_FORMAT`: `auto`, `text`, `json` or `agentcore` | `auto` |
/// | [`log`](Self::log) | `PPIO_AGENT_LOG`, then `RUST_LOG` | `debug` in debug mode, else `PPIO_AGENT_DEFAULT_LOG`, else `info,ppio::invocation=warn` |
///
/// A duration of more than 30 days counts as 30 days.
///
/// A variable that is empty or has only white space counts as not set. `PORT`, which some platforms
/// set for every program, applies only if neither the code nor `PPIO_AGENT_PORT` names a port, and
/// no platform is set. With a platform, `PORT` applies only under `agentcore dev`, which sets
/// `LOCAL_DEV`; with [`Platform::AgentCoreA2a`], `A2A_PORT` applies instead of `PORT`.
///
/// ```
/// use std::time::Duration;
/// use ppio::{ByteSize, RuntimeConfig};
///
/// let config = RuntimeConfig::new()
///     .timeout(Duration::from_secs(600))
///     .max_request_size(ByteSize::new(2 * 1024 * 1024))
///     .cors_origins(["https://my-frontend.com"]);
/// assert_eq!(config.get_timeout(), Some(Duration::from_secs(600)));
/// assert_eq!(config.get_port(), None);
/// ```
///
/// Each setting has a getter, which returns the value that the code has set. The values in force
/// are the [`RuntimeSettings`](crate::RuntimeSettings).
#[derive(Debug, Clone, Default)]
pub struct RuntimeConfig {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) platform: Option<Platform>,
    pub(crate) debug: Option<bool>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_request_size: Option<ByteSize>,
    pub(crate) allowed_hosts: Option<Vec<String>>,
    pub(crate) cors_origins: Option<Vec<String>>,
    pub(crate) cors_credentials: Option<bool>,
    pub(crate) enable_metrics: Option<bool>,
    pub(crate) enable_openapi: Option<bool>,
    pub(crate) enable_middleware: Option<bool>,
    pub(crate) require_ping: Option<bool>,
    pub(crate) protocols: Option<Vec<Protocol>>,
    pub(crate) max_concurrency: Option<usize>,
    pub(crate) busy_after: Option<Duration>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) session_concurrency: Option<SessionConcurrency>,
    pub(crate) session_queue: Option<usize>,
    pub(crate) on_disconnect: Option<OnDisconnect>,
    pub(crate) reconnect_grace: Option<Duration>,
    pub(crate) max_runs: Option<usize>,
    pub(crate) max_run_size: Option<ByteSize>,
    pub(crate) max_total_run_size: Option<ByteSize>,
    pub(crate) run_retention: Option<Duration>,
    pub(crate) list_anonymous_runs: Option<bool>,
    pub(crate) inspect_runs: Option<bool>,
    pub(crate) journal: Option<PathBuf>,
    #[cfg(feature = "a2a")]
    pub(crate) a2a_push_private: Option<bool>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket_max_frame_size: Option<ByteSize>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket_max_message_size: Option<ByteSize>,
    #[cfg(feature = "websocket")]
    pub(crate) websocket_idle_timeout: Option<Duration>,
    pub(crate) shutdown_grace: Option<Duration>,
    pub(crate) keep_alive_timeout: Option<Duration>,
    pub(crate) header_timeout: Option<Duration>,
    pub(crate) body_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) blocking_warning: Option<Duration>,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) blocking_threads: Option<usize>,
    #[cfg(feature = "logging")]
    pub(crate) log: Option<String>,
    #[cfg(feature = "logging")]
    pub(crate) log_format: Option<LogFormat>,
}

impl RuntimeConfig {
    /// Returns a configuration without any setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address or host name to listen on.
    ///
    /// By default an agent listens on every IPv4 address. Started with `cargo run` it listens on
    /// 127.0.0.1, so that other machines cannot call an agent under development; set `0.0.0.0` to
    /// change that.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the port to listen on; 0 for any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the platform whose contract the agent follows.
    ///
    /// The agent then listens where the platform calls it, regardless of [`host`](Self::host) and
    /// [`port`](Self::port); `PPIO_AGENT_HOST` and `PPIO_AGENT_PORT` still override the platform's
    /// address. `/ping` follows AgentCore's order: the status that [`health`](crate::health)
    /// forces, that of the [`ping`](macro@crate::ping) function, then that of background tasks. A
    /// `ping` function that fails is ignored.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Turns on debug mode: more log lines, a page to try the agent at `/`, the actions of
    /// AgentCore's tools, and [`list_anonymous_runs`](Self::list_anonymous_runs) by default.
    pub fn debug(mut self, debug: bool) -> Self {
        self.debug = Some(debug);
        self
    }

    /// Sets the maximum time until a response begins (after that, the response is a 504), and then
    /// between two items of a stream. A caller can set a shorter time until the response with the
    /// header `PPIO-Timeout` or the `timeout` of an [`InvocationRequest`].
    ///
    /// [`InvocationRequest`]: ppio_agent_protocol::InvocationRequest
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the largest request body; a larger body is answered with a 413.
    pub fn max_request_size(mut self, size: ByteSize) -> Self {
        self.max_request_size = Some(size);
        self
    }

    /// Sets further host names and addresses that an agent on a loopback address serves, without a
    /// port; `*` for all.
    ///
    /// If an agent listens on a loopback address, a request for another host than `localhost`,
    /// `*.localhost`, a loopback address or [`host`](Self::host) is answered with a 421, because a
    /// web page can make its own name resolve to this machine. A reverse proxy on the same machine
    /// that forwards the `Host` of its clients needs its public name in this list. An agent on any
    /// other address serves every host.
    pub fn allowed_hosts<I>(mut self, hosts: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.allowed_hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the web origins whose pages may call the agent and read its responses: `*` for all, an
    /// empty list (the variable: `none`) for none.
    ///
    /// By default these are the agent's own origin (`Origin` has the host and port of `Host`) and
    /// pages of this machine: `localhost`, `*.localhost` and loopback addresses. A request from any
    /// other page is answered with a 403, unless it only reads a response of the runtime itself.
    /// Programs send no `Origin` and are not affected.
    pub fn cors_origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.cors_origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Sets whether pages of [`cors_origins`](Self::cors_origins) may send cookies and other
    /// credentials. Requires a list of origins: without a list, and with `*`, the agent does not
    /// start, because browsers refuse credentials with `*`.
    pub fn cors_credentials(mut self, allow: bool) -> Self {
        self.cors_credentials = Some(allow);
        self
    }

    /// Sets whether there is a route `GET /metrics`, in the text formats of Prometheus and
    /// `OpenMetrics`.
    #[cfg(feature = "metrics")]
    pub fn enable_metrics(mut self, enable: bool) -> Self {
        self.enable_metrics = Some(enable);
        self
    }

    /// Sets whether there is a route `GET /openapi.json`, which describes the service and the types
    /// of its entrypoint.
    #[cfg(feature = "schema")]
    pub fn enable_openapi(mut self, enable: bool) -> Self {
        self.enable_openapi = Some(enable);
        self
    }

    /// Sets whether middleware runs; `false` helps to find a fault.
    pub fn enable_middleware(mut self, enable: bool) -> Self {
        self.enable_middleware = Some(enable);
        self
    }

    /// Sets whether starting without a `#[ppio::ping]` function is an error.
    pub fn require_ping(mut self, require: bool) -> Self {
        self.require_ping = Some(require);
        self
    }

    /// Sets the protocols that are served in addition to `POST /invocations`. The cargo feature of
    /// each of them has to be enabled.
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = Protocol>) -> Self {
        self.protocols = Some(protocols.into_iter().collect());
        self
    }

    /// Sets how many invocations may run at the same time; a further one is answered with a 503.
    /// Zero means no limit.
    pub fn max_concurrency(mut self, limit: usize) -> Self {
        self.max_concurrency = Some(limit);
        self
    }

    /// Sets how long an invocation runs before `/ping` answers `HealthyBusy` because of it.
    ///
    /// Platforms reclaim idle sandboxes, and a sandbox whose requests send nothing for minutes
    /// counts as idle. An invocation that continues without its caller makes the agent busy from
    /// its start.
    pub fn busy_after(mut self, duration: Duration) -> Self {
        self.busy_after = Some(duration);
        self
    }

    /// Sets how often an idle stream sends a comment, which keeps proxies from closing the stream.
    /// Zero means never.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = Some(interval);
        self
    }

    /// Sets how a second invocation of a session is handled while one runs. The session is
    /// AgentCore's session header, otherwise the body's `sandbox_id`; an invocation without a
    /// session always runs immediately.
    pub fn session_concurrency(mut self, concurrency: SessionConcurrency) -> Self {
        self.session_concurrency = Some(concurrency);
        self
    }

    /// Sets how many invocations of one session may wait with [`SessionConcurrency::Queue`]; a
    /// further one is answered with a 503.
    pub fn session_queue(mut self, limit: usize) -> Self {
        self.session_queue = Some(limit);
        self
    }

    /// Sets what happens to an invocation whose caller disconnects, unless the caller chooses with
    /// the header `PPIO-On-Disconnect`.
    ///
    /// With [`OnDisconnect::Continue`], the invocation runs to its end, and its answer is kept:
    /// `GET /invocations/{id}` returns its state and `GET /invocations/{id}/events` its items,
    /// where the id is the `x-request-id` of the response. Such an invocation makes `/ping` answer
    /// `HealthyBusy`.
    pub fn on_disconnect(mut self, policy: OnDisconnect) -> Self {
        self.on_disconnect = Some(policy);
        self
    }

    /// Sets how long an invocation with an idempotency key waits for its caller to reconnect before
    /// it is cancelled, if its policy is to cancel.
    pub fn reconnect_grace(mut self, grace: Duration) -> Self {
        self.reconnect_grace = Some(grace);
        self
    }

    /// Sets how many invocations are kept for callers that reconnect. Beyond that, the invocation
    /// that ended first is dropped; if all kept invocations are still running, a further invocation
    /// is answered with a 503.
    pub fn max_runs(mut self, limit: usize) -> Self {
        self.max_runs = Some(limit);
        self
    }

    /// Sets how much of the answer of one invocation is kept. A longer stream waits for its slowest
    /// reader, and without a reader its oldest items are dropped; a longer value is dropped when
    /// its callers have received it.
    pub fn max_run_size(mut self, size: ByteSize) -> Self {
        self.max_run_size = Some(size);
        self
    }

    /// Sets the maximum size of all kept answers together. Beyond that, the answers of the
    /// invocations that ended first are dropped.
    pub fn max_total_run_size(mut self, size: ByteSize) -> Self {
        self.max_total_run_size = Some(size);
        self
    }

    /// Sets how long an answer is kept after the end of its invocation.
    pub fn run_retention(mut self, retention: Duration) -> Self {
        self.run_retention = Some(retention);
        self
    }

    /// Sets whether `GET /invocations` lists the invocations of callers that send neither a session
    /// header nor `Authorization`. Such callers cannot be distinguished, so each such caller
    /// receives the invocations of all such callers. If `false`, which is the default except in
    /// debug mode, these callers need the id of an invocation, and a request for the list is
    /// answered with a 403.
    pub fn list_anonymous_runs(mut self, list: bool) -> Self {
        self.list_anonymous_runs = Some(list);
        self
    }

    /// Sets whether every invocation is kept, with its request, the times of its items and the
    /// tokens of its [`ChatEvent`](crate::ChatEvent)s, for the page that shows invocations during
    /// development. Requests may contain secrets, and are kept only in memory.
    pub fn inspect_runs(mut self, record: bool) -> Self {
        self.inspect_runs = Some(record);
        self
    }

    /// Sets a directory in which kept invocations survive the end of the process: after a crash and
    /// a restart they can be read as before. Invocations that had not ended have the state
    /// `interrupted` and the items that were recorded. The directory is created if it does not
    /// exist, and no other agent may use it.
    ///
    /// Without a journal, invocations are kept only in memory.
    pub fn journal(mut self, directory: impl Into<PathBuf>) -> Self {
        self.journal = Some(directory.into());
        self
    }

    /// Sets whether push notifications of A2A may be sent to private, loopback and link-local
    /// addresses.
    ///
    /// The caller of an agent chooses the URL of a push notification. Without this setting, the
    /// caller cannot make the agent send requests to programs that can be reached only from the
    /// agent's machine and network.
    #[cfg(feature = "a2a")]
    pub fn a2a_push_private(mut self, allow: bool) -> Self {
        self.a2a_push_private = Some(allow);
        self
    }

    /// Sets the largest frame of a client's WebSocket; a larger one closes the WebSocket with the
    /// code 1009. The default is AgentCore's limit.
    #[cfg(feature = "websocket")]
    pub fn websocket_max_frame_size(mut self, size: ByteSize) -> Self {
        self.websocket_max_frame_size = Some(size);
        self
    }

    /// Sets the largest message of a client's WebSocket, which may be sent in several frames; a
    /// larger one closes the WebSocket with the code 1009.
    #[cfg(feature = "websocket")]
    pub fn websocket_max_message_size(mut self, size: ByteSize) -> Self {
        self.websocket_max_message_size = Some(size);
        self
    }

    /// Sets how long a WebSocket may stay open without a message in either direction; then it is
    /// closed with the code 1001. Pings are not messages. Zero means no limit.
    #[cfg(feature = "websocket")]
    pub fn websocket_idle_timeout(mut self, timeout: Duration) -> Self {
        self.websocket_idle_timeout = Some(timeout);
        self
    }

    /// Sets how long running requests and background tasks may take to finish after SIGTERM or
    /// SIGINT.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = Some(grace);
        self
    }

    /// Sets how long a connection may stay idle between two requests; then it is closed.
    ///
    /// A load balancer in front of the agent should close its idle connections earlier, otherwise a
    /// request that it sends while the agent closes the connection is lost.
    pub fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.keep_alive_timeout = Some(timeout);
        self
    }

    /// Sets how long a client may take to send the headers of a request, from its first byte or
    /// from the beginning of the connection.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = Some(timeout);
        self
    }

    /// Sets how long a client may take to send the body of a request; after that the response is a
    /// 408.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = Some(timeout);
        self
    }

    /// Sets how long a client may read nothing before its connection is closed.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = Some(timeout);
        self
    }

    /// Sets how long one poll of an `async` function may keep its thread. A function that takes
    /// longer is logged once, with the request, and counted in `/metrics`: it blocks everything
    /// else on its thread, including the health check. Zero means no limit.
    ///
    /// Time in which the thread is ready to run while other programs occupy the processors is not
    /// counted.
    pub fn blocking_warning(mut self, limit: Duration) -> Self {
        self.blocking_warning = Some(limit);
        self
    }

    /// Sets the number of threads that run asynchronous code, from 1 to 10000.
    pub fn worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = Some(threads);
        self
    }

    /// Sets the number of threads that synchronous functions and iterators may occupy at the same
    /// time, from 1 to 10000.
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking_threads = Some(threads);
        self
    }

    /// Sets what is logged: a level, or `target=level` pairs separated by commas.
    ///
    /// With `ppio::invocation` at `info` each invocation writes a line when it ends; by default
    /// only failed and cancelled invocations do.
    #[cfg(feature = "logging")]
    pub fn log(mut self, filter: impl Into<String>) -> Self {
        self.log = Some(filter.into());
        self
    }

    /// Sets how log lines are written.
    #[cfg(feature = "logging")]
    pub fn log_format(mut self, format: LogFormat) -> Self {
        self.log_format = Some(format);
        self
    }
}
