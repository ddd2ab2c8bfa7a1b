//! The session that a run belongs to.

use ppio_agent_client::platform::SandboxState;
use ppio_agent_client::{Run, SandboxSession};

use super::Platform;
use super::deployed_agent::{self, DeployedAgent, sandboxes_of};
use crate::arguments::{HeaderArguments, RunArguments};
use crate::error::{CliError, ExitKind};
use crate::terminal::Terminal;

/// Finds the run that `arguments` name: in the session of `--session`, otherwise in the running
/// sessions of the agent, newest first.
///
/// # Errors
/// If a header is not valid, if the session of `--session` does not exist or cannot be used, if the
/// agent or its sessions cannot be read, or if no running session has the run. With `--session`,
/// whether the session has the run is not checked.
pub(crate) async fn find(
    arguments: &RunArguments,
    platform: &Platform,
    terminal: &Terminal,
) -> Result<Run, CliError> {
    let run_id = &arguments.run_id;
    let headers = arguments.headers.parse()?;
    let run_of = |session: SandboxSession| {
        let run = headers
            .iter()
            .try_fold(session.run(run_id), |run, (name, value)| {
                run.header(name, value.clone())
            });
        run.map_err(|error| platform.error("cannot send a header of the command line", &error))
    };
    if let Some(id) = &arguments.session {
        let note = || terminal.note("the session is paused, resuming it");
        let session = deployed_agent::usable_session(id, platform, note).await?;
        return run_of(session);
    }
    let agent = DeployedAgent::select(&arguments.agent)?;
    let mut unreachable = None;
    for session in running_sessions(&agent, platform).await? {
        let run = run_of(session)?;
        match run.info().await {
            Ok(_) => return Ok(run),
            Err(error) if error.status() == Some(404) => {}
            // Another session may have the run.
            Err(error) => {
                let session_id = run.session().sandbox_id();
                let message = format!("cannot look for run {run_id} in session {session_id}");
                unreachable.get_or_insert_with(|| platform.agent_error(message, &error));
            }
        }
    }
    Err(unreachable.unwrap_or_else(|| {
        let message = format!(
            "no running session of {} has run {run_id}",
            agent.template()
        );
        CliError::new(ExitKind::Platform, message).help(
            "list the runs with `ppio-sandbox-cli agent runs`, name a session with `--session`, \
             or send the authorization that the run was started with (`-H`)",
        )
    }))
}

/// Returns the end of a suggested command line, which has to send the same headers as this command.
pub(crate) fn same_headers(headers: &HeaderArguments) -> &'static str {
    // The headers may be secrets.
    if headers.is_empty() { "" } else { " -H …" }
}

/// Returns the running sessions of an agent, newest first.
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
        // `None`: the session has ended meanwhile.
        sessions.extend(found);
    }
    Ok(sessions)
}
