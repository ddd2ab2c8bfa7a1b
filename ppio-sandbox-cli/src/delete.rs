//! `agent delete`.

use ppio_agent_client::AgentTemplate;
use serde_json::json;

use crate::arguments::DeleteArguments;
use crate::error::{Failure, Fault};
use crate::platform::Platform;
use crate::platform::deployed_agent::{Target, sandboxes_of};
use crate::project::Project;
use crate::project::edit::{self, EditError};
use crate::stop;
use crate::terminal::Terminal;

/// Where an author, or an earlier deployment, names the template.
const TEMPLATE_ID: [&str; 3] = ["spec", "sandbox", "template_id"];

pub(crate) async fn run(arguments: DeleteArguments, terminal: &Terminal) -> Result<(), Failure> {
    if !arguments.yes && !terminal.can_ask() {
        return Err(Failure::new(
            Fault::Usage,
            "deleting an agent has to be confirmed, and there is no terminal to ask on",
        )
        .next("`--yes` deletes without asking"));
    }
    let target = Target::of(&arguments.agent)?;
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
    // First, so that no session outlives what it was made from.
    let ids = sessions.into_iter().map(|info| info.sandbox_id).collect();
    let closed = stop::close(ids, &platform).await?;
    let id = &template.template_id;
    // Gone meanwhile is as good as deleted now.
    let deleted = platform.client().platform().delete_template(id).await;
    deleted.map_err(|error| platform.failure(format!("cannot delete template {id}"), &error))?;
    // Whatever becomes of the file: the agent is gone.
    if let Target::Project(mut project, _) = target
        && let Err(error) = forget(&mut project, &template)
    {
        let file = project.file.path().display();
        terminal.warn(&format!(
            "{file} still names the template that was deleted: {error}"
        ));
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

/// Why agent.yaml could not be changed.
#[derive(Debug, thiserror::Error)]
enum ForgetError {
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("{}", .0.why.join(": "))]
    Write(Failure),
}

/// Takes out of agent.yaml what says that the agent is deployed.
fn forget(project: &mut Project, template: &AgentTemplate) -> Result<(), ForgetError> {
    let mut text = edit::remove(project.file.text(), &["status"])?;
    let wanted = edit::value_at(&text, &TEMPLATE_ID);
    let is_it = |id: &String| *id == template.template_id || template.aliases.contains(id);
    if wanted.as_ref().is_some_and(is_it) {
        text = edit::remove(&text, &TEMPLATE_ID)?;
    }
    project.file.write(text).map_err(ForgetError::Write)
}
