//! A running agent, as a separate process that ends with the test.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::capture::Capture;
use crate::example_binary;
use crate::free_port::free_port;
use crate::watchdog::Watchdog;

/// The time limit from start to a healthy `/ping`, unless the launcher sets another.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// The time limit from SIGTERM to the end of an agent.
const STOPPED_WITHIN: Duration = Duration::from_secs(40);
/// The time between two checks of a condition.
const POLL: Duration = Duration::from_millis(5);
/// The number of start attempts: another process may take the free port first.
const PORT_ATTEMPTS: usize = 5;

/// An agent that listens on its own loopback port.
///
/// Dropping it kills the agent and every process that the agent started. If the test is failing,
/// the agent's output is printed.
///
/// ```no_run
/// let agent = ppio_test_support::AgentProcess::start("hello");
/// println!("try {}/ping", agent.url());
/// let status = agent.stop_gracefully();
/// assert!(status.success());
/// ```
pub struct AgentProcess {
    process: Child,
    watchdog: Watchdog,
    address: SocketAddr,
    stdout: Capture,
    stderr: Capture,
}

impl AgentProcess {
    /// Builds the example `name` if needed, starts it and waits until it answers `/ping`.
    ///
    /// # Panics
    ///
    /// If the example does not build, exits early, or does not answer in time.
    pub fn start(name: &str) -> Self {
        Self::example(name).start()
    }

    /// Prepares a start of the example `name`, built first if needed.
    pub fn example(name: &str) -> AgentLauncher {
        Self::command(Command::new(example_binary::build(name)))
    }

    /// Prepares a start of any program that takes its address from `PPIO_AGENT_HOST` and
    /// `PPIO_AGENT_PORT`.
    pub fn command(command: Command) -> AgentLauncher {
        AgentLauncher {
            command,
            settings: Vec::new(),
            address: None,
            ready_within: READY_WITHIN,
        }
    }

    /// Returns the agent's URL without a trailing slash, such as `http://127.0.0.1:40001`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address on which the agent listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the agent's process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the agent's standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Returns the agent's standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether the agent is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Sends SIGTERM to the agent, without waiting for its end.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    pub fn terminate(&self) {
        if let Err(error) = kill_process(self.id(), Signal::TERM) {
            panic!("cannot send SIGTERM to the agent: {error}");
        }
    }

    /// Waits until the agent has exited by itself; after that, all its output is captured.
    ///
    /// # Panics
    ///
    /// If the agent still runs after `within`.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => {
                    self.stdout.finish();
                    self.stderr.finish();
                    return status;
                }
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(None) => panic!("the agent still runs after {within:?}"),
                Err(error) => panic!("cannot wait for the agent: {error}"),
            }
        }
    }

    /// Sends SIGTERM to the agent and waits for its end.
    ///
    /// # Panics
    ///
    /// If the agent still runs after 40 seconds, or has already ended.
    pub fn stop_gracefully(mut self) -> ExitStatus {
        assert!(self.is_running(), "the agent has ended before SIGTERM");
        self.terminate();
        self.wait(STOPPED_WITHIN)
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.process)
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        self.watchdog.dismiss();
        // Kills the group, so that no process that the agent started outlives the test. The group
        // may already be gone.
        let _ = kill_process_group(self.id(), Signal::KILL);
        let _ = self.process.wait();
        self.stdout.finish();
        self.stderr.finish();
        if thread::panicking() {
            eprintln!(
                "--- the agent's standard output\n{}--- the agent's standard error\n{}---",
                self.stdout.text(),
                self.stderr.text()
            );
        }
    }
}

/// A builder that starts an [`AgentProcess`].
pub struct AgentLauncher {
    command: Command,
    /// Variables that the test sets; they take precedence over the address that the launcher
    /// chooses.
    settings: Vec<(OsString, Option<OsString>)>,
    /// The address on which the agent has to listen; `None` for a free port.
    address: Option<SocketAddr>,
    ready_within: Duration,
}

