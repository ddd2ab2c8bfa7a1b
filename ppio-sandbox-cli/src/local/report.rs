//! The output of `local up`.

use ppio_sandbox_local::RunningPlatform;
use serde::Serialize;

use crate::platform::local::isolation_report::IsolationReport;
use crate::terminal::Terminal;

/// The data needed to use the platform, including its API key.
#[derive(Debug, Serialize)]
struct PlatformReport<'a> {
    url: &'a str,
    api_key: &'a str,
    home: &'a str,
    #[serde(flatten)]
    isolation: IsolationReport,
    tls: bool,
    pid: u32,
}

pub(super) fn print(running: &RunningPlatform, terminal: &Terminal) {
    let home = running.home().display().to_string();
    let report = PlatformReport {
        url: running.url(),
        api_key: running.api_key(),
        home: &home,
        isolation: IsolationReport::of(running),
        tls: running.tls(),
        pid: running.pid(),
    };
    terminal.result(&report, || {
        format!(
            "url        {}\napi key    {}\nhome       {}\n{}\npid        {}",
            report.url,
            report.api_key,
            report.home,
            report.isolation.text(),
            report.pid
        )
    });
    terminal.note(
        "\ndeploy an agent     ppio-sandbox-cli agent deploy --local\n\
         use it from an SDK  eval \"$(ppio-sandbox-cli local env)\"\n\
         stop the platform   ppio-sandbox-cli local down",
    );
    for warning in report.isolation.warnings() {
        terminal.warn(&warning);
    }
}
