//! Tests the published SDKs of other languages, unpatched, on the local platform.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use ppio_agent_client::AgentRuntimeClient;
use ppio_sandbox_local::{IsolationKind, LocalPlatform, LocalPlatformBuilder, TemplateSpec};
use ppio_test_support::{
    Requirement, agent_client_interpreter, every_user_passes, example_binary, node_modules,
    python_interpreter,
};
use rustix::process::geteuid;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Mutex;

/// The time limit of each script.
const DEADLINE: Duration = Duration::from_secs(120);

/// A lock for port 8080, on which the agent on `bedrock-agentcore` always listens.
static FIXED_PORT: Mutex<()> = Mutex::const_new(());

struct Platform {
    platform: LocalPlatform,
    _home: TempDir,
}

impl Platform {
    /// Starts a platform whose sandboxes can see the interpreter, if it is given, and its packages.
    async fn with(
        interpreter: Option<&Path>,
        settings: impl FnOnce(LocalPlatformBuilder) -> LocalPlatformBuilder,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut builder = settings(LocalPlatform::builder().home(home.path()).tls(true));
        if let Some(interpreter) = interpreter {
            for prefix in prefixes(interpreter).await {
                builder = builder.expose(prefix);
            }
        }
        Self {
            platform: builder.start().await.unwrap(),
            _home: home,
        }
    }

    /// Starts a platform whose sandboxes have the folder `/app`, in which published clients start
    /// agents.
    async fn isolated(interpreter: Option<&Path>) -> Self {
        Self::with(interpreter, |builder| {
            builder.isolation(IsolationKind::Bubblewrap)
        })
        .await
    }

    /// Builds templates of an agent on `ppio-sandbox` and of one on `bedrock-agentcore`; returns
    /// their ids.
    async fn python_agents(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for agent in ["ppio", "agentcore"] {
            let spec = TemplateSpec::new(format!("{agent}-agent"))
                .directory(interop_file("agents").join(agent));
            ids.push(self.platform.build_template(spec).await.unwrap().id);
        }
        ids
    }

    async fn run(&self, program: &Path, script: &str, arguments: &[String]) {
        let mut command = Command::new(program);
        command
            .arg(interop_file(script))
            .args(arguments)
            .envs(self.platform.environment())
            .kill_on_drop(true);
        let output = tokio::time::timeout(DEADLINE, command.output())
            .await
            .expect("the script ended in time")
            .unwrap();
        assert!(
            output.status.success(),
            "{script} {arguments:?}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }

    async fn stop(self) {
        assert_eq!(
            self.platform.sandbox_count(),
            0,
            "scripts kill what they create"
        );
        self.platform.shutdown().await.unwrap();
    }
}

fn interop_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("interop")
        .join("local")
        .join(name)
}

/// Returns the folders with an interpreter's packages and its own library, other than system
/// folders.
async fn prefixes(interpreter: &Path) -> Vec<PathBuf> {
    let program = "import sys; print(sys.prefix); print(sys.base_prefix)";
    let output = Command::new(interpreter)
        .args(["-c", program])
        .output()
        .await
        .unwrap();
    let mut prefixes: Vec<PathBuf> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(PathBuf::from)
        .collect();
    prefixes.retain(|prefix| !prefix.starts_with("/usr"));
    prefixes.dedup();
    prefixes
}

async fn python(script: &str, arguments: &[&str]) {
    let interpreter = python_interpreter();
    let platform = Platform::isolated(None).await;
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| (*argument).to_owned())
        .collect();
    platform.run(&interpreter, script, &arguments).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn python_ppio_sandbox() {
    python("python_sandbox.py", &["ppio_sandbox.core"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn python_e2b() {
    python("python_sandbox.py", &["e2b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn python_ppio_templates() {
    python("python_templates.py", &["ppio_sandbox.core"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn python_e2b_templates() {
    python("python_templates.py", &["e2b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn javascript_e2b() {
    // Panics unless the variable from which the script reads the folder is set.
    node_modules();
    let platform = Platform::isolated(None).await;
    platform
        .run(Path::new("node"), "node_sandbox.mjs", &[])
        .await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn python_agent_client_1_invokes_rust_and_python_agents() {
    python_agent_client(agent_client_interpreter()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn python_agent_client_2_invokes_rust_and_python_agents() {
    python_agent_client(python_interpreter()).await;
}

async fn python_agent_client(client: PathBuf) {
    let interpreter = python_interpreter();
    let _port = FIXED_PORT.lock().await;
    let platform = Platform::isolated(Some(&interpreter)).await;
    let mut arguments = Vec::new();
    for (kind, example) in [("value", "hello"), ("stream", "stream")] {
        let binary = tokio::task::spawn_blocking(move || example_binary(example))
            .await
            .unwrap();
        let agent = TemplateSpec::new(example).binary(binary);
        let template = platform.platform.build_template(agent).await.unwrap();
        arguments.push(format!("{kind}:{}", template.id));
    }
    for template in platform.python_agents().await {
        arguments.push(format!("value:{template}"));
    }
    platform
        .run(&client, "python_agent_client.py", &arguments)
        .await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn our_client_invokes_python_agents() {
    let interpreter = python_interpreter();
    let _port = FIXED_PORT.lock().await;
    // A sandbox that is a process group has no `/app`, but the client's `cd /app` must succeed
    // there, too.
    for isolation in [None, Some(IsolationKind::ProcessGroup)] {
        // In sandboxes of a platform that runs as root, programs run as unprivileged users.
        if isolation.is_some() && geteuid().is_root() {
            let is_met = every_user_passes(&interpreter);
            if !Requirement::SharedPackages.check(is_met) {
                continue;
            }
        }
        let platform = Platform::with(Some(&interpreter), |builder| match isolation {
            Some(kind) => builder.isolation(kind),
            None => builder,
        })
        .await;
        let client = AgentRuntimeClient::builder()
            .base_url(platform.platform.url())
            .domain(platform.platform.domain())
            .api_key(platform.platform.api_key())
            .build()
            .unwrap();
        for template in platform.python_agents().await {
            let session = client.create_session(&template).await.unwrap();
            let invoking = session.invoke(json!({"prompt": "Ada"}));
            let answer = invoking.await.unwrap();
            assert_eq!(
                answer.result,
                Some(json!({"message": "Hello, Ada!"})),
                "{isolation:?}"
            );
            session.close().await.unwrap();
        }
        platform.stop().await;
    }
}
