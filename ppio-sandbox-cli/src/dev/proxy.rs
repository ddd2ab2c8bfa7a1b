//! The port that stays open: forwards requests to the current agent process. Requests wait while an
//! agent is built or started, and are refused after a failure.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use ppio_agent_connection::FramingError;
use rustix::process::Pid;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::allowed_callers::AllowedCallers;
use super::chaos::Chaos;
use super::error_response::error_response;
use super::telemetry::{self, DevTelemetry};
use super::{server, waiting_page};
use crate::error::{CliError, ExitKind};

/// The longest time that a request waits for an agent.
const AGENT_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_AFTER_SECONDS: &str = "2";
/// The `error_type` while there is no agent, and if the agent ends before it answers.
const UNAVAILABLE: &str = "AgentUnavailable";
/// The path of the list of runs. A header of its response indicates to the page that traces are
/// available as well.
const RUN_LIST_PATH: &str = "/invocations";

/// The state that determines how the proxy answers requests.
#[derive(Debug, Clone)]
pub(super) enum ProxyPhase {
    /// The agent is being built or started: requests wait, and a browser gets the waiting page.
    Preparing,
    /// The build or the agent failed: requests are refused until the next change.
    Broken(BuildError),
    /// Requests are forwarded.
    Serving(AgentRoute),
}

/// The reason why there is no agent.
#[derive(Debug, Clone)]
pub(super) struct BuildError {
    pub(super) message: String,
    /// The output of the compiler or of the agent; without output, the causes of the error.
    pub(super) output: String,
}

/// An agent process that accepts requests. Each forwarded request holds a clone until the end of
/// its response, or of the WebSocket that it opens.
#[derive(Debug, Clone)]
pub(super) struct AgentRoute {
    port: u16,
    process: Pid,
    _in_use: mpsc::Sender<Infallible>,
}

/// Waits until every clone of an [`AgentRoute`] is dropped.
#[derive(Debug)]
pub(super) struct RouteDrained(mpsc::Receiver<Infallible>);

impl AgentRoute {
    pub(super) fn new(port: u16, process: Pid) -> (Self, RouteDrained) {
        let (sender, receiver) = mpsc::channel(1);
        let route = Self {
            port,
            process,
            _in_use: sender,
        };
        (route, RouteDrained(receiver))
    }
}

impl RouteDrained {
    pub(super) async fn wait(&mut self) {
        // Nothing is ever sent; the channel closes with the last sender.
        let _ = self.0.recv().await;
    }
}

/// The phase, with a number by which a waiting page detects a change.
#[derive(Debug, Clone)]
struct CurrentPhase {
    number: u64,
    phase: ProxyPhase,
}

/// The server on the port of `agent dev`.
#[derive(Debug)]
pub(super) struct DevProxy {
    address: SocketAddr,
    phase: watch::Sender<CurrentPhase>,
    server: JoinHandle<()>,
}

impl DevProxy {
    /// Listens on a loopback port; if it is 0, on any free port.
    pub(super) async fn listen(
        port: u16,
        callers: AllowedCallers,
        telemetry: &Arc<DevTelemetry>,
        chaos: Option<Arc<Chaos>>,
    ) -> Result<Self, CliError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| listen_error(port, &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| listen_error(port, &error))?;
        let phase = watch::Sender::new(CurrentPhase {
            number: 0,
            phase: ProxyPhase::Preparing,
        });
        let callers = Arc::new(callers);
        let telemetry = Arc::clone(telemetry);
        let receiver = phase.subscribe();
        let server = server::serve(listener, move |request| {
            let (callers, telemetry) = (Arc::clone(&callers), Arc::clone(&telemetry));
            respond(request, callers, telemetry, chaos.clone(), receiver.clone())
        });
        let server = tokio::spawn(server);
        Ok(Self {
            address,
            phase,
            server,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn set_phase(&self, phase: ProxyPhase) {
        self.phase.send_modify(|current| {
            current.number += 1;
            current.phase = phase;
        });
    }
}

impl Drop for DevProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn listen_error(port: u16, error: &io::Error) -> CliError {
    let message = format!("cannot listen on port {port}");
    if error.kind() == io::ErrorKind::AddrInUse {
        let other = port.checked_add(1).unwrap_or(0);
        return CliError::new(ExitKind::Usage, message)
            .cause("another program uses the port")
            .help(format!(
                "stop that program, or choose another port, as in `--port {other}`"
            ));
    }
    CliError::new(ExitKind::System, message)
        .caused_by(error)
        .help("choose another port with `--port`")
}

/// Answers any request; those of other hosts and origins are refused.
async fn respond(
    request: Request,
    callers: Arc<AllowedCallers>,
    telemetry: Arc<DevTelemetry>,
    chaos: Option<Arc<Chaos>>,
    phase: watch::Receiver<CurrentPhase>,
) -> Response {
    if let Some(error) = request.extensions().get::<FramingError>() {
        return error_response(StatusCode::BAD_REQUEST, "BadRequest", &error.to_string());
    }
    if let Err(refusal) = callers.check(&request) {
        return error_response(refusal.status, refusal.error_type, &refusal.message);
    }
    if request.uri().path() == waiting_page::STATUS_CHANGED_PATH {
        return status_changed(request.uri().query(), phase)
            .await
            .into_response();
    }
    if DevTelemetry::takes(&request) {
        return telemetry.respond(request).await;
    }
    let is_run_list = request.method() == Method::GET && request.uri().path() == RUN_LIST_PATH;
    let mut response = answer(request, chaos, phase).await;
    if is_run_list {
        let value = HeaderValue::from_static("true");
        response.headers_mut().insert(telemetry::DEV_HEADER, value);
    }
    response
}

/// Answers a waiting page when the phase differs from the one that the page shows (given in the
/// query), or after [`waiting_page::STATUS_TIMEOUT`].
async fn status_changed(
    shown: Option<&str>,
    mut phase: watch::Receiver<CurrentPhase>,
) -> StatusCode {
    let shown = shown.and_then(|shown| shown.parse().ok()).unwrap_or(0);
    let changed = phase.wait_for(|current| current.number != shown);
    let _ = timeout(waiting_page::STATUS_TIMEOUT, changed).await;
    StatusCode::NO_CONTENT
}

async fn answer(
    mut request: Request,
    chaos: Option<Arc<Chaos>>,
    mut phase: watch::Receiver<CurrentPhase>,
) -> Response {
    let disturbed = chaos.and_then(|chaos| chaos.disturb(&mut request));
    let deadline = Instant::now() + AGENT_WAIT_TIMEOUT;
    loop {
        let CurrentPhase {
            number,
            phase: current,
        } = phase.borrow_and_update().clone();
        match current {
            ProxyPhase::Serving(route) => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, route.port));
                let stream = match &disturbed {
                    Some(disturbed) => disturbed.connect(address, route.process).await,
                    None => TcpStream::connect(address).await,
                };
                if let Ok(stream) = stream {
                    let response = forward(stream, request, route).await;
                    return match disturbed {
                        Some(disturbed) => disturbed.answer(response),
                        None => response,
                    };
                }
                // The agent has ended, and the phase is about to change.
            }
            ProxyPhase::Broken(error) if accepts_page(&request) => {
                return waiting_page::broken(number, &error.message, &error.output);
            }
            ProxyPhase::Broken(error) => return unavailable(&error.message),
            ProxyPhase::Preparing if accepts_page(&request) => {
                return waiting_page::preparing(number);
            }
            ProxyPhase::Preparing => {}
        }
        if !matches!(timeout_at(deadline, phase.changed()).await, Ok(Ok(()))) {
            return unavailable("the agent is being built or started");
        }
    }
}

