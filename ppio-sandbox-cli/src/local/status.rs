//! `local status`.

use ppio_agent_client::platform::{SandboxFilter, SandboxState};
use serde::Serialize;

use crate::arguments::LocalStatusArguments;
use crate::error::CliError;
use crate::platform::Platform;
use crate::platform::local::isolation_report::IsolationReport;
use crate::terminal::{OutputFormat, Terminal};

#[derive(Debug, Serialize)]
struct PlatformStatus {
    running: bool,
    url: String,
    home: String,
    #[serde(flatten)]
    isolation: IsolationReport,
    tls: bool,
    pid: u32,
    templates: usize,
    sandboxes: SandboxCounts,
}

#[derive(Debug, Default, Serialize)]
struct SandboxCounts {
    running: usize,
    paused: usize,
}

pub(crate) async fn run(
    _arguments: LocalStatusArguments,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let running = crate::platform::local::require_running();
    if running.is_err() && terminal.format() == OutputFormat::Json {
        let home = crate::platform::local::home()?;
        terminal.result(
            &serde_json::json!({ "running": false, "home": home }),
            String::new,
        );
    }
    let running = running?;
    let mut status = PlatformStatus {
        running: true,
        url: running.url().to_owned(),
        home: running.home().display().to_string(),
        isolation: IsolationReport::of(&running),
        tls: running.tls(),
        pid: running.pid(),
        templates: 0,
        sandboxes: SandboxCounts::default(),
    };
    let platform = Platform::at(running)?;
    let control_plane = platform.client().platform();
    let all = SandboxFilter::default();
    let (templates, sandboxes) = tokio::try_join!(
        control_plane.list_templates(None),
        control_plane.list_sandboxes(&all)
    )
    .map_err(|error| platform.error("cannot read the state of the local platform", &error))?;
    status.templates = templates.len();
    for sandbox in &sandboxes {
        match sandbox.state {
            SandboxState::Paused => status.sandboxes.paused += 1,
            _ => status.sandboxes.running += 1,
        }
    }
    let warnings = status.isolation.warnings();
    terminal.result(&status, || {
        format!(
            "url        {}\nhome       {}\n{}\ntls        {}\npid        {}\ntemplates  {}\nsandboxes  {} running, {} paused",
            status.url,
            status.home,
            status.isolation.text(),
            if status.tls { "yes" } else { "no" },
            status.pid,
            status.templates,
            status.sandboxes.running,
            status.sandboxes.paused,
        )
    });
    for warning in warnings {
        terminal.warn(&warning);
    }
    Ok(())
}
