//! The command as a process of its own, and a local platform for it in a home that goes with the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod cargo_project;
pub(crate) mod snapshot;

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ppio_agent_client::{AgentConfig, AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::{LocalPlatform, RunningPlatform, TemplateSpec};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// No command of a test may take longer.
const DEADLINE: Duration = Duration::from_secs(60);
/// One that compiles may: other tests hold the compiler's lock meanwhile.
const COMPILATION: Duration = Duration::from_secs(400);
/// What fits on the terminal: everything.
pub(crate) const SCREEN: rustix::termios::Winsize = rustix::termios::Winsize {
    ws_row: 200,
    ws_col: 110,
    ws_xpixel: 0,
    ws_ypixel: 0,
};
const POLL: Duration = Duration::from_millis(5);

/// Waits until a condition holds.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(DEADLINE, what, holds);
}

/// [`until`], for what waits for cargo.
pub(crate) fn until_compiled(what: &str, holds: impl FnMut() -> bool) {
    until_within(COMPILATION, what, holds);
}

fn until_within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(POLL);
    }
}

/// A home folder with nothing in it, and commands that know of nothing else.
pub(crate) struct Sandbox {
    folder: TempDir,
    platform: Option<Running>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            platform: None,
        }
    }

    /// With these templates, on a platform that `local up` runs.
    pub(crate) fn with(templates: impl IntoIterator<Item = TemplateSpec>) -> Self {
        let mut sandbox = Self::new();
        sandbox.build(templates);
        sandbox.up();
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("platform")
    }

    /// Builds templates that the next platform of this home has.
    pub(crate) fn build(&self, templates: impl IntoIterator<Item = TemplateSpec>) {
        on_runtime(async {
            let platform = LocalPlatform::builder().home(self.home()).start().await;
            let platform = platform.expect("the platform starts");
            for template in templates {
                let built = platform.build_template(template).await;
                built.expect("the template is built");
            }
            platform.shutdown().await.expect("the platform ends");
        });
    }

    /// Starts `local up` and waits until it answers.
    pub(crate) fn up(&mut self) {
        let process = self.command(["local", "up"]).spawn();
        until("the platform runs", || self.running().is_some());
        self.platform = Some(process);
    }

    pub(crate) fn running(&self) -> Option<RunningPlatform> {
        LocalPlatform::running_at(self.home())
    }

    pub(crate) fn key(&self) -> String {
        std::fs::read_to_string(self.home().join("key")).expect("there is a key")
    }

    /// A client of the platform, to look at it past the command.
    pub(crate) fn client(&self) -> AgentRuntimeClient {
        let running = self.running().expect("the platform runs");
        let variables = running.environment();
        let config = ClientConfig {
            base_url: Some(running.url().to_owned()),
            domain: variables.get("PPIO_DOMAIN").cloned(),
            sandbox_url: Some(running.url().to_owned()),
            ..ClientConfig::default()
        };
        let builder = AgentRuntimeClient::builder().config(config);
        let client = builder.api_key(running.api_key()).build();
        client.expect("the client is well configured")
    }

    /// The ids of all sandboxes.
    pub(crate) fn sandboxes(&self) -> Vec<String> {
        on_runtime(async {
            let all = self.client().list_sessions().await;
            let all = all.expect("the platform lists its sandboxes");
            all.into_iter()
                .map(ppio_agent_client::SandboxSession::detach)
                .collect()
        })
    }

    /// The id of the template with this name.
    pub(crate) fn template(&self, name: &str) -> String {
        on_runtime(async {
            let template = self.client().get_template(name).await;
            template.expect("the template is there").template_id
        })
    }

    /// A project folder whose agent.yaml names this template.
    pub(crate) fn project(&self, name: &str, template_id: &str) -> PathBuf {
        let folder = self.path("project");
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = format!(
            "# by hand\nmetadata:\n  name: {name}\n  version: \"1.0.0\"\n  author: a@example.com\nspec:\n  entrypoint: src/main.rs\nstatus:\n  phase: deployed\n  template_id: {template_id}\n"
        );
        std::fs::write(folder.join("agent.yaml"), text).expect("agent.yaml");
        folder
    }

    /// Prepares the command with these arguments. Its environment holds nothing of the test's but PATH.
    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Invocation {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ppio-sandbox-cli"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("PPIO_LOCAL_HOME", self.home())
            .current_dir(self.folder.path());
        Invocation {
            command,
            stdin: Stdin::Nothing,
        }
    }

    /// Runs the command with these arguments to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Done {
        self.command(arguments).run()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // One in the background has no process of ours.
        if let Some(running) = self.running() {
            send(running.pid(), Signal::TERM);
            until("the platform ends", || !running.is_running());
        }
        if let Some(platform) = self.platform.take() {
            platform.wait();
        }
    }
}

