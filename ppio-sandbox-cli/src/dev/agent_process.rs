//! One process of the agent, from its start to its end.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::env;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Uri, header};
use rustix::io::Errno;
use rustix::process::Pid;
use tokio::io::{AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::clipped::clipped;
use super::console::DevConsole;
use super::output_line::OutputLine;
use super::output_reader::AgentOutputReader;
use super::process_group::AgentProcessGroup;
use super::proxy::{AgentRoute, RouteDrained};
use super::telemetry::DevTelemetry;
use super::watchdog::{GroupWatchdog, RUN_VARIABLE};
use crate::error::CliError;

/// The maximum number of output lines that are kept to explain an exit.
const MAX_TAIL_LINES: usize = 60;
/// The maximum number of bytes that are kept of one output line.
const MAX_TAIL_LINE: usize = 4096;
/// The longest time that one `GET /ping` may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_PING_INTERVAL: Duration = Duration::from_millis(50);
/// The duration of a start after which the agent is reported as slow.
const SLOW_START: Duration = Duration::from_secs(10);
/// The pause between two checks of the ports of a slow agent.
const LISTEN_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest time for which the output may stay open after the exit.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// The variable that makes the agent keep the data of runs that the page of debug mode shows.
const INSPECT_RUNS: &str = "PPIO_AGENT_INSPECT_RUNS";

/// The log target with which the runtime's server reports its own state.
const SERVER_TARGET: &str = "ppio::server";

#[derive(Debug)]
pub(super) struct AgentProcess {
    group: AgentProcessGroup,
    /// The ports that are tried; the first is the value of `PPIO_AGENT_PORT`.
    ports: Vec<u16>,
    console: Arc<DevConsole>,
    telemetry: Arc<DevTelemetry>,
    readers: JoinSet<()>,
    tail: Arc<Mutex<VecDeque<String>>>,
    drained: Option<RouteDrained>,
}

/// The exit of a process that was not stopped.
#[derive(Debug)]
pub(super) struct AgentExit {
    pub(super) status: ExitStatus,
    /// The last lines of the output of the process.
    pub(super) tail: String,
}

impl AgentExit {
    /// Whether the output names `EADDRINUSE`. Programs exit with the same status for every error,
    /// so the output has to be read: Python, Rust and Node print the error's number or name, which
    /// no locale changes; Go and some servers print only the system's text.
    pub(super) fn is_address_in_use(&self) -> bool {
        let number = Errno::ADDRINUSE.raw_os_error();
        let text = io::Error::from(Errno::ADDRINUSE).to_string();
        let text = text.split(" (os error").next().unwrap_or(&text);
        [
            &*format!("[errno {number}]"),
            &*format!("(os error {number})"),
            "eaddrinuse",
            &*text.to_ascii_lowercase(),
        ]
        .iter()
        .any(|form| self.tail.to_ascii_lowercase().contains(form))
    }
}

impl AgentProcess {
    /// Starts a program in debug mode on a free loopback port. `other_ports` are tried as well, for
    /// programs that ignore `PPIO_AGENT_PORT`.
    pub(super) async fn start(
        mut program: Command,
        folder: &Path,
        other_ports: &[u16],
        console: &Arc<DevConsole>,
        watchdog: &Arc<GroupWatchdog>,
        telemetry: &Arc<DevTelemetry>,
    ) -> Result<Self, CliError> {
        let mut ports = vec![free_port().await?];
        for port in other_ports {
            // A port that is in use already belongs to another program.
            if TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port))
                .await
                .is_ok()
            {
                ports.push(*port);
            }
        }
        program
            .current_dir(folder)
            .env("PPIO_AGENT_DEBUG", "true")
            .env("PPIO_AGENT_HOST", Ipv4Addr::LOCALHOST.to_string())
            .env("PPIO_AGENT_PORT", ports[0].to_string())
            .env("PYTHONUNBUFFERED", "1")
            .env(RUN_VARIABLE, watchdog.run_id())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut variables = program.as_std().get_envs();
        let is_set = env::var_os(INSPECT_RUNS).is_some()
            || variables.any(|(name, value)| name == INSPECT_RUNS && value.is_some());
        if !is_set {
            program.env(INSPECT_RUNS, "true");
        }
        let name = program.as_std().get_program().to_owned();
        let mut group = AgentProcessGroup::spawn(&mut program, watchdog)
            .map_err(|error| CliError::system(format!("cannot run {}", name.display()), error))?;
        let (stdout, stderr) = group.take_output();
        let mut agent = Self {
            group,
            ports,
            console: Arc::clone(console),
            telemetry: Arc::clone(telemetry),
            readers: JoinSet::new(),
            tail: Arc::default(),
            drained: None,
        };
        agent.read(stdout);
        agent.read(stderr);
        Ok(agent)
    }

    /// Prints and keeps the lines of a pipe until the pipe is closed, except the lines in which a
    /// server reports its own state.
    fn read(&mut self, pipe: Option<impl AsyncRead + Send + Unpin + 'static>) {
        let Some(pipe) = pipe else { return };
        let console = Arc::clone(&self.console);
        let tail = Arc::clone(&self.tail);
        let telemetry = Arc::clone(&self.telemetry);
        // Lines that end with this URL are left out: users send their requests to the proxy.
        let private_url = format!("http://127.0.0.1:{}", self.ports[0]);
        self.readers.spawn(async move {
            let mut lines = AgentOutputReader::new(BufReader::new(pipe));
            while let Ok(Some(text)) = lines.next().await {
                let line = OutputLine::from(&*text);
                if text.ends_with(&private_url) || is_server_status(&line) {
                    continue;
                }
                console.agent_output(&line);
                telemetry.log_line(line);
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                if tail.len() == MAX_TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(clipped(text, MAX_TAIL_LINE));
            }
        });
    }

    pub(super) fn id(&self) -> Pid {
        self.group.id()
    }

    /// Returns the value of `PPIO_AGENT_PORT`.
    pub(super) fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Waits until the agent answers `GET /ping`, or has exited. If the agent listens only on other
    /// ports after [`SLOW_START`], `on_other_ports` is called with those ports, and the wait
    /// continues.
    pub(super) async fn serving(
        &mut self,
        on_other_ports: impl FnOnce(&BTreeSet<u16>),
    ) -> Result<AgentRoute, AgentExit> {
        let ports = self.ports.clone();
        let console = Arc::clone(&self.console);
        let group = self.group.id();
        let port = tokio::select! {
            biased;
            exit = self.exited() => return Err(exit),
            port = first_to_answer(&ports) => port,
            never = report_slow_start(group, &ports, &console, on_other_ports) => match never {},
        };
        let (route, drained) = AgentRoute::new(port, group);
        self.drained = Some(drained);
        Ok(route)
    }

    /// Waits for the exit. Cancel safe.
    pub(super) async fn exited(&mut self) -> AgentExit {
        let status = loop {
            match self.group.wait().await {
                Ok(status) => break status,
                // Interrupted by a signal: the process can still be waited for.
                Err(_) => sleep(MAX_PING_INTERVAL).await,
            }
        };
        self.read_rest().await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = tail.iter().cloned().collect::<Vec<_>>().join("\n");
        AgentExit { status, tail }
    }

    /// Waits until every forwarded request and every WebSocket has ended.
    pub(super) async fn drained(&mut self) {
        if let Some(drained) = &mut self.drained {
            drained.wait().await;
        }
    }

    /// Pauses the agent and its processes until [`resume`](Self::resume) or [`stop`](Self::stop).
    pub(super) fn pause(&self) {
        self.group.pause();
    }

    pub(super) fn resume(&self) {
        self.group.resume();
    }

    /// Sends SIGTERM, and SIGKILL after `grace`, and waits for the exit.
    pub(super) async fn stop(mut self, grace: Duration) {
        self.group.stop(grace).await;
        self.read_rest().await;
    }

    async fn read_rest(&mut self) {
        let read = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(OUTPUT_TIMEOUT, read).await;
    }
}

