//! The settings in force, for the author of an agent.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use ppio_agent_protocol::{ByteSize, headers};

#[cfg(feature = "logging")]
use super::log_format::LogFormat;
use super::platform::Platform;
use super::policies::{OnDisconnect, SessionConcurrency};
use super::protocol::Protocol;

/// The settings in force: the defaults, overridden by the [`RuntimeConfig`] in code, overridden by
/// the environment.
///
/// [`AgentRuntimeApp::settings`] and [`RequestContext::settings`] return them.
///
/// ```
/// use ppio::{AgentRuntimeApp, RuntimeConfig, Value};
///
/// let app = AgentRuntimeApp::builder()
///     .entrypoint(|request: Value| async move { request })
///     .config(RuntimeConfig::new().port(9000))
///     .build()?;
/// // `PPIO_AGENT_PORT`, if it is set, overrides the port.
/// assert_eq!(app.settings().port, 9000);
/// # Ok::<(), ppio::StartError>(())
/// ```
///
/// [`RuntimeConfig`]: crate::RuntimeConfig
/// [`AgentRuntimeApp::settings`]: crate::AgentRuntimeApp::settings
/// [`RequestContext::settings`]: crate::RequestContext::settings
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting")]
pub struct RuntimeSettings {
    /// The address or host name to listen on, without brackets.
    pub host: String,
    /// The port to listen on; 0 for any free port, which
    /// [`AgentRuntimeServer::local_addr`](crate::AgentRuntimeServer::local_addr) returns.
    pub port: u16,
    /// The platform whose contract the agent follows, if one is named.
    pub platform: Option<Platform>,
    /// The URL at which the platform serves the agent, if it provides one: `AGENTCORE_RUNTIME_URL`
    /// on [`Platform::AgentCoreA2a`].
    pub runtime_url: Option<String>,
    /// Whether debug mode is on.
    pub debug: bool,
    /// The maximum time until a response begins, and then between two items of a stream.
    pub timeout: Duration,
    /// The largest request body.
    pub max_request_size: ByteSize,
    /// The hosts that an agent on a loopback address serves in addition to loopback.
    pub allowed_hosts: Vec<String>,
    /// The web origins whose pages may call the agent; `None` for its own origin and pages of this
    /// machine.
    pub cors_origins: Option<Vec<String>>,
    /// Whether pages of [`cors_origins`](Self::cors_origins) may send credentials.
    pub cors_credentials: bool,
    /// Whether there is a route `GET /metrics`; never without the feature `metrics`.
    pub enable_metrics: bool,
    /// Whether there is a route `GET /openapi.json`; never without the feature `schema`.
    pub enable_openapi: bool,
    /// Whether middleware runs.
    pub enable_middleware: bool,
    /// Whether starting without a health check is an error.
    pub require_ping: bool,
    /// The protocols that are served in addition to `POST /invocations`.
    pub protocols: Vec<Protocol>,
    /// How many invocations may run at the same time; `None` for no limit.
    pub max_concurrency: Option<usize>,
    /// How often an idle stream sends a comment; `None` for never.
    pub heartbeat: Option<Duration>,
    /// How long an invocation runs before it makes the agent busy.
    pub busy_after: Duration,
    /// How a second invocation of a session is handled while one runs.
    pub session_concurrency: SessionConcurrency,
    /// How many invocations of one session may wait.
    pub session_queue: usize,
    /// What happens to an invocation whose caller disconnects.
    pub on_disconnect: OnDisconnect,
    /// How long an invocation with an idempotency key waits for its caller to reconnect.
    pub reconnect_grace: Duration,
    /// How many invocations are kept.
    pub max_runs: usize,
    /// How much of the answer of one invocation is kept.
    pub max_run_size: ByteSize,
    /// The maximum size of all kept answers together.
    pub max_total_run_size: ByteSize,
    /// How long an answer is kept after the end of its invocation.
    pub run_retention: Duration,
    /// Whether callers without a session and without credentials may list invocations.
    pub list_anonymous_runs: bool,
    /// Whether every invocation is kept, with its request and the times of its items.
    pub inspect_runs: bool,
    /// The directory in which kept invocations survive the end of the process; `None` to keep them
    /// only in memory.
    pub journal: Option<PathBuf>,
    /// Whether push notifications of A2A may be sent to private addresses.
    #[cfg(feature = "a2a")]
    pub a2a_push_private: bool,
    /// The largest frame of a client's WebSocket.
    #[cfg(feature = "websocket")]
    pub websocket_max_frame_size: ByteSize,
    /// The largest message of a client's WebSocket.
    #[cfg(feature = "websocket")]
    pub websocket_max_message_size: ByteSize,
    /// How long a WebSocket may stay open without a message; `None` for no limit.
    #[cfg(feature = "websocket")]
    pub websocket_idle_timeout: Option<Duration>,
    /// How long requests and background tasks may take to finish after SIGTERM or SIGINT.
    pub shutdown_grace: Duration,
    /// How long a connection may stay idle between two requests.
    pub keep_alive_timeout: Duration,
    /// How long a client may take to send the headers of a request.
    pub header_timeout: Duration,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Duration,
    /// How long a client may read nothing before its connection is closed.
    pub write_timeout: Duration,
    /// How long one poll of an `async` function may keep its thread before the function is logged;
    /// `None` for no limit.
    pub blocking_warning: Option<Duration>,
    /// The number of threads that run asynchronous code; `None` for one per core.
    pub worker_threads: Option<usize>,
    /// The number of threads that synchronous functions and iterators may occupy at the same time.
    pub blocking_threads: usize,
    /// What is logged.
    #[cfg(feature = "logging")]
    pub log: String,
    /// How log lines are written.
    #[cfg(feature = "logging")]
    pub log_format: LogFormat,
}

