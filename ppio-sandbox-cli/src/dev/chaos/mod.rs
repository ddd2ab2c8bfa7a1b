//! `--chaos`: disturbs callers and the agent, as happens in production.
//!
//! `decision` decides what happens to each call, from a seed; `disturbed_body` is the body of an
//! answer that is cut or read slowly. The `rebuilder`, which owns the agent's process, disturbs the
//! agent itself.

mod decision;
mod disturbed_body;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use rustix::process::Pid;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use self::decision::{Decisions, Disturbance};
use self::disturbed_body::DisturbedBody;
use super::console::DevConsole;

/// The duration of a pause of the agent.
pub(super) const PAUSE: Duration = Duration::from_secs(2);
/// The longest time that the agent may take to exit after SIGTERM. Together with the start of the
/// next agent, this is usually shorter than a call waits for an agent.
pub(super) const TERMINATION_GRACE: Duration = Duration::from_secs(3);

/// The paths to which calls are sent, with those below them: `POST /invocations` and the protocols.
/// A2A can be at `/`.
const CALLS: &[&str] = &["/invocations", "/v1", "/a2a", "/ag-ui", "/mcp", "/api/chat"];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The size of the kernel's receive buffer that is set for a slowly read answer, in bytes: small,
/// so that the agent is slowed down.
const SLOW_BUFFER: u32 = 4096;

/// Decides which calls are disturbed, and disturbs them.
#[derive(Debug)]
pub(super) struct Chaos {
    seed: u32,
    decisions: Mutex<Decisions>,
    console: Arc<DevConsole>,
    actions: mpsc::Sender<AgentDisturbance>,
}

/// An action that is applied to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentAction {
    /// SIGTERM, and a new start.
    Terminate,
    /// SIGSTOP for [`PAUSE`].
    Pause,
}

/// A disturbance of the agent, for the owner of its process.
#[derive(Debug)]
pub(super) struct AgentDisturbance {
    pub(super) action: AgentAction,
    /// The agent process that was called; no other one is disturbed.
    pub(super) process: Pid,
    id: CallId,
    chaos: Arc<Chaos>,
}

/// The call that is the reason for a disturbance.
#[derive(Debug, Clone)]
struct CallId {
    /// The number of the call.
    number: u64,
    /// The `x-request-id`. For a call that starts a run, this is the id of the run.
    id: String,
}

/// A call that is disturbed.
#[derive(Debug)]
pub(super) struct DisturbedCall {
    disturbance: Disturbance,
    id: CallId,
    chaos: Arc<Chaos>,
}

impl Chaos {
    /// Creates the value that disturbs calls, and the receiver of the disturbances of the agent.
    pub(super) fn new(
        seed: u32,
        console: &Arc<DevConsole>,
    ) -> (Arc<Self>, mpsc::Receiver<AgentDisturbance>) {
        // During a build or a start, nothing is received.
        let (actions, receiver) = mpsc::channel(1);
        let chaos = Self {
            seed,
            decisions: Mutex::new(Decisions::new(seed)),
            console: Arc::clone(console),
            actions,
        };
        (Arc::new(chaos), receiver)
    }

    /// Decides whether a request is disturbed; `None` if not.
    ///
    /// A disturbed call without an id gets an id, which identifies the call in the console and in
    /// the agent's log.
    pub(super) fn disturb(self: &Arc<Self>, request: &mut Request) -> Option<DisturbedCall> {
        if !is_call(request.method(), request.uri().path()) {
            return None;
        }
        let (number, disturbance) = {
            let decisions = self.decisions.lock();
            decisions.unwrap_or_else(PoisonError::into_inner).next()
        };
        let disturbance = disturbance?;
        let id = id_of(request.headers()).unwrap_or_else(|| {
            let id = format!("chaos-{}-{number}", self.seed);
            if let Ok(value) = HeaderValue::from_str(&id) {
                request.headers_mut().insert(REQUEST_ID, value);
            }
            id
        });
        Some(DisturbedCall {
            disturbance,
            id: CallId { number, id },
            chaos: Arc::clone(self),
        })
    }