/// Whether a line is a log line in which the runtime's server reports its own state. This command
/// starts and stops the server, and reports that itself.
fn is_server_status(line: &OutputLine<'_>) -> bool {
    let is = |name: &str, value: &str| {
        let members = line.members();
        members.is_some_and(|members| members.get(name).is_some_and(|found| found == value))
    };
    is("level", "INFO") && is("target", SERVER_TARGET)
}

/// Returns a port that is free at this moment.
async fn free_port() -> Result<u16, CliError> {
    let address = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listener.local_addr()
    };
    let address = address
        .await
        .map_err(|error| CliError::system("cannot find a free port for the agent", error))?;
    Ok(address.port())
}

/// Waits for the first port on which `GET /ping` is answered, with any status.
async fn first_to_answer(ports: &[u16]) -> u16 {
    let mut pause = Duration::from_millis(2);
    loop {
        for port in ports {
            if matches!(timeout(PING_TIMEOUT, answers_ping(*port)).await, Ok(true)) {
                return *port;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PING_INTERVAL);
    }
}

/// After [`SLOW_START`], calls `on_other_ports` as soon as the agent listens only on ports that are
/// not tried. Before this call, prints once whether the agent listens.
async fn report_slow_start(
    group: Pid,
    ports: &[u16],
    console: &DevConsole,
    on_other_ports: impl FnOnce(&BTreeSet<u16>),
) -> Infallible {
    sleep(SLOW_START).await;
    let group = group.as_raw_nonzero().get().unsigned_abs();
    let mut reported = false;
    loop {
        let found = tokio::task::spawn_blocking(move || ppio_sandbox_local::listening_ports(group));
        let found = found.await.ok().and_then(Result::ok).unwrap_or_default();
        let listens = ports.iter().any(|port| found.contains(port));
        if !listens && !found.is_empty() {
            on_other_ports(&found);
            return pending().await;
        }
        if !std::mem::replace(&mut reported, true) {
            console.note(&if listens {
                "the agent listens, but does not answer `GET /ping` yet".to_owned()
            } else {
                let port = ports[0];
                format!("the agent does not listen on PPIO_AGENT_PORT ({port}) yet")
            });
        }
        sleep(LISTEN_CHECK_INTERVAL).await;
    }
}

async fn answers_ping(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return false;
    };
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static("/ping");
    let host = HeaderValue::from_static("localhost");
    request.headers_mut().insert(header::HOST, host);
    ppio_sandbox_local::forward(stream, request, ())
        .await
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_found_by_its_error() {
        let exit = |tail: &str| AgentExit {
            status: ExitStatus::default(),
            tail: tail.to_owned(),
        };
        let number = Errno::ADDRINUSE.raw_os_error();
        for tail in [
            format!("[Errno {number}] error while attempting to bind on address ('::', 8080)"),
            format!("OSError: [Errno {number}] Adresse wird bereits verwendet"),
            format!("Error: Os {{ .. }} (os error {number})"),
            "Error: listen EADDRINUSE: 8080".to_owned(),
            "Address already in use\nPort 8080 is in use by another program".to_owned(),
        ] {
            assert!(exit(&tail).is_address_in_use(), "{tail}");
        }
        let other = format!("[Errno 13] Permission denied; line {number}");
        assert!(!exit(&other).is_address_in_use());
    }

    #[test]
    fn the_servers_own_state_is_found_by_its_target() {
        let is_server_status = |line: &str| is_server_status(&line.into());
        assert!(is_server_status(
            r#"{"timestamp":"t","level":"INFO","message":"any","target":"ppio::server"}"#
        ));
        for line in [
            r#"{"level":"WARN","message":"any","target":"ppio::server"}"#,
            r#"{"level":"INFO","message":"any","target":"ppio::invocation"}"#,
            r#"{"level":"INFO","message":"any","target":"my_agent"}"#,
            "shutting down",
        ] {
            assert!(!is_server_status(line), "{line}");
        }
    }
}
