//! One process of the agent, from its start to its end.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::future::pending;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::console::Console;
use super::listening_ports as listening;
use super::process_group::ProcessGroup;
use super::proxy::{Drained, Route};
use super::watchdog::{MARK, Watchdog};
use crate::error::Failure;

/// The most lines that are kept to explain an end.
const LAST_WORDS: usize = 60;
/// How long a health check may take before it is asked again.
const PING_DEADLINE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// When to say that the agent is slow, or listens elsewhere.
const SLOW: Duration = Duration::from_secs(10);
/// How often it is looked where a slow agent listens.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long what the agent wrote last may take to be read after its end.
const READ_DEADLINE: Duration = Duration::from_secs(1);

/// What the runtime logs when it is asked to end, which only a person who asked it should read.
const FAREWELL: &str = "shutting down; a second signal cuts what still runs";

#[derive(Debug)]
pub(super) struct AgentProcess {
    group: ProcessGroup,
    /// Where it may listen; the first is where it was told to.
    ports: Vec<u16>,
    console: Arc<Console>,
    readers: JoinSet<()>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    drained: Option<Drained>,
}

/// How a process ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) last_words: String,
}

impl AgentProcess {
    /// Starts a program in debug mode on a loopback port of its own. `other_ports` are where programs listen that do
    /// not heed `PPIO_AGENT_PORT`.
    pub(super) async fn start(
        mut program: Command,
        folder: &Path,
        other_ports: &[u16],
        console: &Arc<Console>,
        watchdog: &Arc<Watchdog>,
    ) -> Result<Self, Failure> {
        let mut ports = vec![free_port().await?];
        for port in other_ports {
            // What listens there now is not the agent.
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
            .env(MARK, watchdog.mark())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let name = program.as_std().get_program().to_owned();
        let mut group = ProcessGroup::spawn(&mut program, watchdog)
            .map_err(|error| Failure::system(format!("cannot run {}", name.display()), error))?;
        let (stdout, stderr) = group.take_output();
        let mut agent = Self {
            group,
            ports,
            console: Arc::clone(console),
            readers: JoinSet::new(),
            last_words: Arc::default(),
            drained: None,
        };
        agent.read(stdout);
        agent.read(stderr);
        Ok(agent)
    }

    /// Shows what comes from a pipe, until its end.
    fn read(&mut self, pipe: Option<impl AsyncRead + Send + Unpin + 'static>) {
        let Some(pipe) = pipe else { return };
        let console = Arc::clone(&self.console);
        let last_words = Arc::clone(&self.last_words);
        // The front's address is the one that counts.
        let greeting = format!("listening on http://127.0.0.1:{}", self.ports[0]);
        self.readers.spawn(async move {
            let mut lines = BufReader::new(pipe).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\r');
                if line == greeting || line.contains(FAREWELL) {
                    continue;
                }
                console.agent(line);
                let mut last_words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
                if last_words.len() == LAST_WORDS {
                    last_words.pop_front();
                }
                last_words.push_back(line.to_owned());
            }
        });
    }

    /// The port that it was told to listen on.
    pub(super) fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Waits until the agent serves, or has ended. `elsewhere` gets the ports that it listens on instead, if it does
    /// for a while; that need not be the end of it.
    pub(super) async fn serving(
        &mut self,
        elsewhere: impl FnOnce(&BTreeSet<u16>),
    ) -> Result<Route, Ended> {
        let ports = self.ports.clone();
        let console = Arc::clone(&self.console);
        let group = self.group.id();
        let port = tokio::select! {
            biased;
            ended = self.ended() => return Err(ended),
            port = first_to_answer(&ports) => port,
            never = complain(group, &ports, &console, elsewhere) => match never {},
        };
        let (route, drained) = Route::to(port);
        self.drained = Some(drained);
        Ok(route)
    }

    /// Waits for the end. May be given up and called again.
    pub(super) async fn ended(&mut self) -> Ended {
        let status = loop {
            match self.group.wait().await {
                Ok(status) => break status,
                // Interrupted; a child of ours is there to be waited for.
                Err(_) => tokio::time::sleep(LONGEST_PAUSE).await,
            }
        };
        let read = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(READ_DEADLINE, read).await;
        let words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last_words = words.iter().cloned().collect::<Vec<_>>().join("\n");
        Ended { status, last_words }
    }

    /// Waits until every request that was passed on to the agent is answered.
    pub(super) async fn idle(&mut self) {
        if let Some(drained) = &mut self.drained {
            drained.wait().await;
        }
    }

    /// Asks the agent to end, and kills it when it has not after `grace`.
    pub(super) async fn end(mut self, grace: Duration) {
        self.group.end(grace).await;
        let read = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(READ_DEADLINE, read).await;
    }
}

/// A port that was free a moment ago.
async fn free_port() -> Result<u16, Failure> {
    let address = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listener.local_addr()
    };
    let address = address
        .await
        .map_err(|error| Failure::system("cannot find a free port for the agent", error))?;
    Ok(address.port())
}

/// The first of the ports where a health check is answered, however.
async fn first_to_answer(ports: &[u16]) -> u16 {
    let mut pause = Duration::from_millis(2);
    loop {
        for port in ports {
            if matches!(timeout(PING_DEADLINE, answers(*port)).await, Ok(true)) {
                return *port;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Says that the agent takes long, and finds out whether it listens on none of the ports where it is asked.
async fn complain(
    group: Pid,
    ports: &[u16],
    console: &Console,
    elsewhere: impl FnOnce(&BTreeSet<u16>),
) -> Infallible {
    tokio::time::sleep(SLOW).await;
    let mut is_told = false;
    loop {
        let look = tokio::task::spawn_blocking(move || listening::ports(group));
        let found = look.await.unwrap_or_default();
        let listens = ports.iter().any(|port| found.contains(port));
        if !listens && !found.is_empty() {
            elsewhere(&found);
            return pending().await;
        }
        if !std::mem::replace(&mut is_told, true) {
            console.note(&if listens {
                "the agent listens, but does not answer `GET /ping` yet".to_owned()
            } else {
                let port = ports[0];
                format!("the agent does not answer yet; it should listen on PPIO_AGENT_PORT, here {port}")
            });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn answers(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return false;
    };
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = axum::http::Uri::from_static("/ping");
    let host = axum::http::HeaderValue::from_static("localhost");
    request.headers_mut().insert(axum::http::header::HOST, host);
    ppio_sandbox_local::forward(stream, request).await.is_ok()
}
