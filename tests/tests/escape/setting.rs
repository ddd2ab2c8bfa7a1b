//! Runs a platform as a separate process, as root or as an ordinary user, with secrets around it.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ppio_agent_client::platform::{Command as Run, Envd, NewSandbox, Sandbox};
use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::{LocalPlatform, RunningPlatform};
use ppio_test_support::{RawAnswer, Requirement, eventually_some, raw_request};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const LIFE: Duration = Duration::from_secs(600);
/// The first id of ordinary users, and the number of ids. Machines rarely have accounts with these
/// ids.
const ORDINARY_USERS: (u32, u32) = (50_000, 10_000);

/// Returns the id of an ordinary user for one platform. The kernel limits the processes of each
/// user, and a test may start as many as this limit allows.
fn ordinary_user() -> u32 {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let (first, count) = ORDINARY_USERS;
    // Test programs that run concurrently have other process ids.
    let started = STARTED.fetch_add(1, Ordering::Relaxed);
    first + (std::process::id() * 16 + started) % count
}

/// Returns a lock that keeps other platforms of the user from running concurrently with a platform
/// that starts as many processes as the user may have: the other platforms could not start
/// processes. Returns `None` for root.
fn share_of_processes(start: Start) -> Option<File> {
    if geteuid().is_root() {
        // Each platform has its own ordinary user, or belongs to root, which has no such limit.
        return None;
    }
    let name = format!("ppio-escape-tests-{}.lock", geteuid().as_raw());
    let file = File::create(std::env::temp_dir().join(name)).unwrap();
    if start == Start::UsesAllProcesses {
        file.lock().unwrap();
    } else {
        file.lock_shared().unwrap();
    }
    Some(file)
}

/// The user who runs the platform, and how it isolates sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) as_root: bool,
    pub(crate) bubblewrap: bool,
}

impl Setting {
    /// Returns all settings; those with root may be left out if the tests do not run as root.
    pub(crate) fn all() -> Vec<Self> {
        let users: &[bool] = if Requirement::root() {
            &[true, false]
        } else {
            &[false]
        };
        let both = |as_root: &bool| {
            [true, false].map(|bubblewrap| Self {
                as_root: *as_root,
                bubblewrap,
            })
        };
        users.iter().flat_map(both).collect()
    }

    /// Returns the settings in which a sandbox has fewer rights than the user who runs its
    /// platform. A process group of an ordinary user has no such protection.
    pub(crate) fn confining() -> Vec<Self> {
        let mut all = Self::all();
        all.retain(|setting| setting.as_root || setting.bubblewrap);
        all
    }

    pub(crate) fn with_bubblewrap() -> Vec<Self> {
        let mut all = Self::all();
        all.retain(|setting| setting.bubblewrap);
        all
    }
}

/// How a platform is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// In a session without a terminal.
    Plain,
    /// As [`Start::Plain`], but root has no right to inspect processes of other users.
    WithoutPtrace,
    /// As [`Start::Plain`], but sandboxes with internet access have their own network.
    IsolatedNetwork,
    /// As [`Start::Plain`], for a test that starts as many processes as its user may have.
    UsesAllProcesses,
    /// In a session with a terminal, with root's secret open as descriptor 9.
    FromTerminal,
}

/// A running platform. Dropping it ends the platform.
pub(crate) struct Platform {
    pub(crate) setting: Setting,
    pub(crate) running: RunningPlatform,
    /// Directories that the platform and its sandboxes may traverse, unless they are hidden.
    pub(crate) outside: TempDir,
    /// The secrets that no sandbox may print.
    pub(crate) secrets: Vec<(PathBuf, String)>,
    child: Child,
    /// Released after the platform has ended.
    _share_of_processes: Option<File>,
}

/// The files and the command with which a platform starts.
struct Surroundings {
    outside: TempDir,
    home: PathBuf,
    secrets: Vec<(PathBuf, String)>,
    share_of_processes: Option<File>,
    /// The shell command that starts the platform.
    line: String,
}