impl AgentLauncher {
    /// Sets an environment variable of the agent.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.settings.push((key.into(), Some(value.into())));
        self
    }

    /// Removes an environment variable of the agent, even one that the launcher sets.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.settings.push((key.into(), None));
        self
    }

    /// Adds a command line argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Sets the address, such as that of an earlier agent; the default is a free loopback port.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets the time limit for the first healthy `/ping`; the default is 20 seconds.
    pub fn ready_within(mut self, deadline: Duration) -> Self {
        self.ready_within = deadline;
        self
    }

    /// Starts the agent and waits until it answers `/ping` with status 200.
    ///
    /// # Panics
    ///
    /// If the agent cannot be started, exits early, or does not answer in time; its output is
    /// printed.
    pub fn start(mut self) -> AgentProcess {
        for _ in 0..PORT_ATTEMPTS {
            let mut agent = self.launch();
            match self.wait_until_ready(&mut agent) {
                Ok(()) => return agent,
                Err(NotReady::PortTaken) => {}
                Err(NotReady::Ended(status)) => {
                    // Dropping the agent prints its output.
                    panic!("the agent ended at once ({status})");
                }
                Err(NotReady::Silent) => panic!(
                    "the agent did not answer {}/ping with 200 within {:?}",
                    agent.url(),
                    self.ready_within,
                ),
            }
        }
        panic!("other processes took {PORT_ATTEMPTS} free ports in a row");
    }

    /// Starts the agent and waits until it accepts connections, for an agent that is not healthy.
    ///
    /// # Panics
    ///
    /// If the agent cannot be started, exits early, or does not listen in time.
    pub fn listening(mut self) -> AgentProcess {
        let mut agent = self.launch();
        let deadline = Instant::now() + self.ready_within;
        while TcpStream::connect(agent.address).is_err() {
            assert!(agent.is_running(), "the agent ended at once");
            assert!(Instant::now() < deadline, "the agent does not listen");
            thread::sleep(POLL);
        }
        agent
    }

    /// Starts the agent without waiting for it, for an agent that is expected to refuse to start.
    ///
    /// # Panics
    ///
    /// If the agent cannot be started.
    pub fn spawn(mut self) -> AgentProcess {
        self.launch()
    }

    fn launch(&mut self) -> AgentProcess {
        let address = self
            .address
            .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, free_port()).into());
        self.command
            .env("PPIO_AGENT_HOST", address.ip().to_string())
            .env("PPIO_AGENT_PORT", address.port().to_string());
        for (name, value) in &self.settings {
            match value {
                Some(value) => self.command.env(name, value),
                None => self.command.env_remove(name),
            };
        }
        let mut process = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                let program = self.command.get_program();
                panic!("cannot start {}: {error}", program.to_string_lossy())
            });
        let stdout = process.stdout.take().expect("standard output is piped");
        let stderr = process.stderr.take().expect("standard error is piped");
        AgentProcess {
            watchdog: Watchdog::guard(Pid::from_child(&process)),
            process,
            address,
            stdout: Capture::start(stdout),
            stderr: Capture::start(stderr),
        }
    }

    fn wait_until_ready(&self, agent: &mut AgentProcess) -> Result<(), NotReady> {
        let deadline = Instant::now() + self.ready_within;
        loop {
            let ready = answers_ping(agent.address);
            // Checked after the ping: if the agent has exited, another process answered the ping.
            if let Ok(Some(status)) = agent.process.try_wait() {
                return Err(match TcpListener::bind(agent.address) {
                    Ok(_) => NotReady::Ended(status),
                    Err(_) => NotReady::PortTaken,
                });
            }
            if ready {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(NotReady::Silent);
            }
            thread::sleep(POLL);
        }
    }
}

/// Why an agent is not ready.
enum NotReady {
    Ended(ExitStatus),
    PortTaken,
    Silent,
}

fn answers_ping(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(
            socket,
            "GET /ping HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}
