//! Compares the API of the agent to deploy with that of the deployed agent, before anything is built.
//!
//! The deployed agent's document comes from the deployed agent itself, in a session of its own, so
//! that the comparison needs no record of earlier deployments and gives the same result on every
//! machine. The new program prints its document in the same sandbox (`--openapi`), where it runs
//! whatever this machine is, has the variables of the deployment, and runs no startup function.

use std::future::Future;
use std::time::Duration;

use ppio_agent_client::platform::{Command, Output};
use ppio_agent_client::{Error, SandboxSession};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::bundle::ARCHIVE_ROOT;
use super::comparison::{Change, Severity, compare};
use super::deployment::Deployment;
use super::event::DeployEvent;
use super::program::AgentProgram;
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::terminal::Terminal;

/// The lifetime of the session, in case it cannot be closed.
const SESSION_LIFETIME: Duration = Duration::from_secs(180);
/// How long the new program may take to print its document.
const PRINT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long closing the session after an interruption may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
const DOCUMENT_PATH: &str = "/openapi.json";
/// The status of an agent without a document.
const NOT_FOUND: u16 = 404;
/// The new files, below the home of the sandbox's user.
const ARCHIVE: &str = "ppio-next.tar.gz";
/// Unpacks the files and runs the program, whose name is the first argument, with the variables in the
/// others. Variables of the deployed template do not count.
const PRINT: &str = r#"name=$1 && shift && cd "$HOME" || exit
mkdir -p ppio-next && tar -xzf ppio-next.tar.gz -C ppio-next && cd "ppio-next/$ROOT" || exit
set -- PATH="$PATH" HOME="$HOME" PPIO_AGENT_PORT="${PPIO_AGENT_PORT:-8080}" "$@"
exec env -i "$@" "./$name" --openapi"#;

/// What is known about the API's changes.
#[derive(Debug)]
pub(super) enum ApiCheck {
    /// No agent of this name is deployed.
    FirstDeployment,
    /// Why nothing was compared.
    NotCompared(String),
    Compared(Vec<Change>),
}

impl ApiCheck {
    /// Compares the APIs.
    pub(super) async fn run(
        deployment: &Deployment,
        platform: &Platform,
        terminal: &Terminal,
    ) -> Self {
        let template = match platform.client().get_template(&deployment.name).await {
            Ok(template) => template.template_id,
            Err(Error::TemplateNotFound { .. }) => return Self::FirstDeployment,
            // If the platform cannot be used at all, the deployment says so.
            Err(error) => {
                let reason = format!("cannot look up what is deployed: {}", error.report());
                return Self::NotCompared(reason);
            }
        };
        let AgentProgram::Binary(program) = &deployment.program else {
            let reason = "a Python agent has no OpenAPI document";
            return Self::NotCompared(reason.to_owned());
        };
        let progress = terminal.spinner("comparing the API with the deployed one");
        let documents = documents(deployment, program, &template, platform).await;
        let changes = match documents {
            Ok((old, new)) => changes(old, new).await,
            Err(reason) => Err(reason),
        };
        drop(progress);
        changes.map_or_else(Self::NotCompared, Self::Compared)
    }

    /// Reports the changes, as an error if they break callers.
    pub(super) fn report(
        &self,
        deployment: &Deployment,
        allow_breaking: bool,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        let changes = match self {
            Self::FirstDeployment => return Ok(()),
            Self::NotCompared(reason) => {
                terminal.note(&format!("the API was not compared: {reason}"));
                &[][..]
            }
            Self::Compared(changes) => changes,
        };
        terminal.event(&DeployEvent::Api {
            compared: matches!(self, Self::Compared(_)),
            reason: self.reason(),
            changes,
        });
        let (breaking, others): (Vec<_>, Vec<_>) = changes
            .iter()
            .partition(|change| change.severity == Severity::Breaking);
        for change in others {
            match change.severity {
                Severity::NotCompared => terminal.warn(&change.to_string()),
                _ => terminal.note(&format!("note: {change}")),
            }
        }
        if breaking.is_empty() {
            if matches!(self, Self::Compared(_)) {
                terminal.note("the API has no breaking change");
            }
            return Ok(());
        }
        if allow_breaking {
            for change in breaking {
                terminal.warn(&format!("breaking change: {change}"));
            }
            return Ok(());
        }
        let count = match breaking.len() {
            1 => "a breaking change".to_owned(),
            count => format!("{count} breaking changes"),
        };
        let message = format!("the API of {} has {count}", deployment.name);
        let mut error = CliError::new(ExitKind::Agent, message)
            .data("api", self.to_json())
            .help("keep what callers use today, or deploy with `--allow-breaking`");
        error.code = "breaking_changes";
        error.causes = breaking.into_iter().map(Change::to_string).collect();
        Err(error)
    }

