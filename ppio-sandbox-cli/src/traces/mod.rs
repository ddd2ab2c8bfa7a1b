//! `agent traces`: the traces that a running `agent dev` has received.

mod dev_server;
mod tree;

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use self::dev_server::DevServer;
use self::tree::FetchedTrace;
use crate::arguments::{TracesCommand, TracesGetArguments, TracesListArguments};
use crate::error::{CliError, ExitKind};
use crate::terminal::styled::Styled;
use crate::terminal::table::Table;
use crate::terminal::{OutputFormat, Terminal};

/// The number of digits of a trace id.
const TRACE_ID_LENGTH: usize = 32;

pub(crate) async fn run(command: TracesCommand, terminal: &Terminal) -> Result<(), CliError> {
    match command {
        TracesCommand::List(arguments) => list(arguments, terminal).await,
        TracesCommand::Get(arguments) => get(arguments, terminal).await,
    }
}

/// A trace in the list.
#[derive(Debug, Deserialize)]
struct TraceRow {
    trace_id: String,
    name: String,
    started_at: String,
    duration_ms: f64,
    spans: usize,
    errors: usize,
    runs: Vec<String>,
    tokens: Option<FetchedTokens>,
}

#[derive(Debug, Deserialize)]
struct FetchedTokens {
    input: u64,
    output: u64,
}

async fn list(arguments: TracesListArguments, terminal: &Terminal) -> Result<(), CliError> {
    let since = arguments
        .since
        .map(|time| humantime::format_rfc3339_millis(time).to_string());
    let limit = arguments.limit.to_string();
    let query = [
        ("run", arguments.run.as_deref()),
        ("session", arguments.session.as_deref()),
        ("error", arguments.errors.then_some("true")),
        ("since", since.as_deref()),
        ("limit", Some(&limit)),
    ];
    let server = DevServer::new(arguments.server.port);
    let query: Vec<_> = query
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut found = server.get(&["traces"], &query).await?;
    let traces = found["traces"].take();
    let rows: Vec<TraceRow> = server.read(&traces)?;
    if rows.is_empty() {
        terminal.note(
            "no traces; an agent exports them if it is built with the feature `otel` of \
             `ppio-agent`",
        );
    }
    terminal.result(&traces, || {
        let mut table = Table::new([
            "TRACE", "STARTED", "DURATION", "SPANS", "ERRORS", "TOKENS", "NAME", "RUN",
        ]);
        for row in rows {
            let tokens = row
                .tokens
                .map(|tokens| tokens.input.saturating_add(tokens.output));
            table.row([
                row.trace_id,
                milliseconds_only(&row.started_at),
                tree::duration(row.duration_ms),
                row.spans.to_string(),
                row.errors.to_string(),
                tokens.map(|tokens| tokens.to_string()).unwrap_or_default(),
                row.name,
                row.runs.join(", "),
            ]);
        }
        table.to_string()
    });
    Ok(())
}

async fn get(arguments: TracesGetArguments, terminal: &Terminal) -> Result<(), CliError> {
    let server = DevServer::new(arguments.server.port);
    let id = arguments.id.as_str();
    let is_trace = id.len() == TRACE_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (traces, logs) = if is_trace {
        let mut trace = server
            .get(&["traces", &id.to_ascii_lowercase()], &[])
            .await?;
        if terminal.format() == OutputFormat::Json {
            return terminal.write_json(&trace);
        }
        let logs = trace["logs"].take();
        (vec![trace], logs)
    } else {
        let mut run = server.get(&["runs", id], &[]).await?;
        let is_empty = |name: &str| run[name].as_array().is_none_or(Vec::is_empty);
        if is_empty("traces") && is_empty("logs") {
            return Err(unknown_run(id));
        }
        if terminal.format() == OutputFormat::Json {
            return terminal.write_json(&run);
        }
        let traces = match run["traces"].take() {
            Value::Array(traces) => traces,
            _ => Vec::new(),
        };
        (traces, run["logs"].take())
    };
    let mut text = Styled::new();
    for trace in &traces {
        let trace: FetchedTrace = server.read(trace)?;
        trace.write(&mut text);
    }
    let logs: Vec<Value> = server.read(&logs)?;
    tree::write_logs(&logs, &mut text);
    terminal.write_styled(&text)
}

fn unknown_run(id: &str) -> CliError {
    let message = format!("`agent dev` has neither a trace nor a log line of {id:?}");
    CliError::new(ExitKind::Usage, message)
        .help("list the traces with `ppio-sandbox-cli agent traces list`")
}

/// Returns a time without the digits after its milliseconds.
fn milliseconds_only(time: &str) -> String {
    let parsed = humantime::parse_rfc3339_weak(time).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_millis(parsed).to_string()
}
