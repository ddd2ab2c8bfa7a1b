//! The session that a run belongs to.

use ppio_agent_client::platform::SandboxState;
use ppio_agent_client::{Run, SandboxSession};

use super::Platform;
use super::deployed_agent::{self, DeployedAgent, sandboxes_of};
use crate::arguments::RunArguments;
use crate::error::{CliError, ExitKind};
use crate::terminal::Terminal;

/// Finds the run: in the session of `--session`, otherwise in the running sessions of the agent,
/// newest first.
///
/// # Errors
/// If no session has it.
pub(crate) async fn find(
    arguments: &RunArguments,
    platform: &Platform,
    terminal: &Terminal,
) -> Result<Run, CliError> {
    let run_id = &arguments.run_id;
    if let Some(id) = &arguments.session {
        let note = || terminal.note("the session is paused, resuming it");
        let session = deployed_agent::usable_session(id, platform, note).await?;
        return Ok(session.run(run_id));
    }
    let agent = DeployedAgent::select(&arguments.agent)?;
    let mut unreachable = None;
    for session in running_sessions(&agent, platform).await? {
        let run = session.run(run_id);
        match run.info().await {
            Ok(_) => return Ok(run),
            Err(error) if error.status() == Some(404) => {}
            // Another session may have it.
            Err(error) => {
                let message = format!("cannot look for run {run_id} in {}", session.sandbox_id());
                unreachable.get_or_insert_with(|| platform.error(message, &error));
            }
        }
    }
    Err(unreachable.unwrap_or_else(|| {
        let message = format!(
            "no running session of {} has run {run_id}",
            agent.template()
        );
        CliError::new(ExitKind::Platform, message).help(
            "list the runs with `ppio-sandbox-cli agent runs`, or name a session with `--session`",
        )
    }))
}

/// The running sessions of an agent, newest first.
pub(crate) async fn running_sessions(
    agent: &DeployedAgent,
    platform: &Platform,
) -> Result<Vec<SandboxSession>, CliError> {
    let template = agent.find(platform).await?;
    let sandboxes = sandboxes_of(&template, platform).await?;
    let mut sessions = Vec::new();
    for sandbox in sandboxes.into_iter().rev() {
        if sandbox.state != SandboxState::Running {
            continue;
        }
        let found = platform.client().get_session(&sandbox.sandbox_id).await;
        let found = found.map_err(|error| {
            let message = format!("cannot use session {}", sandbox.sandbox_id);
            platform.error(message, &error)
        })?;
        // `None`: it has ended meanwhile.
        sessions.extend(found);
    }
    Ok(sessions)
}