    /// The member `api` of the result; null for the first deployment.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::FirstDeployment => Value::Null,
            Self::NotCompared(reason) => {
                json!({"compared": false, "reason": reason, "changes": []})
            }
            Self::Compared(changes) => json!({"compared": true, "changes": changes}),
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::NotCompared(reason) => Some(reason),
            Self::FirstDeployment | Self::Compared(_) => None,
        }
    }
}

/// Compares the documents on a thread of its own, so that an interruption does not wait for it.
async fn changes(old: Value, new: Value) -> Result<Vec<Change>, String> {
    let comparing = spawn_blocking(move || compare(&old, &new));
    match comparing.await {
        Ok(changes) => changes,
        Err(error) => Err(format!("the comparison failed: {error}")),
    }
}

/// Waits until the session of an interrupted comparison is closed.
pub(super) async fn close_sessions(platform: &Platform) {
    // One that stays open has a short lifetime.
    let _ = timeout(CLOSE_TIMEOUT, platform.client().close()).await;
}

/// The deployed document and the new one, or why there are none.
async fn documents(
    deployment: &Deployment,
    program: &str,
    template: &str,
    platform: &Platform,
) -> Result<(Value, Value), String> {
    let client = platform.client();
    let session = client.create_session(template).timeout(SESSION_LIFETIME);
    let session = session.await.map_err(|error| {
        format!(
            "cannot open a session of what is deployed: {}",
            error.report()
        )
    })?;
    let documents = async {
        let old = deployed_document(&session).await?;
        let new = new_document(deployment, program, &session).await?;
        Ok((old, new))
    };
    let documents = documents.await;
    // Dropping the session closes it as well, later.
    let _ = session.close().await;
    documents
}

async fn deployed_document(session: &SandboxSession) -> Result<Value, String> {
    session
        .get(DOCUMENT_PATH)
        .await
        .map_err(|error| match error {
            Error::Invocation {
                status: Some(NOT_FOUND),
                ..
            } => "the deployed agent has no OpenAPI document".to_owned(),
            error => format!(
                "cannot read the deployed agent's {DOCUMENT_PATH}: {}",
                error.report()
            ),
        })
}

async fn new_document(
    deployment: &Deployment,
    program: &str,
    session: &SandboxSession,
) -> Result<Value, String> {
    let variables = deployment.environment();
    let variables = variables.map(|(name, value)| format!("{name}={value}"));
    let command = Command {
        args: ["-c", PRINT, "sh", program]
            .map(str::to_owned)
            .into_iter()
            .chain(variables)
            .collect(),
        envs: [("ROOT".to_owned(), ARCHIVE_ROOT.to_owned())].into(),
        ..Command::new("/bin/sh")
    };
    let printing = async {
        let envd = session.envd();
        let archive = deployment.archive.bytes.clone();
        envd.write_file(ARCHIVE, archive).await?;
        envd.start(&command).await?.output().await
    };
    let output = in_time(printing).await?;
    let printed = serde_json::from_slice(&output.stdout);
    match printed {
        Ok(document) if output.status.exit_code == 0 => Ok(document),
        _ => {
            let text = output.stderr_text();
            let last = text.lines().rfind(|line| !line.trim().is_empty());
            let reason = last.map_or("it printed no JSON", str::trim);
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            Err(format!(
                "`{program} --openapi` failed in a sandbox: {reason}"
            ))
        }
    }
}

async fn in_time(printing: impl Future<Output = Result<Output, Error>>) -> Result<Output, String> {
    match timeout(PRINT_TIMEOUT, printing).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(format!(
            "cannot run the new program in a sandbox: {}",
            error.report()
        )),
        Err(_) => Err(format!(
            "the new program did not print its document within {} s",
            PRINT_TIMEOUT.as_secs()
        )),
    }
}
