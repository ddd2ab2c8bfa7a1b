//! How the agent starts in a sandbox.

use ppio_agent_client::platform::{BuildStep, StepKind};

use super::python_packages::PythonPackages;

/// The folder of the agent in its sandboxes.
pub(super) const AGENT_FOLDER: &str = "/app";
/// The variable that makes a deployed agent log a line for each invocation, which the runtime omits
/// by default for speed. Settings in code, `PPIO_AGENT_LOG` and `RUST_LOG` override the variable.
const DEFAULT_LOG: (&str, &str) = ("PPIO_AGENT_DEFAULT_LOG", "info");
/// The variable that allows pages of every origin to call a deployed agent. The runtime's default
/// allows only pages of the agent's own host and of loopback, which would exclude every user.
/// `--env` can set another value.
const CORS_ORIGINS: (&str, &str) = ("PPIO_AGENT_DEFAULT_CORS_ORIGINS", "*");
/// The program of an agent.
#[derive(Debug)]
pub(super) enum AgentProgram {
    /// A file in [`AGENT_FOLDER`] that starts with the sandbox.
    Binary(String),
    /// A script in [`AGENT_FOLDER`] that the client starts.
    PythonScript {
        file: String,
        packages: PythonPackages,
    },
}

impl AgentProgram {
    /// Returns the variables that are set unless `--env` sets them.
    pub(super) fn default_variables(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Binary(_) => &[DEFAULT_LOG, CORS_ORIGINS],
            Self::PythonScript { .. } => &[],
        }
    }

    /// Returns the build steps that follow the copy of the files.
    pub(super) fn steps(&self) -> Vec<BuildStep> {
        let Self::PythonScript { file, packages } = self else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        if let Some(install) = packages.install_command() {
            steps.push(step(StepKind::Run, [install, "root"]));
        }
        // Reports a syntax error during the deployment instead of at the first call.
        let check = format!("python -c 'compile(open(\"{file}\").read(), \"{file}\", \"exec\")'");
        steps.push(step(StepKind::Run, [check.as_str()]));
        steps
    }

    pub(super) fn start_command(&self) -> Option<String> {
        match self {
            Self::Binary(name) => Some(format!("cd {AGENT_FOLDER} && exec ./{name}")),
            Self::PythonScript { .. } => None,
        }
    }

    /// Returns a command that succeeds once `/ping` answers 200. Without bash, the command uses
    /// `--healthcheck`, which only agents with the attribute macros have.
    pub(super) fn ready_command(&self) -> Option<String> {
        let Self::Binary(name) = self else {
            return None;
        };
        let ping = r#"exec 3<>/dev/tcp/127.0.0.1/${PPIO_AGENT_PORT:-8080} && printf "GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n" >&3 && read -r -t 5 _ status _ <&3 && [ "$status" = 200 ]"#;
        Some(format!(
            "if command -v bash >/dev/null; then bash -c '{ping}' 2>/dev/null; else \
             {AGENT_FOLDER}/{name} --healthcheck; fi"
        ))
    }
}

/// Returns a build step without files.
pub(super) fn step<S: Into<String>>(
    kind: StepKind,
    args: impl IntoIterator<Item = S>,
) -> BuildStep {
    BuildStep {
        kind,
        args: args.into_iter().map(Into::into).collect(),
        files_hash: None,
        force: None,
    }
}
