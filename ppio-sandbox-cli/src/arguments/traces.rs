//! The arguments of `agent traces`.

use std::time::SystemTime;

use clap::{Args, Subcommand};

use super::point_in_time::point_in_time;
use super::values::not_empty;

const TRACES_HELP: &str = "\
`agent dev` receives traces from the agent that it runs, if that is built with the feature `otel` \
of `ppio-agent`, and from other services. `agent dev` keeps the newest traces until it ends.";

#[derive(Debug, Subcommand)]
#[command(after_long_help = TRACES_HELP)]
pub(crate) enum TracesCommand {
    /// List traces, newest first
    List(TracesListArguments),
    /// Print a trace: its spans as a tree with their durations, and its log
    Get(TracesGetArguments),
}

/// The `agent dev` that has the traces.
#[derive(Debug, Args)]
pub(crate) struct DevServerArguments {
    /// The port of `agent dev`
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
}

const LIST_HELP: &str = "\
With JSON output:
  [{\"trace_id\": …, \"name\": …, \"service\": …, \"started_at\": …, \"duration_ms\": \
…, \"spans\": …, \"errors\": …, \"dropped_spans\": …, \"runs\": […], \"sessions\": \
[…], \"tokens\": {\"input\": …, \"output\": …}}, …]";

#[derive(Debug, Args)]
#[command(after_long_help = LIST_HELP)]
pub(crate) struct TracesListArguments {
    #[command(flatten)]
    pub(crate) server: DevServerArguments,
    /// List only traces of this run
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) run: Option<String>,
    /// List only traces of this session
    #[arg(long, value_name = "ID", value_parser = not_empty)]
    pub(crate) session: Option<String>,
    /// List only traces in which a span failed
    #[arg(long)]
    pub(crate) errors: bool,
    /// List only traces that began after this time, or this long ago, as in `10m`
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub(crate) since: Option<SystemTime>,
    /// The maximum number of traces
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(crate) limit: usize,
}

const GET_HELP: &str = "\
With JSON output, a trace has the members that it has in the list, and
  \"spans\": [{\"span_id\": …, \"parent_id\": …, \"depth\": …, \"name\": …, \"category\": \
…, \"kind\": …, \"service\": …, \"started_at\": …, \"offset_ms\": …, \"duration_ms\": \
…, \"is_error\": …, \"status_message\": …, \"outlives_answer\": …, \"attributes\": \
{…}, \"events\": […]}, …]
  \"logs\": [{\"timestamp\": …, \"level\": …, \"message\": …, \"target\": …, \"run_id\": \
…, \"fields\": {…}}, …]
For a run:
  {\"run_id\": …, \"traces\": […], \"logs\": […]}";

#[derive(Debug, Args)]
#[command(after_long_help = GET_HELP)]
pub(crate) struct TracesGetArguments {
    #[command(flatten)]
    pub(crate) server: DevServerArguments,
    /// The trace, or the run whose traces and log are printed
    #[arg(value_name = "ID", value_parser = not_empty)]
    pub(crate) id: String,
}
