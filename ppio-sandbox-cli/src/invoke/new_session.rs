//! A new session: made, and watched while its agent starts, so that one that cannot start says why.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ppio_agent_client::platform::{LogEntry, LogQuery, SandboxFilter, SandboxInfo};
use ppio_agent_client::{Error, SandboxSession};
use tokio::time::sleep;

use crate::error::{Failure, Fault};
use crate::platform::Platform;
use crate::platform::deployed_agent::Target;

/// The fact by which a sandbox that is being made can be found.
const MARK: &str = "ppio-cli-start";
/// Agents that start within this time are not watched.
const PATIENCE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(250);
/// How often in a row nothing may run in a sandbox: between two commands nothing does either.
const IDLE_LOOKS: usize = 3;
/// As many last lines of an agent's output as say why it ended.
const TAIL: u32 = 20;

/// Makes a session that lives for `lifetime`.
pub(super) async fn session(
    target: &Target,
    platform: &Platform,
    lifetime: Duration,
) -> Result<SandboxSession, Failure> {
    let mark = unique();
    let tail = Mutex::new(Vec::new());
    let create = platform
        .client()
        .create_session(target.template())
        .timeout(lifetime)
        .metadata(MARK, &mark);
    // Giving up on the creation ends its sandbox.
    let failure = tokio::select! {
        made = create => match made {
            Ok(session) => return Ok(session),
            Err(error) => platform.failure(what_failed(target, &error), &error),
        },
        failure = watch(target, platform, &mark, &tail) => failure,
    };
    let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failure.fault != Fault::Agent || tail.is_empty() {
        return Err(failure);
    }
    let mut failure = failure.reason("its last lines:");
    failure
        .why
        .extend(tail.into_iter().map(|line| format!("  {line}")));
    Err(match failure.next {
        Some(_) => failure,
        None => failure
            .next("`ppio-sandbox-cli agent dev` runs it here, where all that it says is shown"),
    })
}

fn what_failed(target: &Target, error: &Error) -> String {
    match (error, target) {
        (
            Error::SandboxCreation {
                sandbox_id: Some(_),
                ..
            },
            Target::Project(project, _),
        ) => format!("{} did not start", project.name()),
        (
            Error::SandboxCreation {
                sandbox_id: Some(_),
                ..
            },
            Target::Named(_),
        ) => "the agent did not start".to_owned(),
        _ => format!("cannot open a session with {}", target.template()),
    }
}

/// Keeps the last lines that a slow agent wrote, and fails when it has ended; pending for ever while it has not.
async fn watch(
    target: &Target,
    platform: &Platform,
    mark: &str,
    tail: &Mutex<Vec<String>>,
) -> Failure {
    sleep(PATIENCE).await;
    let sandbox = found(platform, mark).await;
    // An agent that the client starts is watched by the client. Elsewhere than on this machine, what a template
    // started may not be among the processes that a sandbox tells of.
    let ends_with_its_processes = platform.is_local() && runs_by_itself(target, platform).await;
    let envd = platform
        .client()
        .envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    let mut idle = 0;
    while idle < IDLE_LOOKS {
        // Asked before the log: what an ended agent wrote is complete.
        match envd.list_processes().await {
            Ok(processes) if processes.is_empty() && ends_with_its_processes => idle += 1,
            Ok(_) | Err(_) => idle = 0,
        }
        if let Ok(lines) = last_lines(platform, &sandbox.sandbox_id).await {
            *tail.lock().unwrap_or_else(PoisonError::into_inner) = lines;
        }
        sleep(POLL).await;
    }
    let what = match target {
        Target::Named(_) => "the agent ended while it was starting".to_owned(),
        Target::Project(project, _) => format!("{} ended while it was starting", project.name()),
    };
    Failure::new(Fault::Agent, what)
}

/// The sandbox with that mark, as soon as the platform tells of it.
async fn found(platform: &Platform, mark: &str) -> SandboxInfo {
    let filter = SandboxFilter {
        metadata: [(MARK.to_owned(), mark.to_owned())].into(),
        ..SandboxFilter::default()
    };
    let control_plane = platform.client().platform();
    loop {
        // Whatever goes wrong here goes wrong for the creation too, which reports it.
        if let Some(info) = control_plane
            .list_sandboxes(&filter)
            .await
            .ok()
            .and_then(|mut found| found.pop())
            && let Ok(info) = control_plane.get_sandbox(&info.sandbox_id).await
        {
            return info;
        }
        sleep(POLL).await;
    }
}

async fn runs_by_itself(target: &Target, platform: &Platform) -> bool {
    let template = platform.client().get_template(target.template()).await;
    let Ok(Ok(config)) = template.map(|template| template.agent_config()) else {
        return false;
    };
    let entrypoint = config.and_then(|config| config.spec.entrypoint);
    entrypoint.is_none_or(|file| Path::new(file.as_str()).extension() != Some("py".as_ref()))
}

async fn last_lines(platform: &Platform, sandbox_id: &str) -> Result<Vec<String>, Error> {
    let query = LogQuery {
        limit: Some(TAIL),
        backward: true,
        ..LogQuery::default()
    };
    let control_plane = platform.client().platform();
    let mut entries: Vec<LogEntry> = control_plane.sandbox_logs(sandbox_id, &query).await?;
    entries.reverse();
    Ok(entries.into_iter().map(|entry| entry.message).collect())
}

/// An id that nothing else has.
fn unique() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}
