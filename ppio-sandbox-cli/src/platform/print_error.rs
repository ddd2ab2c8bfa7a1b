//! The error that ended the output of an answer or a log.

use ppio_agent_client::Error;

use crate::error::CliError;

#[derive(Debug)]
pub(crate) enum PrintError {
    /// The agent, the platform or the connection failed.
    Client(Error),
    /// Standard output failed, or the agent cannot be called by the protocol.
    Output(CliError),
}

impl From<CliError> for PrintError {
    fn from(error: CliError) -> Self {
        Self::Output(error)
    }
}
