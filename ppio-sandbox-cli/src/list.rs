//! `agent list`.

use std::collections::BTreeMap;

use ppio_agent_client::AgentTemplate;
use ppio_agent_client::platform::SandboxFilter;
use serde::Serialize;

use crate::arguments::ListArguments;
use crate::error::CliError;
use crate::platform::Platform;
use crate::terminal::Terminal;
use crate::terminal::table::Table;

/// A deployed agent.
#[derive(Debug, Serialize)]
struct AgentRow {
    template_id: String,
    name: String,
    version: String,
    tags: Vec<String>,
    status: String,
    sandboxes: usize,
}

pub(crate) async fn run(arguments: ListArguments, terminal: &Terminal) -> Result<(), CliError> {
    let platform = Platform::choose(&arguments.platform)?;
    let client = platform.client();
    let all = SandboxFilter::default();
    let is_filtered = !arguments.tag.is_empty() || arguments.name.is_some();
    // An empty name filter matches every agent, because every name contains the empty text.
    let templates = client.list_templates().tags(arguments.tag);
    let templates = templates.name(arguments.name.unwrap_or_default());
    let (templates, sandboxes) =
        tokio::try_join!(templates, client.platform().list_sandboxes(&all))
            .map_err(|error| platform.error("cannot list the agents", &error))?;
    let mut sandboxes_of: BTreeMap<String, usize> = BTreeMap::new();
    for sandbox in sandboxes {
        *sandboxes_of.entry(sandbox.template_id).or_default() += 1;
    }
    let mut agents: Vec<_> = templates
        .into_iter()
        .filter(holds_an_agent)
        .map(|template| AgentRow {
            sandboxes: sandboxes_of
                .get(&template.template_id)
                .copied()
                .unwrap_or_default(),
            template_id: template.template_id,
            name: template.name,
            version: template.version,
            tags: template.tags,
            status: template.status,
        })
        .collect();
    agents.sort_by(|a, b| (&a.name, &a.template_id).cmp(&(&b.name, &b.template_id)));
    if agents.is_empty() {
        let platform = platform.name();
        terminal.note(&if is_filtered {
            format!("no agents on {platform} match the given filters")
        } else {
            format!(
                "no agents on {platform}; deploy a project with `ppio-sandbox-cli agent deploy`"
            )
        });
    }
    terminal.result(&agents, || {
        let mut table = Table::new(["NAME", "VERSION", "TEMPLATE", "STATUS", "SANDBOXES", "TAGS"]);
        for agent in &agents {
            table.row([
                agent.name.clone(),
                agent.version.clone(),
                agent.template_id.clone(),
                agent.status.clone(),
                agent.sandboxes.to_string(),
                agent.tags.join(", "),
            ]);
        }
        table.to_string()
    });
    Ok(())
}

/// Whether a template has an agent's configuration. A template with an invalid configuration is
/// listed as well.
fn holds_an_agent(template: &AgentTemplate) -> bool {
    !matches!(template.agent_config(), Ok(None))
}
