//! Lists deployed agents, and prints the details of one.

use std::env;
use std::process::ExitCode;

use ppio_agent_client::{AgentRuntimeClient, AgentTemplate, Error};

const USAGE: &str = "\
usage: client-templates [--tag <tag>]... [--name <part of a name>]
       client-templates <template>

The first form lists the templates with all of these tags and this text in their names, the second
shows one of them. PPIO_API_KEY sets the API key. `ppio-sandbox-cli local up` starts a platform on
this machine; `ppio-sandbox-cli local env` prints the variables that point to it.";

enum Request {
    List {
        tags: Vec<String>,
        name: Option<String>,
    },
    Show(String),
}

fn request(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let (mut tags, mut name) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tag" => tags.push(arguments.next()?),
            "--name" => name = Some(arguments.next()?),
            option if option.starts_with('-') => return None,
            _ => return Some(Request::Show(argument)),
        }
    }
    Some(Request::List { tags, name })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(request) = request(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match answer(request).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.report());
            if matches!(error, Error::Authentication { status: None, .. }) {
                eprintln!("\n{USAGE}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn answer(request: Request) -> Result<(), Error> {
    let client = AgentRuntimeClient::from_env()?;
    match request {
        Request::List { tags, name } => {
            // An empty name matches every template.
            let list = client.list_templates().tags(tags);
            let templates = list.name(name.unwrap_or_default()).await?;
            println!("{} templates", templates.len());
            for template in templates {
                println!(
                    "{}  {} {}  {}",
                    template.template_id, template.name, template.version, template.status
                );
            }
        }
        Request::Show(id) => show(&client.get_template(&id).await?)?,
    }
    client.close().await
}

fn show(template: &AgentTemplate) -> Result<(), Error> {
    let line = |name: &str, value: Option<String>| {
        println!("{name:<13}{}", value.unwrap_or_else(|| "-".to_owned()));
    };
    line("template", Some(template.template_id.clone()));
    line("name", Some(template.name.clone()));
    line("version", Some(template.version.clone()));
    line("author", template.author.clone());
    line("description", template.description.clone());
    line("tags", Some(template.tags.join(", ")));
    line("created", template.created_at.clone());
    line("updated", template.updated_at.clone());
    line(
        "built in",
        template.build_time.map(|time| format!("{time:.1?}")),
    );
    let memory = template.runtime_info.memory;
    line("memory", memory.map(|bytes| format!("{} MiB", bytes >> 20)));
    let processors = template.runtime_info.cpu_count;
    line("processors", processors.map(|count| count.to_string()));
    // The template holds the whole agent.yaml.
    match template.agent_config()? {
        Some(config) => {
            let entrypoint = config.spec.entrypoint.map(|file| file.to_string());
            line("entrypoint", entrypoint);
        }
        None => println!("no agent.yaml in this template"),
    }
    Ok(())
}