    fn report(&self, id: &CallId, kind: &'static str, text: &str) {
        self.console.disturbed(id.number, &id.id, kind, text);
    }
}

impl DisturbedCall {
    /// Opens the connection to the agent, and schedules the disturbance of the agent's process.
    pub(super) async fn connect(&self, address: SocketAddr, process: Pid) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if matches!(self.disturbance, Disturbance::ReadSlowly) {
            socket.set_recv_buffer_size(SLOW_BUFFER)?;
        }
        let stream = socket.connect(address).await?;
        if let Disturbance::Agent { action, after } = self.disturbance {
            let disturbance = AgentDisturbance {
                action,
                process,
                id: self.id.clone(),
                chaos: Arc::clone(&self.chaos),
            };
            tokio::spawn(async move {
                sleep(after).await;
                let actions = disturbance.chaos.actions.clone();
                // Fails if the command is ending, or if another disturbance of the agent is
                // pending.
                let _ = actions.try_send(disturbance);
            });
        }
        Ok(stream)
    }

    /// Disturbs the answer.
    pub(super) fn answer(mut self, response: Response) -> Response {
        // The id of another run, if the request joined that run.
        if let Some(id) = id_of(response.headers()) {
            self.id.id = id;
        }
        match self.disturbance {
            Disturbance::Agent { .. } => response,
            Disturbance::Cut { part } => response.map(|body| DisturbedBody::cut(body, part, self)),
            Disturbance::ReadSlowly => response.map(|body| DisturbedBody::slow(body, self)),
        }
    }

    fn report(&self, kind: &'static str, text: &str) {
        self.chaos.report(&self.id, kind, text);
    }
}

impl AgentDisturbance {
    /// Reports that the disturbance has happened.
    pub(super) fn report(&self) {
        let (kind, text) = match self.action {
            AgentAction::Terminate => {
                let text = "sent SIGTERM to the agent, which is started again";
                ("terminate", text.to_owned())
            }
            AgentAction::Pause => {
                let text = format!("paused the agent for {} s", PAUSE.as_secs());
                ("pause", text)
            }
        };
        self.chaos.report(&self.id, kind, &text);
    }
}

/// Whether a request calls the agent, or reads the answer of a run. The requests with which the
/// page lists and inspects runs do neither.
fn is_call(method: &Method, path: &str) -> bool {
    let is_below = |base: &str| {
        path.strip_prefix(base)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match *method {
        Method::POST => path == "/" || CALLS.iter().any(|base| is_below(base)),
        Method::GET => {
            path.starts_with("/invocations/")
                && (path.ends_with("/events") || path.ends_with("/response"))
        }
        _ => false,
    }
}

fn id_of(headers: &HeaderMap) -> Option<String> {
    headers.get(REQUEST_ID)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_the_agent_are_disturbed() {
        for (method, path, expected) in [
            (Method::POST, "/invocations", true),
            (Method::POST, "/", true),
            (Method::POST, "/v1/chat/completions", true),
            (Method::POST, "/a2a", true),
            (Method::POST, "/ag-ui", true),
            (Method::POST, "/mcp", true),
            (Method::POST, "/api/chat", true),
            (Method::GET, "/invocations/r-1/events", true),
            (Method::GET, "/invocations/r-1/response", true),
            (Method::POST, "/invocations-of-mine", false),
            (Method::POST, "/api/other", false),
            (Method::POST, "/_ppio/dev/otlp/v1/traces", false),
            (Method::GET, "/invocations", false),
            (Method::GET, "/invocations/r-1", false),
            (Method::DELETE, "/invocations/r-1", false),
            (Method::GET, "/", false),
            (Method::GET, "/ping", false),
            (Method::GET, "/metrics", false),
            (Method::GET, "/ws", false),
            (Method::OPTIONS, "/invocations", false),
        ] {
            assert_eq!(is_call(&method, path), expected, "{method} {path}");
        }
    }
}
