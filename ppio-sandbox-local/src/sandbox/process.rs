//! One process of a sandbox, whose output is sent to every reader.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc, watch};

use super::logs::{LineCutter, LogBuffer, SandboxLogLevel};
use super::output_readers::{OutputChannel, OutputEvent, OutputReaders};
use super::terminal::PseudoTerminal;
use crate::files::Owner;
use crate::processes;

/// The time to wait for more output after a process has ended, while a child of the process still
/// has the pipe open.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_millis(200);
/// The amount of output after the end of a process at which the end is reported, in bytes: more
/// than a pipe holds. Output is still read after that.
const OUTPUT_DRAIN_LIMIT: usize = 1 << 20;
/// The longest time that the processes of a command may take to end after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
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

type InputStream = Box<dyn AsyncWrite + Send + Unpin>;
type OutputStream = Box<dyn AsyncRead + Send + Unpin>;

pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) config: ProcessConfig,
    pub(crate) tag: Option<String>,
    pub(crate) terminal: Option<PseudoTerminal>,
    input: Mutex<Option<InputStream>>,
    readers: OutputReaders,
    end: watch::Sender<Option<ExitStatus>>,
    /// Whether the process was waited for, so that its pid may belong to another process.
    reaped: watch::Sender<bool>,
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
    /// Pipes. Without `stdin` the standard input is empty, so that programs do not wait for input.
    Pipes {
        stdin: bool,
    },
    Terminal(PseudoTerminal),
}

impl Process {
    /// Starts `command` and returns the process together with its first reader.
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
                let (output, input) = terminal.streams()?;
                let output: OutputStream = Box::new(output);
                (
                    child,
                    Some(Box::new(input) as InputStream),
                    vec![(OutputChannel::Pty, output)],
                    Some(terminal),
                )
            }
        };
        // While `command` holds the writing ends, the output does not end.
        drop(command);
        let pid = child
            .id()
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        let process = Arc::new(Self {
            pid,
            config,
            tag,
            terminal,
            input: Mutex::new(input),
            readers: OutputReaders::default(),
            end: watch::Sender::new(None),
            reaped: watch::Sender::new(false),
        });
        let events = process.readers.subscribe();
        let (pumping, drained) = mpsc::channel(1);
        for (channel, output) in outputs {
            let pump =
                Arc::clone(&process).pump(channel, output, Arc::clone(logs), pumping.clone());
            tokio::spawn(pump);
        }
        tokio::spawn(Arc::clone(&process).reap(child, drained));
        Ok((process, events))
    }

    /// Subscribes to the output from now on; earlier output is in the logs.
    pub(crate) fn subscribe(&self) -> mpsc::Receiver<OutputEvent> {
        self.readers.subscribe()
    }

    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut input = self.input.lock().await;
        let Some(input) = input.as_mut() else {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "standard input is closed",
            ));
        };
        let mut reaped = self.reaped.subscribe();
        tokio::select! {
            written = input.write_all(bytes) => written,
            // A child of the process may hold the other end without reading.
            _ = reaped.wait_for(|reaped| *reaped) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(crate) async fn close_input(&self) {
        self.input.lock().await.take();
    }

    /// Signals the process group, so that children of a shell end with it. With a terminal, also
    /// signals the group that leads the terminal's session, which may be another group.
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
            // The process has not created its group yet.
            Err(Errno::SRCH) if !*self.reaped.borrow() => {
                rustix::process::kill_process(group, signal).map_err(io::Error::from)
            }
            signalled => signalled.map_err(io::Error::from),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits for the end of the process, and returns its status.
    pub(crate) async fn wait(&self) -> Option<ExitStatus> {
        let mut end = self.end.subscribe();
        end.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
    }

    /// Kills the process with its children, even those that left its process group.
    pub(crate) async fn kill_tree(&self) -> io::Result<()> {
        let mut roots = Vec::from([i32::try_from(self.pid).map_err(io::Error::other)?]);
        let leader = self
            .terminal
            .as_ref()
            .and_then(PseudoTerminal::session_leader);
        roots.extend(leader.map(Pid::as_raw_pid));
        let deadline = Instant::now() + KILL_TIMEOUT;
        loop {
            let searched = roots.clone();
            let found = tokio::task::spawn_blocking(move || processes::descendants(&searched));
            let mut found = found.await.map_err(io::Error::other)??;
            if !*self.reaped.borrow() {
                found.extend(i32::try_from(self.pid));
            }
            if found.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let message = format!("{} processes did not react to SIGKILL", found.len());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            processes::signal(&found, Signal::KILL);
            // Children of ended processes have another parent, but their session stays the same.
            roots.extend(found);
            roots.sort_unstable();
            roots.dedup();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends the output to the readers and to the logs. `pumping` is dropped when all output of the
    /// process itself was sent.
    async fn pump(
        self: Arc<Self>,
        channel: OutputChannel,
        mut output: OutputStream,
        logs: Arc<LogBuffer>,
        pumping: mpsc::Sender<Infallible>,
    ) {
        let pid = self.pid.to_string();
        let level = if channel == OutputChannel::Stderr {
            SandboxLogLevel::Error
        } else {
            SandboxLogLevel::Info
        };
        let fields = [("pid", pid.as_str()), ("stream", channel.as_str())];
        let mut cutter = LineCutter::default();
        let mut buffer = vec![0; READ_CHUNK];
        let mut reaped = self.reaped.subscribe();
        let mut pumping = Some(pumping);
        let mut after_end = 0;
        loop {
            let silence = async {
                let _ = reaped.wait_for(|reaped| *reaped).await;
                tokio::time::sleep(OUTPUT_DRAIN_TIMEOUT).await;
            };
            let count = tokio::select! {
                biased;
                count = output.read(&mut buffer) => count,
                // A background child may still write to the logs.
                () = silence, if pumping.is_some() => {
                    pumping = None;
                    continue;
                }
            };
            // A terminal whose last program has ended returns an error instead of an end of file.
            let Ok(count @ 1..) = count else { break };
            cutter.feed(&buffer[..count], |line| logs.push(level, line, &fields));
            let bytes = Bytes::copy_from_slice(&buffer[..count]);
            self.readers.send(&OutputEvent::Data(channel, bytes)).await;
            if *self.reaped.borrow() {
                after_end += count;
                if after_end > OUTPUT_DRAIN_LIMIT {
                    pumping = None;
                }
            }
        }
        cutter.finish(|line| logs.push(level, line, &fields));
    }

    async fn reap(self: Arc<Self>, mut child: Child, mut drained: mpsc::Receiver<Infallible>) {
        let status = child
            .wait()
            .await
            .unwrap_or_else(|_| ExitStatus::from_raw(0xff00));
        self.reaped.send_replace(true);
        // Waits until no pump sends output of the process.
        drained.recv().await;
        self.end.send_replace(Some(status));
        self.readers.end(status).await;
        self.close_input().await;
    }
}