async fn forward(stream: TcpStream, request: Request, route: AgentRoute) -> Response {
    match ppio_sandbox_local::forward(stream, request, route).await {
        Ok(response) => response,
        Err(error) => error_response(
            StatusCode::BAD_GATEWAY,
            UNAVAILABLE,
            &format!("the agent ended before it answered: {error}"),
        ),
    }
}

/// Whether a browser opens the agent's page.
fn accepts_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    request.method() == Method::GET
        && request.uri().path() == "/"
        && accept
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
}

fn unavailable(message: &str) -> Response {
    let mut response = error_response(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, message);
    response.headers_mut().insert(
        header::RETRY_AFTER,
        header::HeaderValue::from_static(RETRY_AFTER_SECONDS),
    );
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Sends a request, and returns the answer.
    async fn answer_to(proxy: &DevProxy, request: &str) -> String {
        let mut stream = TcpStream::connect(proxy.address).await.expect("a server");
        stream.write_all(request.as_bytes()).await.expect("a write");
        let mut text = String::new();
        let read = stream.read_to_string(&mut text).await;
        read.expect("the end of the connection");
        text
    }

    #[tokio::test]
    async fn foreign_pages_neither_export_nor_read_traces() {
        let proxy =
            DevProxy::listen(0, AllowedCallers::default(), &DevTelemetry::new(), None).await;
        let proxy = proxy.expect("a port");
        let json = "content-type: application/json\r\ncontent-length: 2";
        for (line, headers) in [
            ("POST /_ppio/dev/otlp/v1/traces", json),
            ("POST /_ppio/dev/otlp/v1/logs", json),
            ("POST /v1/traces", json),
            ("POST /v1/logs", json),
            ("GET /_ppio/dev/traces", "content-length: 2"),
            ("GET /_ppio/dev/logs", "content-length: 2"),
        ] {
            for (caller, status) in [
                ("host: localhost", 200),
                ("host: localhost\r\norigin: http://127.0.0.1:3000", 200),
                ("host: evil.example", 421),
                ("host: localhost\r\norigin: http://evil.example", 403),
                ("host: localhost\r\norigin: null", 403),
            ] {
                let request = format!(
                    "{line} HTTP/1.1\r\n{caller}\r\nconnection: close\r\n{headers}\r\n\r\n{{}}"
                );
                let answer = answer_to(&proxy, &request).await;
                let expected = format!("HTTP/1.1 {status} ");
                assert!(answer.starts_with(&expected), "{line}, {caller}: {answer}");
            }
        }
    }

    #[tokio::test]
    async fn a_request_with_two_lengths_is_refused_as_by_agents() {
        let proxy =
            DevProxy::listen(0, AllowedCallers::default(), &DevTelemetry::new(), None).await;
        let proxy = proxy.expect("a port");
        let failed = BuildError {
            message: "there is no agent".to_owned(),
            output: String::new(),
        };
        proxy.set_phase(ProxyPhase::Broken(failed));
        for before in ["", "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
            let request = format!(
                "{before}POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\
                 transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
            );
            let text = answer_to(&proxy, &request).await;
            let (_, refusal) = text.rsplit_once("HTTP/1.1 ").expect("a response");
            assert!(refusal.starts_with("400 "), "{text}");
            assert!(refusal.contains("connection: close"), "{text}");
            assert!(refusal.contains(r#""error_type":"BadRequest""#), "{text}");
        }
    }
}
