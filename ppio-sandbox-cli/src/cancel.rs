//! `agent cancel`.

use ppio_agent_client::RunStatus;
use serde_json::json;

use crate::arguments::CancelArguments;
use crate::error::CliError;
use crate::platform::{Platform, session_of_run};
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: CancelArguments, terminal: &Terminal) -> Result<(), CliError> {
    let platform = Platform::choose(&arguments.run.agent.platform)?;
    let run = session_of_run::find(&arguments.run, &platform, terminal).await?;
    let (id, session_id) = (run.id(), run.session().sandbox_id());
    let info = run.cancel().await.map_err(|error| {
        let error = platform.agent_error(format!("cannot cancel run {id}"), &error);
        error.field("session_id", session_id)
    })?;
    let document = json!({ "run_id": id, "session_id": session_id, "status": info.status });
    terminal.result(&document, || match info.status {
        RunStatus::Cancelled => format!("cancelled {id}"),
        status => format!("{id} had already ended: {status}"),
    });
    Ok(())
}
