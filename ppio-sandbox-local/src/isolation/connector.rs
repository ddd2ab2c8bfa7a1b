//! Connects to ports in the network namespace of a sandbox.
//!
//! A socket belongs to the network namespace that its process was in when the socket was opened.
//! The platform itself cannot enter another namespace: an ordinary user needs rights that only a
//! process with a single thread can get. So a shell enters the network namespace, and no other
//! namespace of the sandbox. The processes of the sandbox do not see the shell. The shell connects,
//! and the platform copies its socket (`pidfd_getfd(2)`).

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore};

use crate::processes;

/// For each line with an address and a port, prints the number of a connected socket, or `refused`.
/// The next line of input reports that the socket was copied. The shell must be bash, which opens a
/// socket for a path below `/dev/tcp`.
const SCRIPT: &str = r#"
while read -r address port; do
  if { exec {socket}<>"/dev/tcp/$address/$port"; } 2>/dev/null; then
    echo "$socket"
    read -r copied
    exec {socket}>&-
  else
    echo refused
  fi
done
"#;
/// The timeout of a connection. It is longer than a connection on one machine takes, unless the
/// server's queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of connections that are opened at the same time, each by one shell.
const MAX_SHELLS: usize = 16;

/// Connects to ports in one network namespace.
#[derive(Debug)]
pub(crate) struct NetworkConnector {
    /// The programs that enter the namespace, and the shell.
    arguments: Vec<OsString>,
    /// The shell that connected last. While this shell connects, another shell is started for a
    /// connection to another port, because a server that does not accept connections must not delay
    /// connections to other ports.
    idle: Mutex<Option<ConnectorShell>>,
    /// The ports to which connections are being opened, one at a time for each port, so that one
    /// port does not occupy all shells.
    ports: Mutex<HashMap<u16, Arc<AsyncMutex<()>>>>,
    shells: Semaphore,
}

#[derive(Debug)]
struct ConnectorShell {
    process: OwnedFd,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// The shell, which is killed when dropped. The shell also ends when its standard input is
    /// closed, as happens when the platform is killed.
    _child: Child,
}

impl NetworkConnector {
    /// Starts the shell in the namespace that the programs of `entering` enter.
    ///
    /// # Errors
    ///
    /// If the namespace cannot be entered, or the shell's sockets cannot be copied.
    pub(super) async fn start(mut entering: Vec<OsString>, bash: &Path) -> io::Result<Self> {
        processes::push_program(&mut entering, bash, ["-c", SCRIPT]);
        let shell = ConnectorShell::start(&entering).await?;
        Ok(Self {
            arguments: entering,
            idle: Mutex::new(Some(shell)),
            ports: Mutex::default(),
            shells: Semaphore::new(MAX_SHELLS),
        })
    }

    /// Connects to an address as processes in the namespace would. `None` if the connection fails,
    /// usually because it is refused.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<Option<TcpStream>> {
        let connecting = async {
            let _turn = self.turn(address.port()).await;
            let _permit = self.shells.acquire().await.map_err(io::Error::other)?;
            let idle = self.idle().take();
            // The shell is killed if it fails or if this future is dropped, because its answer may
            // arrive later.
            let mut shell = match idle {
                Some(shell) => shell,
                None => ConnectorShell::start(&self.arguments).await?,
            };
            let stream = shell.connect(address).await?;
            *self.idle() = Some(shell);
            Ok(stream)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await?
    }

    fn idle(&self) -> MutexGuard<'_, Option<ConnectorShell>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other connection to `port` is being opened.
    async fn turn(&self, port: u16) -> OwnedMutexGuard<()> {
        let turn = {
            let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
            ports.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(ports.entry(port).or_default())
        };
        turn.lock_owned().await
    }
}

impl ConnectorShell {
    async fn start(arguments: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = arguments.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Outside the terminal's process group, so that Ctrl-C does not reach the shell.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = processes::spawn(&mut command)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("the connector has ended"))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the connector has no standard streams"));
        };
        let mut shell = Self {
            process: pidfd_open(pid, PidfdFlags::empty())?,
            requests,
            answers: BufReader::new(answers).lines(),
            _child: child,
        };
        // Port 0 is never open: the answer shows that the shell has entered the namespace.
        let starting = shell.request("127.0.0.1 0");
        tokio::time::timeout(CONNECT_TIMEOUT, starting).await??;
        shell.copy(1)?;
        Ok(shell)
    }

    async fn connect(&mut self, address: SocketAddr) -> io::Result<Option<TcpStream>> {
        let request = format!("{} {}", address.ip(), address.port());
        let Ok(number) = self.request(&request).await?.parse() else {
            return Ok(None);
        };
        let copied = self.copy(number)?;
        self.requests.write_all(b"copied\n").await?;
        let stream = StdTcpStream::from(copied);
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream).map(Some)
    }

    async fn request(&mut self, line: &str) -> io::Result<String> {
        let line = format!("{line}\n");
        self.requests.write_all(line.as_bytes()).await?;
        let answer = self.answers.next_line().await?;
        answer.ok_or_else(|| {
            io::Error::other("the connector of the sandbox's network namespace has ended")
        })
    }

    fn copy(&self, number: i32) -> io::Result<OwnedFd> {
        pidfd_getfd(&self.process, number, PidfdGetfdFlags::empty()).map_err(|error| {
            io::Error::other(format!(
                "failed to copy a socket of the sandbox's network namespace: {error}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::pin::pin;

    use super::*;

    /// Opens connections to a server that accepts none, until its queue is full.
    fn fill_queue(address: SocketAddr) -> Vec<StdTcpStream> {
        let timeout = Duration::from_millis(200);
        let connect = || StdTcpStream::connect_timeout(&address, timeout).ok();
        std::iter::from_fn(connect).collect()
    }

    #[tokio::test]
    async fn a_port_that_accepts_nothing_does_not_delay_others() {
        // The shell stays in this machine's network, because no program enters another network.
        let bash = processes::find_program("bash").unwrap();
        let connector = NetworkConnector::start(Vec::new(), &bash).await.unwrap();
        let full = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        rustix::net::listen(&full, 0).unwrap();
        let full_address = full.local_addr().unwrap();
        let _queued = fill_queue(full_address);
        let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = open.local_addr().unwrap();

        let mut waiting = pin!(async {
            tokio::join!(
                connector.connect(full_address),
                connector.connect(full_address)
            )
        });
        for _ in 0..3 {
            let connected = tokio::select! {
                biased;
                ended = &mut waiting => panic!("{ended:?}"),
                connected = connector.connect(address) => connected,
            };
            assert!(connected.unwrap().is_some());
        }
        // Two shells: the one that waits and the one that connected last.
        assert_eq!(connector.shells.available_permits(), MAX_SHELLS - 1);
        assert!(connector.idle().is_some());
    }
}
