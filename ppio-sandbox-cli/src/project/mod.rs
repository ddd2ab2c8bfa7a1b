//! The project that a command works on.

mod agent_file;
pub(crate) mod author;
pub(crate) mod cargo;
pub(crate) mod docker_ignore;
pub(crate) mod edit;
pub(crate) mod secrets;

use std::path::Path;

use ppio_agent_protocol::AgentConfig;

pub(crate) use self::agent_file::AgentFile;

use crate::error::CliError;

/// A project with a valid agent.yaml.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) file: AgentFile,
    pub(crate) config: AgentConfig,
}

impl Project {
    /// Finds agent.yaml in a folder or in the nearest folder above it, and parses the file.
    pub(crate) fn open(folder: &Path) -> Result<Self, CliError> {
        let file = AgentFile::find(folder)?;
        let config = file.parse()?;
        Ok(Self { file, config })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.file.folder()
    }

    pub(crate) fn name(&self) -> &str {
        self.config.metadata.name.as_str()
    }

    /// Returns the template of the deployment: the one that was built, otherwise the one that is
    /// configured.
    pub(crate) fn template_id(&self) -> Option<&str> {
        let built = self
            .config
            .status
            .as_ref()
            .and_then(|status| status.template_id.as_deref());
        let wanted = self
            .config
            .spec
            .sandbox
            .as_ref()
            .and_then(|sandbox| sandbox.template_id.as_deref());
        let is_given = |id: &&str| !id.is_empty();
        built.filter(is_given).or(wanted.filter(is_given))
    }
}
