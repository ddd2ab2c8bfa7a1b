//! Runs the command as a process, with a local platform in a temporary home folder.

pub(crate) mod dev;
mod invocation;
mod process;
mod pty_session;
mod python_agent;
mod relay;
pub(crate) mod scaffold;
pub(crate) mod snapshot;
pub(crate) mod stalling_platform;
mod toolchain;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ppio_agent_client::platform::NewSandbox;
use ppio_agent_client::{AgentConfig, AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::{LocalPlatform, RunningPlatform, TemplateSpec};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use invocation::{Invocation, SCREEN, Stdin};
pub(crate) use process::{Done, Running, catches, is_alive, send};
pub(crate) use pty_session::PtySession;
pub(crate) use python_agent::python_agent;
pub(crate) use relay::Relay;

/// The deadline of every wait. The deadline is long because some commands compile a project with
/// its dependencies while other tests hold cargo's lock.
const DEADLINE: Duration = Duration::from_secs(400);
const POLL: Duration = Duration::from_millis(5);
/// The path of the command.
const CLI: &str = env!("CARGO_BIN_EXE_ppio-sandbox-cli");
/// A start command that does nothing.
pub(crate) const SLEEP: &str = "exec sleep 86400";

/// Waits until a condition is true.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        thread::sleep(POLL);
    }
}

/// An empty home folder, and commands whose environment has only this folder and the toolchain's
/// variables.
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

    /// Returns a platform with these templates, started by `local up`.
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

    /// Builds templates for the next platform of this home.
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
        eventually("the platform runs", || self.running().is_some());
        self.platform = Some(process);
    }

    /// Returns the standard error of `local up`.
    pub(crate) fn platform_stderr(&self) -> String {
        let process = self.platform.as_ref().expect("the platform was started");
        process.stderr()
    }

    pub(crate) fn running(&self) -> Option<RunningPlatform> {
        LocalPlatform::running_at(self.home())
    }

    pub(crate) fn key(&self) -> String {
        std::fs::read_to_string(self.home().join("key")).expect("there is a key")
    }

    /// Returns a client of the platform, to check its state without the command.
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

    /// Returns the ids of all sandboxes.
    pub(crate) fn sandboxes(&self) -> Vec<String> {
        on_runtime(async {
            let all = self.client().list_sessions().await;
            let all = all.expect("the platform lists its sandboxes");
            all.into_iter()
                .map(ppio_agent_client::SandboxSession::detach)
                .collect()
        })
    }

    /// Returns the command lines of the processes whose arguments, working directory or environment
    /// name this home.
    pub(crate) fn processes(&self) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        let all = std::fs::read_dir("/proc").expect("a Linux").flatten();
        let all = all.map(|entry| entry.path());
        all.filter_map(|process| {
            // Unreadable if the process has exited or belongs to another user.
            let command = std::fs::read(process.join("cmdline")).ok()?;
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            let place = std::fs::read_link(process.join("cwd")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let is_ours = command.contains(&folder)
                || String::from_utf8_lossy(&environment).contains(&folder)
                || place.starts_with(self.folder.path());
            is_ours.then_some(command)
        })
        .collect()
    }

    /// Waits until every process that a command started has exited.
    pub(crate) fn wait_until_nothing_is_left(&self) {
        eventually("nothing is left running", || self.processes().is_empty());
    }

    /// Returns the id of the template with this name.
    pub(crate) fn template(&self, name: &str) -> String {
        on_runtime(async {
            let template = self.client().get_template(name).await;
            template.expect("the template is there").template_id
        })
    }

    /// Returns a project folder with a deployment of this template in agent.yaml.
    pub(crate) fn project(&self, name: &str, template_id: &str) -> PathBuf {
        let folder = self.path("project");
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = format!(
            "# by hand\nmetadata:\n  name: {name}\n  version: \"1.0.0\"\n  author: \
             a@example.com\nspec:\n  entrypoint: src/main.rs\nstatus:\n  phase: \
             deployed\n  template_id: {template_id}\n"
        );
        std::fs::write(folder.join("agent.yaml"), text).expect("agent.yaml");
        folder
    }

    /// Returns the command with these arguments and an environment without the test's variables.
    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Invocation {
        self.invocation(CLI).args(arguments)
    }

    /// Returns a shell script in which `$CLI` is the command, with the environment of
    /// [`command`](Self::command).
    pub(crate) fn shell(&self, script: &str) -> Invocation {
        let shell = self.invocation("/bin/sh");
        shell.args(["-c", script]).env("CLI", CLI)
    }

    /// Returns a program in this home, with an environment without the test's variables.
    fn invocation(&self, program: &str) -> Invocation {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(toolchain::variables())
            .env("HOME", self.folder.path())
            .env("PPIO_LOCAL_HOME", self.home())
            .current_dir(self.folder.path());
        Invocation::of(command)
    }

    /// Calls the agent of a template without the command.
    pub(crate) fn invoke(&self, template: &str, request: Value) -> Value {
        on_runtime(async {
            let answer = self.client().invoke_agent(template, request).await;
            let answer = answer.expect("the agent answers");
            answer.result.unwrap_or_default()
        })
    }

    /// Creates a sandbox of a template without waiting for an agent.
    pub(crate) fn create(&self, template: &str) -> String {
        on_runtime(async {
            let new = NewSandbox::new(template, Duration::from_secs(600));
            let client = self.client();
            let made = client.platform().create_sandbox(&new).await;
            made.expect("the sandbox is created").sandbox_id
        })
    }

    /// Runs the command with these arguments to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Done {
        self.command(arguments).run()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Ends a platform in the background.
        if let Some(running) = self.running() {
            send(running.pid(), Signal::TERM);
            eventually("the platform ends", || !running.is_running());
        }
        if let Some(platform) = self.platform.take() {
            platform.wait();
        }
    }
}

