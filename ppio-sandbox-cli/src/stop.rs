//! `agent stop`.

use ppio_agent_client::Error;
use serde_json::json;

use crate::arguments::StopArguments;
use crate::error::CliError;
use crate::platform::Platform;
use crate::platform::deployed_agent::{DeployedAgent, sandboxes_of};
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: StopArguments, terminal: &Terminal) -> Result<(), CliError> {
    if let Some(id) = &arguments.session {
        let platform = Platform::choose(&arguments.agent.platform)?;
        let closed = platform.client().close_session(id).await;
        closed.map_err(|error| platform.error(format!("cannot close session {id}"), &error))?;
        report(std::slice::from_ref(id), terminal);
        return Ok(());
    }
    let target = DeployedAgent::select(&arguments.agent)?;
    let platform = Platform::choose(&arguments.agent.platform)?;
    let template = target.find(&platform).await?;
    let ids = sandboxes_of(&template, &platform)
        .await?
        .into_iter()
        .map(|info| info.sandbox_id)
        .collect();
    let closed = close(ids, &platform).await?;
    if closed.is_empty() {
        terminal.note("no session is open");
    }
    report(&closed, terminal);
    Ok(())
}

/// Closes sessions. Returns the ids of the sessions that were still open.
///
/// # Errors
/// If a session cannot be closed; the sessions after it stay open.
pub(crate) async fn close(ids: Vec<String>, platform: &Platform) -> Result<Vec<String>, CliError> {
    let mut closed = Vec::new();
    for id in ids {
        match platform.client().close_session(&id).await {
            Ok(()) => closed.push(id),
            // The session has ended meanwhile.
            Err(Error::SessionNotFound { .. }) => {}
            Err(error) => {
                return Err(platform.error(format!("cannot close session {id}"), &error));
            }
        }
    }
    Ok(closed)
}

fn report(closed: &[String], terminal: &Terminal) {
    terminal.result(&json!({ "closed": closed }), || {
        let lines: Vec<_> = closed.iter().map(|id| format!("closed {id}")).collect();
        lines.join("\n")
    });
}
