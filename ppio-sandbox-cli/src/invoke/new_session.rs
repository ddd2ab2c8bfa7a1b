//! Creates a session, and watches its agent so that the error of a failed start contains the
//! agent's output.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ppio_agent_client::platform::{LogEntry, LogQuery, SandboxFilter, SandboxInfo};
use ppio_agent_client::{Error, SandboxSession};
use tokio::time::sleep;

use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::platform::deployed_agent::DeployedAgent;

/// The metadata key by which the sandbox is found before its creation has returned.
const START_KEY: &str = "ppio-cli-start";
/// The time after which an agent that has not started is watched.
const WATCH_DELAY: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The maximum number of output lines in the error.
const TAIL_LINES: u32 = 20;

/// Creates a session that lives for `lifetime`.
pub(super) async fn create(
    agent: &DeployedAgent,
    platform: &Platform,
    lifetime: Duration,
) -> Result<SandboxSession, CliError> {
    let start_id = unique();
    let tail = Mutex::new(Vec::new());
    let create = platform
        .client()
        .create_session(agent.template())
        .timeout(lifetime)
        .metadata(START_KEY, &start_id);
    // Dropping the future `create` deletes its sandbox.
    let error = tokio::select! {
        made = create => match made {
            Ok(session) => return Ok(session),
            Err(error) => platform.error(creation_message(agent, &error), &error),
        },
        never = keep_last_lines(platform, &start_id, &tail) => match never {},
    };
    if error.kind != ExitKind::Agent {
        return Err(error);
    }
    let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut error = error;
    // The error of an agent that ended immediately contains its output already.
    if let Some(last) = tail.last()
        && !error.causes.iter().any(|cause| cause.contains(last))
    {
        error = error.cause("last lines of the agent's output:");
        error
            .causes
            .extend(tail.into_iter().map(|line| format!("  {line}")));
    }
    Err(match error.help {
        Some(_) => error,
        None => error.help("run the agent with `ppio-sandbox-cli agent dev` to see all output"),
    })
}

fn creation_message(agent: &DeployedAgent, error: &Error) -> String {
    match (error, agent) {
        (
            Error::SandboxCreation {
                sandbox_id: Some(_),
                ..
            },
            DeployedAgent::Project(project, _),
        ) => format!("{} did not start", project.name()),
        (
            Error::SandboxCreation {
                sandbox_id: Some(_),
                ..
            },
            DeployedAgent::Template(_),
        ) => "the agent did not start".to_owned(),
        _ => format!("cannot open a session with {}", agent.template()),
    }
}

/// Keeps the last output lines of the sandbox with this `start_id` in `tail`, until the future is
/// dropped.
async fn keep_last_lines(
    platform: &Platform,
    start_id: &str,
    tail: &Mutex<Vec<String>>,
) -> Infallible {
    sleep(WATCH_DELAY).await;
    let sandbox = wait_for_sandbox(platform, start_id).await;
    loop {
        if let Ok(lines) = last_lines(platform, &sandbox.sandbox_id).await {
            *tail.lock().unwrap_or_else(PoisonError::into_inner) = lines;
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Waits until the platform lists the sandbox with this `start_id`, and returns it.
async fn wait_for_sandbox(platform: &Platform, start_id: &str) -> SandboxInfo {
    let filter = SandboxFilter {
        metadata: [(START_KEY.to_owned(), start_id.to_owned())].into(),
        ..SandboxFilter::default()
    };
    let control_plane = platform.client().platform();
    loop {
        // The creation reports errors of the platform.
        if let Some(info) = control_plane
            .list_sandboxes(&filter)
            .await
            .ok()
            .and_then(|mut found| found.pop())
            && let Ok(info) = control_plane.get_sandbox(&info.sandbox_id).await
        {
            return info;
        }
        sleep(POLL_INTERVAL).await;
    }
}

async fn last_lines(platform: &Platform, sandbox_id: &str) -> Result<Vec<String>, Error> {
    let query = LogQuery {
        limit: Some(TAIL_LINES),
        backward: true,
        ..LogQuery::default()
    };
    let control_plane = platform.client().platform();
    let mut entries: Vec<LogEntry> = control_plane.sandbox_logs(sandbox_id, &query).await?;
    entries.reverse();
    Ok(entries.into_iter().map(|entry| entry.message).collect())
}

/// Returns a random id.
pub(super) fn unique() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}