/// The defaults of an agent in production.
impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            host: "0.0.0.0".to_owned(),
            port: headers::AGENT_PORT,
            platform: None,
            runtime_url: None,
            debug: false,
            timeout: Duration::from_secs(300),
            max_request_size: ByteSize::new(10 << 20),
            allowed_hosts: Vec::new(),
            cors_origins: None,
            cors_credentials: false,
            enable_metrics: cfg!(feature = "metrics"),
            enable_openapi: cfg!(feature = "schema"),
            enable_middleware: true,
            require_ping: false,
            protocols: Protocol::built_in(),
            max_concurrency: None,
            heartbeat: Some(Duration::from_secs(15)),
            busy_after: Duration::from_secs(60),
            session_concurrency: SessionConcurrency::Parallel,
            session_queue: 16,
            on_disconnect: OnDisconnect::Cancel,
            reconnect_grace: Duration::from_secs(5),
            max_runs: 1000,
            max_run_size: ByteSize::new(8 << 20),
            max_total_run_size: ByteSize::new(64 << 20),
            run_retention: Duration::from_secs(600),
            list_anonymous_runs: false,
            inspect_runs: false,
            journal: None,
            #[cfg(feature = "a2a")]
            a2a_push_private: false,
            // AgentCore does not pass on larger frames, and ends sessions that are idle for 900 s.
            #[cfg(feature = "websocket")]
            websocket_max_frame_size: ByteSize::new(64 << 10),
            #[cfg(feature = "websocket")]
            websocket_max_message_size: ByteSize::new(1 << 20),
            #[cfg(feature = "websocket")]
            websocket_idle_timeout: Some(Duration::from_secs(900)),
            shutdown_grace: Duration::from_secs(30),
            // Longer than load balancers keep connections, usually 60 s, so that the load balancers
            // close them first: a request that is sent on a connection while the agent closes it is
            // lost.
            keep_alive_timeout: Duration::from_secs(75),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            blocking_warning: Some(Duration::from_millis(100)),
            worker_threads: None,
            blocking_threads: 496,
            #[cfg(feature = "logging")]
            log: "info,ppio::invocation=warn".to_owned(),
            #[cfg(feature = "logging")]
            log_format: LogFormat::Auto,
        }
    }
}

impl RuntimeSettings {
    /// Returns the defaults, for contexts that no server created.
    pub(crate) fn defaults() -> &'static Self {
        static DEFAULTS: LazyLock<RuntimeSettings> = LazyLock::new(RuntimeSettings::default);
        &DEFAULTS
    }
}
