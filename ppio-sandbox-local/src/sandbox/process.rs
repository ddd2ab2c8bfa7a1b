//! One process of a sandbox, whose output is sent to every listener.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use super::logs::{LineCutter, LogBuffer, LogLevel};
use super::terminal::PseudoTerminal;
use crate::files::Owner;
use crate::processes;

/// For output after a process has ended, while a child of it still holds the pipe.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_millis(200);
/// Events that wait for one listener; beyond that the process waits.
const EVENT_BACKLOG: usize = 64;
const READ_CHUNK: usize = 32 * 1024;

/// The command of a process, as clients send it and as `List` returns it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ProcessConfig {
    pub(crate) cmd: String,
    pub(crate) args: Vec<String>,
    pub(crate) envs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputChannel {
    Stdout,
    Stderr,
    Pty,
}

impl OutputChannel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Pty => "pty",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum OutputEvent {
    Data(OutputChannel, Bytes),
    End(ExitStatus),
}

type InputStream = Box<dyn AsyncWrite + Send + Unpin>;
type OutputStream = Box<dyn AsyncRead + Send + Unpin>;

pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) config: ProcessConfig,
    pub(crate) tag: Option<String>,
    pub(crate) terminal: Option<PseudoTerminal>,
    input: Mutex<Option<InputStream>>,
    listeners: Mutex<Vec<mpsc::Sender<OutputEvent>>>,
    end: watch::Sender<Option<ExitStatus>>,
    /// Whether its pid may belong to another process.
    reaped: AtomicBool,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Process")
            .field("pid", &self.pid)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

/// The standard streams that a process is started with.
#[derive(Debug)]
pub(crate) enum StandardStreams {
    /// Pipes. Without `stdin` the standard input is empty, so that programs do not wait for it.
    Pipes {
        stdin: bool,
    },
    Terminal(PseudoTerminal),
}

impl Process {
    /// Starts `command` and returns the process together with its first listener.
    pub(crate) fn spawn(
        mut command: Command,
        config: ProcessConfig,
        tag: Option<String>,
        streams: StandardStreams,
        owner: Owner,
        logs: &Arc<LogBuffer>,
    ) -> io::Result<(Arc<Self>, mpsc::Receiver<OutputEvent>)> {
        let (child, input, outputs, terminal) = match streams {
            StandardStreams::Pipes { stdin } => {
                let mut input = None;
                if stdin {
                    let (sender, reader) = processes::input_pipe(owner)?;
                    command.stdin(reader);
                    input = Some(Box::new(sender) as InputStream);
                }
                let mut outputs: Vec<(OutputChannel, OutputStream)> = Vec::new();
                let (output, writer) = processes::output_pipe(owner)?;
                command.stdout(writer);
                outputs.push((OutputChannel::Stdout, Box::new(output)));
                let (output, writer) = processes::output_pipe(owner)?;
                command.stderr(writer);
                outputs.push((OutputChannel::Stderr, Box::new(output)));
                let child = processes::spawn(&mut command)?;
                (child, input, outputs, None)
            }
            StandardStreams::Terminal(terminal) => {
                terminal.attach(&mut command, owner)?;
                let child = processes::spawn(&mut command)?;
                let input: InputStream = Box::new(terminal.stream()?);
                let output: OutputStream = Box::new(terminal.stream()?);
                (
                    child,
                    Some(input),
                    vec![(OutputChannel::Pty, output)],
                    Some(terminal),
                )
            }
        };
        // While it holds the writing ends, the output does not end.
        drop(command);
        let pid = child
            .id()
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        let (sender, receiver) = mpsc::channel(EVENT_BACKLOG);
        let process = Arc::new(Self {
            pid,
            config,
            tag,
            terminal,
            input: Mutex::new(input),
            listeners: Mutex::new(vec![sender]),
            end: watch::Sender::new(None),
            reaped: AtomicBool::new(false),
        });
        let pumps = outputs
            .into_iter()
            .map(|(channel, output)| {
                tokio::spawn(Arc::clone(&process).pump(channel, output, Arc::clone(logs)))
            })
            .collect();
        tokio::spawn(Arc::clone(&process).reap(child, pumps));
        Ok((process, receiver))
    }

    /// Subscribes to the output from now on; earlier output is in the logs.
    pub(crate) async fn listen(&self) -> mpsc::Receiver<OutputEvent> {
        let (sender, receiver) = mpsc::channel(EVENT_BACKLOG);
        self.listeners.lock().await.push(sender);
        receiver
    }

    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut input = self.input.lock().await;
        let Some(input) = input.as_mut() else {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "standard input is closed",
            ));
        };
        input.write_all(bytes).await?;
        input.flush().await
    }

    pub(crate) async fn close_input(&self) {
        self.input.lock().await.take();
    }

    /// Signals the process group, so that children of a shell end with it. With a terminal also the
    /// group that leads the session of the terminal, which may be another.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let group = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("the process has no id"))?;
        let leader = self
            .terminal
            .as_ref()
            .and_then(PseudoTerminal::session_leader);
        if let Some(leader) = leader.filter(|leader| *leader != group) {
            let _ = rustix::process::kill_process_group(leader, signal);
        }
        match rustix::process::kill_process_group(group, signal) {
            // It has not created its group yet.
            Err(Errno::SRCH) if !self.reaped.load(Ordering::Acquire) => {
                rustix::process::kill_process(group, signal).map_err(io::Error::from)
            }
            signalled => signalled.map_err(io::Error::from),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Option<ExitStatus> {
        let mut end = self.end.subscribe();
        end.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
    }

    async fn pump(
        self: Arc<Self>,
        channel: OutputChannel,
        mut output: OutputStream,
        logs: Arc<LogBuffer>,
    ) {
        let pid = self.pid.to_string();
        let level = if channel == OutputChannel::Stderr {
            LogLevel::Error
        } else {
            LogLevel::Info
        };
        let fields = [("pid", pid.as_str()), ("stream", channel.as_str())];
        let mut cutter = LineCutter::default();
        let mut buffer = vec![0; READ_CHUNK];
        // A terminal whose last program has ended returns an error instead of an end of file.
        while let Ok(count @ 1..) = output.read(&mut buffer).await {
            cutter.feed(&buffer[..count], |line| logs.push(level, line, &fields));
            self.send_event(OutputEvent::Data(
                channel,
                Bytes::copy_from_slice(&buffer[..count]),
            ))
            .await;
        }
        cutter.finish(|line| logs.push(level, line, &fields));
    }

    async fn reap(self: Arc<Self>, mut child: Child, pumps: Vec<JoinHandle<()>>) {
        let status = child
            .wait()
            .await
            .unwrap_or_else(|_| ExitStatus::from_raw(0xff00));
        self.reaped.store(true, Ordering::Release);
        // Pumps that are not done by then go on: a background child may still write to the logs.
        let _ =
            tokio::time::timeout(OUTPUT_DRAIN_TIMEOUT, futures_util::future::join_all(pumps)).await;
        self.end.send_replace(Some(status));
        self.send_event(OutputEvent::End(status)).await;
        self.listeners.lock().await.clear();
        self.close_input().await;
    }

    async fn send_event(&self, event: OutputEvent) {
        let mut listeners = self.listeners.lock().await;
        let mut gone = Vec::new();
        for (index, listener) in listeners.iter().enumerate() {
            if listener.send(event.clone()).await.is_err() {
                gone.push(index);
            }
        }
        for index in gone.into_iter().rev() {
            listeners.swap_remove(index);
        }
    }
}