/// Waits for a future where the test is none.
pub(crate) fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(future)
}

/// Sends a signal, to a process that may have ended.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = kill_process(pid.expect("a process id"), signal);
}

/// A template with an agent's configuration, of the scripted agent.
pub(crate) fn scripted(name: &str) -> TemplateSpec {
    agent(name, &integration_tests::agent_binary("scripted-agent"))
}

/// A template with an agent's configuration, of any binary.
pub(crate) fn agent(name: &str, binary: &Path) -> TemplateSpec {
    TemplateSpec::new(name).binary(binary).config(config(name))
}

/// What an agent.yaml of this name holds at least.
pub(crate) fn config(name: &str) -> AgentConfig {
    AgentConfig::from_json(&format!(
        r#"{{"metadata": {{"name": "{name}", "version": "1.0.0", "author": "a@example.com", "tags": ["test"]}},
            "spec": {{"entrypoint": "src/main.rs", "runtime": {{"timeout": 20}}}}}}"#
    ))
    .expect("a valid configuration")
}

/// What a command reads.
pub(crate) enum Stdin {
    Nothing,
    Text(String),
    /// Something that does not come.
    Open,
}

/// A command about to run.
pub(crate) struct Invocation {
    command: Command,
    stdin: Stdin,
}

impl Invocation {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What it reads; nothing if not given.
    pub(crate) fn input(self, text: &str) -> Self {
        self.stdin(Stdin::Text(text.to_owned()))
    }