impl Surroundings {
    fn new(setting: Setting, start: Start) -> Self {
        let share_of_processes = share_of_processes(start);
        let outside = tempfile::tempdir().unwrap();
        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| outside.path().join(name);
        let home = at("home");
        fs::create_dir(&home).unwrap();
        // Code that runs outside of a sandbox can write a trace to this directory.
        fs::create_dir(at("witness")).unwrap();
        fs::set_permissions(at("witness"), fs::Permissions::from_mode(0o777)).unwrap();
        let program = at("local-platform");
        fs::copy(env!("CARGO_BIN_EXE_local-platform"), &program).unwrap();

        let user = (geteuid().is_root() && !setting.as_root).then(ordinary_user);
        let mut secrets = Vec::new();
        for (name, mode, owner) in [
            ("secret-of-root", 0o600, None),
            ("secret-of-the-user", 0o600, user),
            ("secret-of-everyone", 0o644, user),
        ] {
            let secret = format!("{name}-{:016x}", fastrand::u64(..));
            fs::write(at(name), &secret).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
            chown(at(name), owner, owner).unwrap();
            // Without namespaces a sandbox can also read world-readable files.
            if mode == 0o600 || setting.bubblewrap {
                secrets.push((at(name), secret));
            }
        }
        chown(&home, user, user).unwrap();

        let isolation = if setting.bubblewrap {
            "bubblewrap"
        } else {
            "process-groups"
        };
        let mut line = format!(
            "exec '{}' '{}' {isolation}",
            program.display(),
            home.display()
        );
        if let Some(user) = user {
            line = format!(
                "exec setpriv --reuid={user} --regid={user} --clear-groups -- sh -c {}",
                quote(&line)
            );
        }
        line = match start {
            // The platform is a session leader, so a terminal that it opens could become its
            // controlling terminal.
            Start::Plain | Start::UsesAllProcesses => format!("exec setsid sh -c {}", quote(&line)),
            Start::IsolatedNetwork => format!(
                "export PPIO_LOCAL_ISOLATE_NETWORK=true; exec setsid sh -c {}",
                quote(&line)
            ),
            Start::WithoutPtrace => format!(
                "exec setsid setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace -- sh -c {}",
                quote(&line)
            ),
            Start::FromTerminal => {
                let secret = at("secret-of-root");
                let line = format!("exec 9<'{}'; {line}", secret.display());
                format!("exec script -qec {} /dev/null", quote(&line))
            }
        };
        Self {
            outside,
            home,
            secrets,
            share_of_processes,
            line,
        }
    }
}

impl Platform {
    /// Returns the error output of a platform that does not start.
    pub(crate) fn start_error(setting: Setting, start: Start) -> String {
        let surroundings = Surroundings::new(setting, start);
        let output = Command::new("timeout")
            .args(["60", "sh", "-c", &surroundings.line])
            .env("HOME", &surroundings.home)
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(101), "{setting:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub(crate) async fn start(setting: Setting, start: Start) -> Self {
        let Surroundings {
            outside,
            home,
            mut secrets,
            share_of_processes,
            line,
        } = Surroundings::new(setting, start);
        let child = Command::new("sh")
            .args(["-c", &line])
            .env("HOME", &home)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let running = eventually_some("a platform that runs", async || {
            LocalPlatform::running_at(&home)
        })
        .await;
        secrets.push((running.home().join("key"), running.api_key().to_owned()));
        Self {
            setting,
            running,
            outside,
            secrets,
            child,
            _share_of_processes: share_of_processes,
        }
    }

    pub(crate) fn witness(&self) -> PathBuf {
        self.outside.path().join("witness")
    }

    pub(crate) fn client(&self) -> AgentRuntimeClient {
        let environment = self.running.environment();
        AgentRuntimeClient::builder()
            .config(ClientConfig {
                base_url: Some(self.running.url().to_owned()),
                domain: environment.get("PPIO_DOMAIN").cloned(),
                ..ClientConfig::default()
            })
            .api_key(self.running.api_key())
            .build()
            .unwrap()
    }

