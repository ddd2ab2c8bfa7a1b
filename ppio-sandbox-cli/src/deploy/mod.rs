//! `agent deploy`.
//!
//! `prepare` compiles and packs the project (`compile_target`, `bundle`) into a `deployment`.
//! `api_check` compares the new API (read by `printed_document`) with the deployed one
//! (`comparison`). Then the deployment is uploaded and built on the platform. `python_packages`
//! decides what a build installs, `program` how the agent starts, and `build_log` prints the log of
//! the build. `record` writes the state into agent.yaml, and `event` defines what JSON output
//! reports before the result.

mod api_check;
mod build_log;
mod bundle;
mod comparison;
mod compile_target;
mod deployment;
mod event;
mod prepare;
mod printed_document;
mod program;
mod python_packages;
mod record;

use ppio_agent_client::platform::BuildTicket;
use serde_json::json;

use self::api_check::ApiCheck;
use self::deployment::Deployment;
use self::event::DeployEvent;
use self::record::DeploymentRecord;
use crate::arguments::{DeployArguments, PlatformArguments, variables};
use crate::error::{CliError, ExitKind};
use crate::platform::Platform;
use crate::project::Project;
use crate::signals::or_interrupted;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: DeployArguments, terminal: &Terminal) -> Result<(), CliError> {
    let outcome = deploy_project(arguments, terminal).await;
    if let Err(error) = &outcome {
        let failure = error.to_json();
        terminal.event(&DeployEvent::Failed { failure });
    }
    outcome
}

async fn deploy_project(arguments: DeployArguments, terminal: &Terminal) -> Result<(), CliError> {
    let project = Project::open(&arguments.project.project)?;
    let mut record = DeploymentRecord::open(project.file.clone())?;
    let variables = variables(&arguments.env)?;
    let local = Platform::selects_local(&arguments.platform);
    // A missing API key is reported before a long build.
    let remote = if local {
        None
    } else {
        Some(Platform::choose(&arguments.platform)?)
    };
    let prepared = prepare::deployment(&project, &arguments, local, variables, terminal);
    let deployment = or_interrupted(prepared).await?;
    let platform = match remote {
        Some(platform) => platform,
        None => Platform::started(&arguments.platform, terminal).await?,
    };
    // The API is checked before the platform has a build that callers could reach.
    let check = async { Ok(ApiCheck::run(&deployment, &platform, terminal).await) };
    let check = or_interrupted(Box::pin(check)).await;
    if check.is_err() {
        api_check::close_sessions(&platform).await;
    }
    let check = check?;
    check.report(&deployment, arguments.allow_breaking, terminal)?;
    let deployed = or_interrupted(deploy(&deployment, &platform, &mut record, terminal)).await;
    match deployed {
        Ok(ticket) => {
            record.deployed(&ticket)?;
            print_result(
                &deployment,
                &ticket,
                &check,
                (&platform, &arguments.platform),
                terminal,
            );
            Ok(())
        }
        Err(error) => {
            let recorded = match error.kind {
                ExitKind::Interrupted | ExitKind::Terminated => record.restore(),
                _ => record.failed(),
            };
            if let Err(error) = recorded {
                terminal.warn(&format!("{}: {}", error.message, error.causes.join(": ")));
            }
            Err(error)
        }
    }
}

/// Builds the template on the platform.
async fn deploy(
    deployment: &Deployment,
    platform: &Platform,
    record: &mut DeploymentRecord,
    terminal: &Terminal,
) -> Result<BuildTicket, CliError> {
    terminal.note(&format!(
        "deploying {} {} to {}{}",
        deployment.name,
        deployment.version,
        platform.name(),
        platform.why()
    ));
    let ticket = deployment.create_template(platform).await?;
    record.building(&ticket)?;
    terminal.event(&DeployEvent::Deploying {
        name: &deployment.name,
        version: &deployment.version,
        platform: &platform.name(),
        template_id: &ticket.template_id,
        build_id: &ticket.build_id,
    });
    deployment.build(&ticket, platform, terminal).await?;
    Ok(ticket)
}

fn print_result(
    deployment: &Deployment,
    ticket: &BuildTicket,
    check: &ApiCheck,
    (platform, arguments): (&Platform, &PlatformArguments),
    terminal: &Terminal,
) {
    let (template_id, build_id) = (&ticket.template_id, &ticket.build_id);
    let flag = match arguments {
        PlatformArguments { local: true, .. } => "--local ",
        PlatformArguments { remote: true, .. } => "--remote ",
        _ => "",
    };
    let invoke = format!(
        "ppio-sandbox-cli agent invoke {flag}--template-id {template_id} --input 'hello there'"
    );
    let document = json!({
        "event": "deployed", "name": deployment.name, "version": deployment.version,
        "template_id": template_id, "build_id": build_id, "tags": deployment.tags(),
        "platform": platform.name(), "invoke": invoke, "api": check.to_json(),
    });
    terminal.result(&document, || {
        format!(
            "Deployed {}:{} to {}\n  template  {template_id}\n  build     {build_id}\n\nCall \
             the agent:\n  {invoke}",
            deployment.name,
            deployment.tag(),
            platform.name(),
        )
    });
}