    pub(crate) fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Starts it.
    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self
            .command
            .stdin(match self.stdin {
                Stdin::Nothing => Stdio::null(),
                Stdin::Text(_) | Stdin::Open => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take();
        if let (Some(stream), Stdin::Text(text)) = (&mut stdin, &self.stdin) {
            // It need not read all of it.
            let _ = stream.write_all(text.as_bytes());
            stdin = None;
        }
        Running {
            stdout: Reader::start(child.stdout.take().expect("piped")),
            stderr: Reader::start(child.stderr.take().expect("piped")),
            child,
            _stdin: stdin,
        }
    }

    /// Starts it with nobody but the caller reading what it prints.
    pub(crate) fn spawn_unread(mut self) -> Child {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts")
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Done {
        self.spawn().wait()
    }

    /// Runs it to its end, which takes as long as cargo does.
    pub(crate) fn compile(self) -> Done {
        self.spawn().wait_for_compilation()
    }

    /// Runs it on a terminal of its own and returns what was to be seen there.
    pub(crate) fn run_on_a_terminal(self) -> String {
        self.at_a_terminal(|_, _| {}).0
    }

    /// [`run_on_a_terminal`](Self::run_on_a_terminal), typing an answer once the question is there.
    pub(crate) fn answer(self, question: &str, answer: &str) -> String {
        let user = |keys: &mut std::fs::File, screen: &Reader| {
            until("the question is asked", || screen.text().contains(question));
            keys.write_all(answer.as_bytes()).expect("typed");
        };
        self.at_a_terminal(user).0
    }

    /// Runs it on a terminal of its own, where `user` sits. Returns what was written to the terminal, and the exit code.
    pub(crate) fn at_a_terminal(
        mut self,
        user: impl FnOnce(&mut std::fs::File, &Reader),
    ) -> (String, Option<i32>) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let keys = keys.expect("a pseudo-terminal");
        grantpt(&keys).expect("granted");
        unlockpt(&keys).expect("unlocked");
        rustix::termios::tcsetwinsize(&keys, SCREEN).expect("a size");
        let name = ptsname(&keys, Vec::new()).expect("a name");
        // `setsid` makes the terminal the command's own, so that Ctrl-C typed on it is a signal.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .envs(
                self.command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        self.command = command;
        let side = || {
            std::fs::File::options()
                .read(true)
                .write(true)
                .open(name.to_str().expect("UTF-8"))
                .expect("the terminal")
        };
        let mut child = self
            .command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("the command starts");
        // The command's side is closed with the command, which ends the reader.
        drop(self);
        let mut keys = std::fs::File::from(keys);
        let screen = Reader::start(keys.try_clone().expect("a second handle"));
        user(&mut keys, &screen);
        let mut status = None;
        until_compiled("the command ends", || {
            status = child.try_wait().expect("a child");
            status.is_some()
        });
        let text = std::sync::Arc::clone(&screen.text);
        let _ = screen.thread.join();
        let bytes = text.lock().expect("no panic").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        (text, status.and_then(|status| status.code()))
    }
}

/// Whether a process has a handler for a signal.
pub(crate) fn catches(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// Passes connections on, while it is open.
pub(crate) struct Relay {
    address: std::net::SocketAddr,
    gate: std::sync::Arc<std::sync::Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    is_closed: bool,
    connections: Vec<std::net::TcpStream>,
}

impl Relay {
    pub(crate) fn to(url: &str) -> Self {
        use std::net::{TcpListener, TcpStream};
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let gate = std::sync::Arc::new(std::sync::Mutex::new(Gate::default()));
        let seen = std::sync::Arc::clone(&gate);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut gate = seen.lock().expect("no panic");
                let Ok(far) = TcpStream::connect(&target) else {
                    continue;
                };
                if gate.is_closed {
                    continue;
                }
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let mut from = from.try_clone().expect("a socket");
                    let mut to = to.try_clone().expect("a socket");
                    thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
                gate.connections.extend([near, far]);
            }
        });
        Self { address, gate }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts every connection, and each new one at once.
    pub(crate) fn close(&self) {
        let mut gate = self.gate.lock().expect("no panic");
        gate.is_closed = true;
        for connection in gate.connections.drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }

    pub(crate) fn open(&self) {
        self.gate.lock().expect("no panic").is_closed = false;
    }
}

/// Reads all that comes, in a thread of its own.
pub(crate) struct Reader {
    text: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let text = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = std::sync::Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                sink.lock()
                    .expect("no panic")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self { text, thread }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().expect("no panic")).into_owned()
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdout: Reader,
    stderr: Reader,
    /// Open for as long as this is.
    _stdin: Option<std::process::ChildStdin>,
}

impl Running {
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        send(self.pid(), Signal::INT);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Done {
        self.wait_for(DEADLINE)
    }

    /// Waits for the end of a command that compiles.
    pub(crate) fn wait_for_compilation(self) -> Done {
        self.wait_for(COMPILATION)
    }

    fn wait_for(mut self, limit: Duration) -> Done {
        let deadline = Instant::now() + limit;
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None if Instant::now() < deadline => thread::sleep(POLL),
                None => {
                    let _ = self.child.kill();
                    panic!(
                        "the command did not end\n--- stdout\n{}\n--- stderr\n{}",
                        self.stdout(),
                        self.stderr()
                    );
                }
            }
        };
        let _ = self.stdout.thread.join();
        let _ = self.stderr.thread.join();
        let text = |bytes: &std::sync::Mutex<Vec<u8>>| {
            String::from_utf8(bytes.lock().expect("no panic").clone()).expect("UTF-8")
        };
        Done {
            status,
            stdout: text(&self.stdout.text),
            stderr: text(&self.stderr.text),
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The exit code; a panic with all that was printed if it is another one.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(expected),
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as one JSON document on one line.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).expect("standard output is JSON")
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect()
    }

    /// Standard error as the one document that a failure is with JSON output.
    #[track_caller]
    pub(crate) fn failure(&self) -> Value {
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stderr).expect("standard error is JSON")
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {}", self.stderr);
        self
    }
}