    pub(crate) async fn request(&self, method: &str, path: &str, body: Value) -> RawAnswer {
        let key = [("x-api-key", self.running.api_key())];
        let address = self.running.url().trim_start_matches("http://");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        raw_request(
            address.parse().unwrap(),
            method,
            path,
            &key,
            body.as_bytes(),
        )
        .await
    }

    /// Builds a template and returns its id once it is ready.
    pub(crate) async fn template(&self, name: &str, settings: Value, steps: Value) -> String {
        let mut new = json!({ "name": name });
        for (key, value) in settings.as_object().into_iter().flatten() {
            new[key] = value.clone();
        }
        let new = self.request("POST", "/v3/templates", new).await.json();
        let id = new["templateID"].as_str().unwrap().to_owned();
        let build = new["buildID"].as_str().unwrap();
        let path = format!("/v2/templates/{id}/builds/{build}");
        let started = self.request("POST", &path, json!({ "steps": steps })).await;
        assert_eq!(started.status, 202, "{started:?}");
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let status = format!("/templates/{id}/builds/{build}/status");
            let status = self.request("GET", &status, Value::Null).await.json();
            match status["status"].as_str() {
                Some("ready") => return id,
                Some("error") => panic!("{name}: {status}"),
                _ => assert!(std::time::Instant::now() < deadline, "{name}: {status}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn sandbox(&self, template: &str) -> Inside {
        self.create(NewSandbox::new(template, LIFE)).await
    }

    /// Creates a sandbox without internet access.
    pub(crate) async fn offline_sandbox(&self, template: &str) -> Inside {
        let mut new = NewSandbox::new(template, LIFE);
        new.allow_internet_access = Some(false);
        self.create(new).await
    }

    async fn create(&self, new: NewSandbox) -> Inside {
        let client = self.client();
        let sandbox = client.platform().create_sandbox(&new).await.unwrap();
        let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
        Inside {
            client,
            sandbox,
            envd,
        }
    }

    /// Checks that the output of code in a sandbox contains no secret.
    pub(crate) fn check(&self, doing: &str, output: &str) {
        for (place, secret) in &self.secrets {
            let printed = output.contains(secret.as_str());
            assert!(
                !printed,
                "{:?}: {doing} reads {}",
                self.setting,
                place.display()
            );
        }
    }
}

impl Platform {
    /// Kills the platform, whose watchdog ends the sandboxes.
    pub(crate) fn end(&self) {
        if let Some(pid) = i32::try_from(self.running.pid())
            .ok()
            .and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.end();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sandbox in which a test runs the code of an attacker.
pub(crate) struct Inside {
    client: AgentRuntimeClient,
    pub(crate) sandbox: Sandbox,
    pub(crate) envd: Envd,
}

impl Inside {
    /// Runs `line` in a plain shell and returns its output, or the error if it did not start.
    pub(crate) async fn shell(&self, line: &str) -> String {
        let mut command = Run::new("/bin/sh");
        command.args = vec!["-c".to_owned(), line.to_owned()];
        self.run(&command).await
    }

    pub(crate) async fn run(&self, command: &Run) -> String {
        let output = async { self.envd.start(command).await?.output().await };
        let ended = tokio::time::timeout(Duration::from_secs(120), output).await;
        match ended.unwrap_or_else(|_| panic!("a command did not end: {command:?}")) {
            Ok(output) => format!("{}{}", output.stdout_text(), output.stderr_text()),
            Err(error) => error.to_string(),
        }
    }

    pub(crate) async fn kill(&self) {
        let platform = self.client.platform();
        platform
            .kill_sandbox(&self.sandbox.sandbox_id)
            .await
            .unwrap();
    }
}

/// Quotes a text as one word for a shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Compiles the C source `source` to `target`.
pub(crate) fn compile(source: &str, target: &Path, options: &[&str]) {
    let file = target.with_extension("c");
    fs::write(&file, source).unwrap();
    let output = Command::new("cc")
        .args(options)
        .arg("-o")
        .args([target, &file])
        .output()
        .expect("these tests need a C compiler (on Debian: apt-get install gcc libc6-dev)");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cc failed: {complaint}");
}
