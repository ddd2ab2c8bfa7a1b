//! The arguments of `local`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Start the platform
    Up(UpArguments),
    /// Stop the platform and its sandboxes
    Down(DownArguments),
    /// Show whether the platform is running, with its templates and sandboxes
    Status(LocalStatusArguments),
    /// Print the environment variables with which SDKs use the platform
    Env(EnvArguments),
}

#[derive(Debug, Default, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct UpArguments {
    /// Run in the background
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// The port to listen on; any free one if 0
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Accept TLS connections as well, for clients that require it
    #[arg(long)]
    pub(crate) tls: bool,
    /// Give sandboxes with internet access a network of their own, through `pasta`
    ///
    /// Such sandboxes cannot reach loopback addresses of this machine. The variable
    /// `PPIO_LOCAL_ISOLATE_NETWORK` does the same.
    #[arg(long)]
    pub(crate) isolate_network: bool,
    /// Let sandboxes read this file or folder of this machine
    #[arg(long, value_name = "PATH")]
    pub(crate) expose: Vec<PathBuf>,
    /// The process that `--detach` starts
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub(crate) in_background: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownArguments {}

#[derive(Debug, Args)]
pub(crate) struct LocalStatusArguments {}

#[derive(Debug, Args)]
pub(crate) struct EnvArguments {
    /// The syntax of the output
    #[arg(long, value_enum, default_value = "sh")]
    pub(crate) shell: EnvSyntax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EnvSyntax {
    /// `export NAME='value'`: bash, zsh and other POSIX shells
    Sh,
    /// `set -gx NAME 'value'`
    Fish,
    /// `NAME=value`: files for docker, systemd and libraries
    Dotenv,
}
