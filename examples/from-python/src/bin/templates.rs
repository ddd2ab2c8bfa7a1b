//! The deployed agents, and the contents of their agent.yaml.

async fn template_management_example() -> Result<(), Error> {
    AgentRuntimeClient::scope(async |client| {
        // All templates.
        let templates = client.list_templates().await?;
        println!("{} templates:", templates.len());

        for template in &templates {
            println!("\ntemplate: {}", template.template_id);
            println!("name: {}", template.name);
            println!("version: {}", template.version);
            println!("author: {}", template.author.clone().unwrap_or_default());

            // The agent.yaml of the template.
            if let Some(agent) = template.agent_config()? {
                println!("agent:");
                println!("  - name: {}", agent.metadata.name);
                println!("  - version: {}", agent.metadata.version);
                println!("  - author: {}", agent.metadata.author);
                let file = agent.spec.entrypoint.map(|file| file.to_string());
                println!("  - entrypoint: {}", file.unwrap_or_default());
            }
        }

        // The templates with these tags.
        let tags = ["data-analysis", "ai"];
        let data_agents = client.list_templates().tags(tags).await?;
        println!("\nagents for data analysis: {}", data_agents.len());

        // The templates with this text in their names.
        let chat_agents = client.list_templates().name("chat").await?;
        println!("chat agents: {}", chat_agents.len());

        // One template.
        if let Some(AgentTemplate { template_id, .. }) = templates.first() {
            let template = client.get_template(template_id).await?;
            println!("\ntemplate {template_id}:");
            println!("created: {:?}", template.created_at);
            println!("updated: {:?}", template.updated_at);
            println!("size: {:?} bytes", template.size);
            println!("built in: {:?}", template.build_time);

            let exists = client.templates().template_exists(template_id).await?;
            println!("exists: {exists}");
        }
        Ok(())
    })
    .await
}

// Not shown in docs/python.md.

use ppio_agent_client::{AgentRuntimeClient, AgentTemplate, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    template_management_example().await
}
