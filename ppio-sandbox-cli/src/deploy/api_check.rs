//! Compares the API of the new agent with that of the deployed one, before the platform builds
//! anything.
//!
//! The deployed agent's document comes from the deployed agent itself, in a session of its own, so
//! that the comparison needs no record of earlier deployments and gives the same result on every
//! machine. The new program prints its document (`--openapi`) in the same sandbox, with the
//! variables of the deployment: this machine may not be able to run the program. A program that
//! prints its document runs no startup function.

use std::time::Duration;

use ppio_agent_client::{Error, SandboxSession};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::comparison::{Change, Severity, compare};
use super::deployment::Deployment;
use super::event::{ApiReport, DeployEvent};
use super::printed_document::printed_document;
use super::program::AgentProgram;
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::terminal::Terminal;

/// The lifetime of the session in which the documents are read: the platform ends a session that
/// could not be closed.
const SESSION_LIFETIME: Duration = Duration::from_secs(180);
/// The longest time that closing the session after an interruption may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
const DOCUMENT_PATH: &str = "/openapi.json";
/// The HTTP status from an agent that has no document.
const NOT_FOUND: u16 = 404;

/// The result of comparing the APIs.
#[derive(Debug)]
pub(super) enum ApiCheck {
    /// No agent of this name is deployed.
    FirstDeployment,
    /// The reason why nothing was compared.
    NotCompared(String),
    Compared(Vec<Change>),
}

impl ApiCheck {
    /// Compares the API of `deployment` with that of the deployed agent.
    pub(super) async fn run(
        deployment: &Deployment,
        platform: &Platform,
        terminal: &Terminal,
    ) -> Self {
        let template = match platform.client().get_template(&deployment.name).await {
            Ok(template) => template.template_id,
            Err(Error::TemplateNotFound { .. }) => return Self::FirstDeployment,
            // If the platform cannot be used at all, the deployment reports the error.
            Err(error) => {
                let reason = format!("cannot look up the deployed agent: {}", error.report());
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

    /// Reports the changes. Returns an error if one of them breaks callers, unless `allow_breaking`
    /// is set.
    pub(super) fn report(
        &self,
        deployment: &Deployment,
        allow_breaking: bool,
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        let Some(report) = self.json_report() else {
            return Ok(());
        };
        if let Some(reason) = report.reason {
            terminal.note(&format!("the API was not compared: {reason}"));
        }
        terminal.event(&DeployEvent::Api(report));
        let (breaking, others): (Vec<_>, Vec<_>) = report
            .changes
            .iter()
            .partition(|change| change.severity == Severity::Breaking);
        for change in others {
            match change.severity {
                Severity::NotCompared => terminal.warn(&change.to_string()),
                _ => terminal.note(&format!("note: {change}")),
            }
        }
        if breaking.is_empty() {
            if report.compared {
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

    /// Returns the member `api` of the result; null for the first deployment.
    pub(super) fn to_json(&self) -> Value {
        json!(self.json_report())
    }

    fn json_report(&self) -> Option<ApiReport<'_>> {
        let (reason, changes) = match self {
            Self::FirstDeployment => return None,
            Self::NotCompared(reason) => (Some(&**reason), &[][..]),
            Self::Compared(changes) => (None, &**changes),
        };
        Some(ApiReport {
            compared: reason.is_none(),
            reason,
            changes,
        })
    }
}

/// Compares the documents on a separate thread, so that an interruption does not wait for the
/// comparison.
async fn changes(old: Value, new: Value) -> Result<Vec<Change>, String> {
    let comparing = spawn_blocking(move || compare(&old, &new));
    match comparing.await {
        Ok(changes) => changes,
        Err(error) => Err(format!("the comparison failed: {error}")),
    }
}

/// Closes the session of an interrupted comparison. Waits for at most [`CLOSE_TIMEOUT`].
pub(super) async fn close_sessions(platform: &Platform) {
    // A session that stays open has a short lifetime.
    let _ = timeout(CLOSE_TIMEOUT, platform.client().close()).await;
}

/// Returns the deployed document and the new one, or the reason why they cannot be compared.
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
            "cannot open a session with the deployed agent: {}",
            error.report()
        )
    })?;
    let documents = async {
        let old = deployed_document(&session).await?;
        let new = printed_document(deployment, program, &session).await?;
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
