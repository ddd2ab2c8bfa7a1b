//! The project, the platform and the agent that a command is about.

use std::path::PathBuf;

use clap::Args;

use super::values::not_empty;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlatformArguments {
    /// Use the platform on this machine, even if an API key is set
    #[arg(long, conflicts_with = "remote", help_heading = "Platform")]
    pub(crate) local: bool,
    /// Use the platform of the environment (`PPIO_API_KEY`, `PPIO_API_URL`, …); the default if
    /// `PPIO_API_KEY` is set
    #[arg(long, help_heading = "Platform")]
    pub(crate) remote: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ProjectArguments {
    /// The project's folder, which contains agent.yaml
    #[arg(long, short = 'C', value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct AgentArguments {
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    #[command(flatten)]
    pub(crate) platform: PlatformArguments,
    /// The agent's template, by id or name [default: the one in agent.yaml]
    #[arg(long, value_name = "ID", env = "PPIO_TEMPLATE_ID", value_parser = not_empty)]
    pub(crate) template_id: Option<String>,
}
