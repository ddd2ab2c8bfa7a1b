//! `agent attach`.

use std::time::Instant;

use ppio_agent_client::InvocationOutput;

use crate::arguments::AttachArguments;
use crate::error::{CliError, ExitKind};
use crate::invoke::answer::{self, InvocationSummary};
use crate::platform::{Platform, PrintError, session_of_run};
use crate::signals::or_interrupted;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: AttachArguments, terminal: &Terminal) -> Result<(), CliError> {
    // Boxed: the future holds a whole stream.
    let outcome = or_interrupted(Box::pin(attach(&arguments, terminal))).await;
    if let Err(error) = &outcome
        && matches!(error.kind, ExitKind::Interrupted | ExitKind::Terminated)
    {
        let id = &arguments.run.run_id;
        let headers = session_of_run::same_headers(&arguments.run.headers);
        terminal.note(&format!(
            "the run continues; cancel it with `ppio-sandbox-cli agent cancel {id}{headers}`"
        ));
    }
    outcome
}

async fn attach(arguments: &AttachArguments, terminal: &Terminal) -> Result<(), CliError> {
    let platform = Platform::choose(&arguments.run.agent.platform)?;
    let run = session_of_run::find(&arguments.run, &platform, terminal).await?;
    let session_id = run.session().sandbox_id();
    let failed = |error| {
        let error = platform.agent_error(format!("cannot read run {}", run.id()), &error);
        error.field("session_id", session_id)
    };
    let began = Instant::now();
    let stream = run.stream_after(arguments.last_event_id).await;
    let stream = stream.map_err(failed)?;
    let summary = InvocationSummary {
        items: None,
        session_id: session_id.to_owned(),
        request_id: run.id().to_owned(),
        duration: 0.0,
        kept: true,
        first_item: None,
    };
    let output = InvocationOutput::Stream(stream);
    match answer::print(output, began, summary, None, terminal).await {
        Ok(summary) => {
            terminal.note(&summary.text(&platform.short_name()));
            Ok(())
        }
        Err(PrintError::Output(error)) => Err(error),
        Err(PrintError::Client(error)) => Err(failed(error)),
    }
}
