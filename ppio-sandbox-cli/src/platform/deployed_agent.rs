//! The deployed agent that a command works on.

use ppio_agent_client::platform::{SandboxFilter, SandboxInfo, SandboxState};
use ppio_agent_client::{AgentTemplate, Error, SandboxSession};

use crate::arguments::AgentArguments;
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::project::Project;
use crate::terminal::Terminal;

/// A deployed agent, by its template.
#[derive(Debug)]
pub(crate) enum DeployedAgent {
    /// The template of `--template-id` or `PPIO_TEMPLATE_ID`.
    Template(String),
    /// The project's deployment, with its template.
    Project(Box<Project>, String),
}

impl DeployedAgent {
    /// Returns the agent of `--template-id`, otherwise the project's.
    pub(crate) fn select(arguments: &AgentArguments) -> Result<Self, CliError> {
        if let Some(id) = &arguments.template_id {
            return Ok(Self::Template(id.clone()));
        }
        let project = Project::open(&arguments.project.project).map_err(with_template_id_help)?;
        let id = project.template_id().map(str::to_owned).ok_or_else(|| {
            CliError::new(
                ExitKind::Usage,
                format!("{} is not deployed yet", project.name()),
            )
            .help(
                "deploy the project with `ppio-sandbox-cli agent deploy`, or name a template with \
             `--template-id`",
            )
        })?;
        Ok(Self::Project(Box::new(project), id))
    }

    /// Returns the template's id or name.
    pub(crate) fn template(&self) -> &str {
        match self {
            Self::Template(id) | Self::Project(_, id) => id,
        }
    }

    /// Looks the template up on the platform.
    pub(crate) async fn find(&self, platform: &Platform) -> Result<AgentTemplate, CliError> {
        let found = platform.client().get_template(self.template()).await;
        found.map_err(|error| {
            let message = match self {
                Self::Template(id) => {
                    format!("cannot find the agent {id:?} on {}", platform.name())
                }
                Self::Project(project, _) => {
                    format!("cannot find {} on {}", project.name(), platform.name())
                }
            };
            platform.error(message, &error)
        })
    }
}

fn with_template_id_help(mut error: CliError) -> CliError {
    if let Some(help) = &mut error.help {
        *help += "; or name the template of an agent with `--template-id`";
    }
    error
}

/// Returns the sandboxes of a template, oldest first.
pub(crate) async fn sandboxes_of(
    template: &AgentTemplate,
    platform: &Platform,
) -> Result<Vec<SandboxInfo>, CliError> {
    let all = platform
        .client()
        .platform()
        .list_sandboxes(&SandboxFilter::default())
        .await
        .map_err(|error| platform.error("cannot list the sessions", &error))?;
    let mut own: Vec<_> = all
        .into_iter()
        .filter(|info| info.template_id == template.template_id)
        .collect();
    // RFC 3339 times of one time zone and one precision can be compared as text.
    own.sort_by(|a, b| a.started_at.cmp(&b.started_at));
    Ok(own)
}

/// Returns the id of the newest session of an agent. `doing` names the use of the session in a
/// note.
///
/// # Errors
/// If the agent or its sessions cannot be read, or the agent has no open session; `help` states how
/// to open one.
pub(crate) async fn newest_session(
    agent: &DeployedAgent,
    platform: &Platform,
    doing: &str,
    help: &str,
    terminal: &Terminal,
) -> Result<String, CliError> {
    let template = agent.find(platform).await?;
    let mut sandboxes = sandboxes_of(&template, platform).await?;
    let newest = sandboxes.pop().ok_or_else(|| {
        let message = format!("{} has no open session", template.name);
        CliError::new(ExitKind::Platform, message).help(help)
    })?;
    if !sandboxes.is_empty() {
        terminal.note(&format!(
            "{} sessions are open; {doing} the newest, {}",
            sandboxes.len() + 1,
            newest.sandbox_id
        ));
    }
    Ok(newest.sandbox_id)
}

/// Returns the session with this id.
///
/// # Errors
/// If the session does not exist or cannot be read.
pub(crate) async fn session(id: &str, platform: &Platform) -> Result<SandboxSession, CliError> {
    let failed = |error| platform.error(format!("cannot use session {id}"), &error);
    match platform.client().get_session(id).await {
        Ok(Some(session)) => Ok(session),
        Ok(None) => Err(failed(Error::SessionNotFound {
            sandbox_id: id.to_owned(),
            status: Some(404),
        })),
        Err(error) => Err(failed(error)),
    }
}

/// Returns the session with this id, resumed or with its lifetime extended. Calls `on_paused`
/// before it resumes the session.
///
/// # Errors
/// If the session does not exist, or cannot be read, resumed or extended.
pub(crate) async fn usable_session(
    id: &str,
    platform: &Platform,
    on_paused: impl FnOnce(),
) -> Result<SandboxSession, CliError> {
    let session = session(id, platform).await?;
    let failed = |error: Error| platform.error(format!("cannot use session {id}"), &error);
    if session.info().await.map_err(failed)?.state == SandboxState::Paused {
        on_paused();
        session.resume().await.map_err(failed)?;
    } else {
        session.refresh().await.map_err(failed)?;
    }
    Ok(session)
}