/// Runs a future in a synchronous test.
pub(crate) fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(future)
}

/// Returns the relative paths of everything below a folder, hidden files included.
pub(crate) fn everything_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").flatten() {
            let path = entry.path();
            found.push(path.strip_prefix(folder).expect("below").to_owned());
            if entry.file_type().expect("a type").is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns a platform with a sandbox in which nothing else runs, and the id of the sandbox.
pub(crate) fn quiet_sandbox() -> (Sandbox, String) {
    sandbox_of("quiet", SLEEP)
}

/// Returns a platform with a template that has this start command, and the id of a sandbox of the
/// template.
pub(crate) fn sandbox_of(name: &str, start_command: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::with([starting(name, start_command)]);
    let id = sandbox.create(name);
    (sandbox, id)
}

/// Returns a template with a start command and an agent's configuration.
pub(crate) fn starting(name: &str, start_command: &str) -> TemplateSpec {
    TemplateSpec::new(name)
        .start_command(start_command)
        .config(config(name))
}

/// Returns a template with the scripted agent and an agent's configuration.
pub(crate) fn scripted(name: &str) -> TemplateSpec {
    agent(name, &ppio_test_support::test_program("scripted-agent"))
}

/// Returns a template with a binary and an agent's configuration.
pub(crate) fn agent(name: &str, binary: &Path) -> TemplateSpec {
    TemplateSpec::new(name).binary(binary).config(config(name))
}

/// Returns the configuration of an agent of this name.
pub(crate) fn config(name: &str) -> AgentConfig {
    AgentConfig::from_json(&format!(
        r#"{{"metadata": {{"name": "{name}", "version": "1.0.0", "author": "a@example.com", "tags": ["test"]}},
            "spec": {{"entrypoint": "src/main.rs", "runtime": {{"timeout": 20}}}}}}"#
    ))
    .expect("a valid configuration")
}
