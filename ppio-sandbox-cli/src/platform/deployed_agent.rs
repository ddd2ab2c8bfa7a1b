//! Which agent a command is about.

use ppio_agent_client::platform::{SandboxFilter, SandboxInfo};
use ppio_agent_client::{AgentTemplate, SandboxSession};

use crate::arguments::AgentArguments;
use crate::error::{Failure, Fault};
use crate::platform::Platform;
use crate::project::Project;

/// A deployed agent, by its template.
#[derive(Debug)]
pub(crate) enum Target {
    /// Named on the command line, or by `PPIO_TEMPLATE_ID`.
    Named(String),
    /// Named by the project's agent.yaml.
    Project(Box<Project>, String),
}

impl Target {
    /// The agent that the command line names, else the project's. The project is not looked at where it is not needed.
    pub(crate) fn of(arguments: &AgentArguments) -> Result<Self, Failure> {
        if let Some(id) = &arguments.template_id {
            return Ok(Self::Named(id.clone()));
        }
        let project = Project::open(&arguments.project.project).map_err(or_named)?;
        let id = project.template_id().map(str::to_owned).ok_or_else(|| {
            Failure::new(
                Fault::Usage,
                format!("{} is not deployed yet", project.name()),
            )
            .next("deploy it with `ppio-sandbox-cli agent deploy`, or name another agent's template with `--template-id`")
        })?;
        Ok(Self::Project(Box::new(project), id))
    }

    /// The template's id or name, as it was given.
    pub(crate) fn template(&self) -> &str {
        match self {
            Self::Named(id) | Self::Project(_, id) => id,
        }
    }

    /// The template on the platform.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) async fn find(&self, platform: &Platform) -> Result<AgentTemplate, Failure> {
        let found = platform.client().get_template(self.template()).await;
        found.map_err(|error| {
            let what = match self {
                Self::Named(id) => format!("cannot find the agent {id:?} on {}", platform.name()),
                Self::Project(project, _) => {
                    format!("cannot find {} on {}", project.name(), platform.name())
                }
            };
            platform.failure(what, &error)
        })
    }
}

/// Without a project there is another way to say which agent is meant.
fn or_named(mut failure: Failure) -> Failure {
    if let Some(next) = &mut failure.next
        && !next.contains("--template-id")
    {
        *next += "; `--template-id` names an agent without a project";
    }
    failure
}

/// The sandboxes made from a template, oldest first.
pub(crate) async fn sandboxes_of(
    template: &AgentTemplate,
    platform: &Platform,
) -> Result<Vec<SandboxInfo>, Failure> {
    let all = platform
        .client()
        .platform()
        .list_sandboxes(&SandboxFilter::default())
        .await
        .map_err(|error| platform.failure("cannot list the sessions", &error))?;
    let mut own: Vec<_> = all
        .into_iter()
        .filter(|info| info.template_id == template.template_id)
        .collect();
    // RFC 3339 in one time zone sorts as text.
    own.sort_by(|a, b| a.started_at.cmp(&b.started_at));
    Ok(own)
}

/// The session with this id, which must be there.
pub(crate) async fn session(id: &str, platform: &Platform) -> Result<SandboxSession, Failure> {
    let failed = |error| platform.failure(format!("cannot use session {id}"), &error);
    match platform.client().get_session(id).await {
        Ok(Some(session)) => Ok(session),
        Ok(None) => Err(failed(ppio_agent_client::Error::SessionNotFound {
            sandbox_id: id.to_owned(),
        })),
        Err(error) => Err(failed(error)),
    }
}
