//! `agent runs`.

use ppio_agent_client::{RunInfo, RunStatus, SandboxSession};
use serde::Serialize;

use crate::arguments::RunsArguments;
use crate::error::CliError;
use crate::platform::Platform;
use crate::platform::deployed_agent::{self, DeployedAgent};
use crate::platform::session_of_run::running_sessions;
use crate::terminal::Terminal;
use crate::terminal::table::Table;

/// A run in one of the sessions.
#[derive(Debug, Serialize)]
struct RunRow {
    run_id: String,
    session_id: String,
    status: RunStatus,
    items: u64,
    started_at: Option<String>,
    ended_at: Option<String>,
}

impl RunRow {
    fn new(info: RunInfo, session: &SandboxSession) -> Self {
        Self {
            run_id: info.id,
            session_id: session.sandbox_id().to_owned(),
            status: info.status,
            items: info.items,
            started_at: info.started_at,
            ended_at: info.ended_at,
        }
    }
}

pub(crate) async fn run(arguments: RunsArguments, terminal: &Terminal) -> Result<(), CliError> {
    let headers = arguments.headers.parse()?;
    let agent = match &arguments.session {
        Some(_) => None,
        None => Some(DeployedAgent::select(&arguments.agent)?),
    };
    let platform = Platform::choose(&arguments.agent.platform)?;
    let sessions = match (&arguments.session, &agent) {
        (Some(id), _) => vec![deployed_agent::session(id, &platform).await?],
        (None, Some(agent)) => running_sessions(agent, &platform).await?,
        (None, None) => Vec::new(),
    };
    let mut rows = Vec::new();
    for session in &sessions {
        let list = headers.iter().fold(session.runs(), |list, (name, value)| {
            list.header(name, value.clone())
        });
        let runs = list.await.map_err(|error| {
            let id = session.sandbox_id();
            platform.agent_error(format!("cannot list the runs of session {id}"), &error)
        })?;
        rows.extend(runs.into_iter().map(|info| RunRow::new(info, session)));
    }
    // Newest first. RFC 3339 times of one time zone can be compared as text.
    rows.sort_by(|a, b| b.started_at.cmp(&a.started_at));
    if rows.is_empty() {
        terminal.note("no runs; start one with `ppio-sandbox-cli agent invoke --detach`");
    }
    terminal.result(&rows, || {
        let mut table = Table::new(["RUN", "STATUS", "ITEMS", "STARTED", "ENDED", "SESSION"]);
        for row in &rows {
            table.row([
                row.run_id.clone(),
                row.status.to_string(),
                row.items.to_string(),
                row.started_at.clone().unwrap_or_default(),
                row.ended_at.clone().unwrap_or_default(),
                row.session_id.clone(),
            ]);
        }
        table.to_string()
    });
    Ok(())
}
