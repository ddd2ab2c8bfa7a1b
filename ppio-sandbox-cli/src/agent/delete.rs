//! `agent delete`.

use serde_json::json;

use super::stop;
use super::target::{Target, sandboxes_of};
use crate::arguments::DeleteArguments;
use crate::failure::{Failure, Fault};
use crate::platform_choice::Platform;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: DeleteArguments, terminal: &Terminal) -> Result<(), Failure> {
    if !arguments.yes && !terminal.can_ask() {
        return Err(Failure::new(
            Fault::Usage,
            "deleting an agent has to be confirmed, and there is no terminal to ask on",
        )
        .next("`--yes` deletes without asking"));
    }
    let target = Target::of(&arguments.agent)?;
    let platform = Platform::choose(&arguments.agent.platform, terminal)?;
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
    terminal.result(
        &json!({ "deleted": id, "name": template.name, "closed": closed }),
        || format!("deleted {} (template {id})", template.name),
    );
    Ok(())
}
