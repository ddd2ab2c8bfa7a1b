//! `agent status`.

use ppio_agent_client::platform::SandboxInfo;
use ppio_agent_protocol::{AgentStatus, DeploymentPhase};
use serde::Serialize;

use crate::arguments::StatusArguments;
use crate::error::CliError;
use crate::platform::Platform;
use crate::platform::deployed_agent::{DeployedAgent, sandboxes_of};
use crate::terminal::Terminal;
use crate::terminal::table::Table;

/// The state in agent.yaml, the template on the platform, and the open sessions.
#[derive(Debug, Serialize)]
struct AgentOverview {
    name: String,
    version: String,
    /// The state in agent.yaml; `None` if agent.yaml has none, or if `--template-id` names the
    /// agent.
    deployment: Option<AgentStatus>,
    platform: String,
    template: TemplateOverview,
    sessions: Vec<SessionOverview>,
}

#[derive(Debug, Serialize)]
struct TemplateOverview {
    id: String,
    version: String,
    status: String,
    updated_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct SessionOverview {
    id: String,
    state: String,
    started_at: Option<String>,
    end_at: Option<String>,
}

impl From<SandboxInfo> for SessionOverview {
    fn from(info: SandboxInfo) -> Self {
        Self {
            id: info.sandbox_id,
            state: info.state.as_str().to_owned(),
            started_at: info.started_at,
            end_at: info.end_at,
        }
    }
}

pub(crate) async fn run(arguments: StatusArguments, terminal: &Terminal) -> Result<(), CliError> {
    let target = DeployedAgent::select(&arguments.agent)?;
    let platform = Platform::choose(&arguments.agent.platform)?;
    let template = target.find(&platform).await?;
    let sandboxes = sandboxes_of(&template, &platform).await?;
    let (name, version, deployment) = match target {
        DeployedAgent::Template(_) => (template.name, template.version.clone(), None),
        DeployedAgent::Project(project, _) => {
            let config = project.config;
            let metadata = config.metadata;
            (metadata.name.to_string(), metadata.version, config.status)
        }
    };
    let status = AgentOverview {
        name,
        version,
        deployment,
        platform: platform.name(),
        template: TemplateOverview {
            id: template.template_id,
            version: template.version,
            status: template.status,
            updated_at: template.updated_at,
        },
        sessions: sandboxes.into_iter().map(SessionOverview::from).collect(),
    };
    terminal.result(&status, || status.text());
    Ok(())
}

impl AgentOverview {
    fn text(&self) -> String {
        let mut lines = vec![format!("agent     {} {}", self.name, self.version)];
        if let Some(deployment) = &self.deployment {
            let phase = deployment.phase.map_or("unknown", DeploymentPhase::as_str);
            lines.push(format!("phase     {phase}"));
            let when = deployment.last_deployed.iter();
            lines.extend(when.map(|when| format!("deployed  {when}")));
        }
        let template = &self.template;
        lines.push(format!(
            "template  {} ({}) on {}",
            template.id, template.status, self.platform
        ));
        if template.version != self.version {
            lines.push(format!(
                "          deployed version {}; update it with `ppio-sandbox-cli agent deploy`",
                template.version
            ));
        }
        if self.sessions.is_empty() {
            lines.push("sessions  none".to_owned());
            return lines.join("\n");
        }
        lines.push(format!("sessions  {}\n", self.sessions.len()));
        let mut table = Table::new(["SESSION", "STATE", "STARTED", "ENDS"]);
        for session in &self.sessions {
            table.row([
                session.id.clone(),
                session.state.clone(),
                session.started_at.clone().unwrap_or_default(),
                session.end_at.clone().unwrap_or_default(),
            ]);
        }
        lines.push(table.to_string());
        lines.join("\n")
    }
}
