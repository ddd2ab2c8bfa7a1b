//! The state of the deployment in agent.yaml.

use std::time::SystemTime;

use ppio_agent_client::platform::BuildTicket;
use ppio_agent_protocol::DeploymentPhase;

use crate::error::{CliError, ExitKind};
use crate::project::AgentFile;
use crate::project::edit::{self, Edit};

/// Writes the state of the deployment into agent.yaml.
#[derive(Debug)]
pub(super) struct DeploymentRecord {
    file: AgentFile,
    /// The text of agent.yaml before the deployment.
    before: String,
    /// The text that was written last, if any was.
    written: Option<String>,
}

impl DeploymentRecord {
    /// Checks that each change of a deployment can be made in `file`, so that the error of a change
    /// that is not possible is returned before the deployment.
    pub(super) fn open(file: AgentFile) -> Result<Self, CliError> {
        let changes = [building("t", "b"), deployed("t", "b")].concat();
        edit::apply(file.text(), &changes).map_err(|error| {
            let message = format!("cannot record the deployment in {}", file.name());
            CliError::new(ExitKind::Usage, message)
                .caused_by(&error)
                .help(
                    "write `spec` and `status` as plain sections: one `key: value` a line, \
                 without anchors",
                )
        })?;
        let before = file.text().to_owned();
        Ok(Self {
            file,
            before,
            written: None,
        })
    }

    pub(super) fn building(&mut self, ticket: &BuildTicket) -> Result<(), CliError> {
        self.write(&building(&ticket.template_id, &ticket.build_id))
    }

    pub(super) fn deployed(&mut self, ticket: &BuildTicket) -> Result<(), CliError> {
        let changes = deployed(&ticket.template_id, &ticket.build_id);
        self.write(&changes).map_err(|error| CliError {
            message: format!("the agent is deployed, but {}", error.message),
            ..error
                .field("template_id", &ticket.template_id)
                .field("build_id", &ticket.build_id)
        })
    }

    /// Records the failure if the start of the build was recorded.
    pub(super) fn failed(&mut self) -> Result<(), CliError> {
        match self.written {
            Some(_) => self.write(&[phase(DeploymentPhase::Failed)]),
            None => Ok(()),
        }
    }

    /// Writes the text from before the deployment if the start of the build was recorded. If
    /// another writer changed the file meanwhile, only records the failure.
    pub(super) fn restore(&mut self) -> Result<(), CliError> {
        let Some(written) = self.written.take() else {
            return Ok(());
        };
        self.file.reload()?;
        if self.file.text() == written {
            self.file.write(self.before.clone())
        } else {
            self.write(&[phase(DeploymentPhase::Failed)])
        }
    }

    fn write(&mut self, changes: &[Edit]) -> Result<(), CliError> {
        // The author may have saved the file meanwhile.
        self.file.reload()?;
        let text = edit::apply(self.file.text(), changes).map_err(|error| {
            let message = format!("cannot change {}", self.file.name());
            CliError::new(ExitKind::Usage, message).caused_by(&error)
        })?;
        self.file.write(text.clone())?;
        self.written = Some(text);
        Ok(())
    }
}

fn phase(phase: DeploymentPhase) -> Edit {
    Edit::text(&["status", "phase"], phase.as_str())
}

fn building(template_id: &str, build_id: &str) -> Vec<Edit> {
    vec![
        phase(DeploymentPhase::Building),
        Edit::text(&["status", "template_id"], template_id),
        Edit::text(&["status", "build_id"], build_id),
    ]
}

fn deployed(template_id: &str, build_id: &str) -> Vec<Edit> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    vec![
        Edit::text(&["spec", "sandbox", "template_id"], template_id),
        phase(DeploymentPhase::Deployed),
        Edit::text(&["status", "template_id"], template_id),
        Edit::text(&["status", "last_deployed"], now),
        Edit::text(&["status", "build_id"], build_id),
    ]
}
