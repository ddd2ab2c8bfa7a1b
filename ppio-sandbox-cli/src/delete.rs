//! `agent delete`.

use ppio_agent_client::AgentTemplate;
use serde_json::json;

use crate::arguments::DeleteArguments;
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::platform::deployed_agent::{DeployedAgent, sandboxes_of};
use crate::project::Project;
use crate::project::edit::{self, EditError};
use crate::stop;
use crate::terminal::Terminal;

/// The path in agent.yaml of the template that an author or an earlier deployment configured.
const TEMPLATE_ID: [&str; 3] = ["spec", "sandbox", "template_id"];

pub(crate) async fn run(arguments: DeleteArguments, terminal: &Terminal) -> Result<(), CliError> {
    if !arguments.yes && !terminal.is_interactive() {
        return Err(CliError::new(
            ExitKind::Usage,
            "deleting an agent needs a confirmation, and there is no terminal for a prompt",
        )
        .help("delete without a prompt with `--yes`"));
    }
    let target = DeployedAgent::select(&arguments.agent)?;
    let platform = Platform::choose(&arguments.agent.platform)?;
    let template = target.find(&platform).await?;
    let sessions = sandboxes_of(&template, &platform).await?;
    if !arguments.yes {
        let question = format!(
            "delete {} (template {}, {} open) from {}?",
            template.name,
            template.template_id,
            match sessions.len() {
                1 => "1 session".to_owned(),
                count => format!("{count} sessions"),
            },
            platform.name()
        );
        if !terminal.confirm(&question).await? {
            terminal.note("nothing was deleted");
            return Ok(());
        }
    }
    // Closes the sessions found above first, so that none of them outlives its template.
    let ids = sessions.into_iter().map(|info| info.sandbox_id).collect();
    let closed = stop::close(ids, &platform).await?;
    let id = &template.template_id;
    let deleted = platform.client().platform().delete_template(id).await;
    deleted.map_err(|error| platform.error(format!("cannot delete template {id}"), &error))?;
    // The agent is deleted even if the file cannot be changed.
    if let DeployedAgent::Project(mut project, _) = target
        && let Err(error) = remove_deployment(&mut project, &template)
    {
        let file = project.file.path().display();
        terminal.warn(&format!("{file} still names the deleted template: {error}"));
    }
    terminal.result(
        &json!({ "deleted": id, "name": template.name, "closed": closed }),
        || {
            format!(
                "deleted {} (template {id}) from {}",
                template.name,
                platform.short_name()
            )
        },
    );
    Ok(())
}

/// The reason why agent.yaml could not be changed.
#[derive(Debug, thiserror::Error)]
enum RemoveStatusError {
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("{}", .0.causes.join(": "))]
    Write(CliError),
}

/// Removes `status` from agent.yaml, and `spec.sandbox.template_id` if that is the deleted
/// template.
fn remove_deployment(
    project: &mut Project,
    template: &AgentTemplate,
) -> Result<(), RemoveStatusError> {
    let mut text = edit::remove(project.file.text(), &["status"])?;
    let wanted = edit::value_at(&text, &TEMPLATE_ID);
    let is_it = |id: &String| *id == template.template_id || template.aliases.contains(id);
    if wanted.as_ref().is_some_and(is_it) {
        text = edit::remove(&text, &TEMPLATE_ID)?;
    }
    project.file.write(text).map_err(RemoveStatusError::Write)
}
