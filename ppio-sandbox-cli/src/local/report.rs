//! What `local up` tells about the platform.

use ppio_sandbox_local::RunningPlatform;
use serde::Serialize;

use crate::platform::local::isolation_report::Confinement;
use crate::terminal::Terminal;

/// All that is needed to use the platform, its key included: handing that out is what the command is for.
#[derive(Debug, Serialize)]
struct Report<'a> {
    url: &'a str,
    api_key: &'a str,
    home: &'a str,
    #[serde(flatten)]
    confinement: Confinement,
    tls: bool,
    pid: u32,
}

pub(super) fn print(running: &RunningPlatform, terminal: &Terminal) {
    let home = running.home().display().to_string();
    let report = Report {
        url: running.url(),
        api_key: running.api_key(),
        home: &home,
        confinement: Confinement::of(running),
        tls: running.tls(),
        pid: running.pid(),
    };
    terminal.result(&report, || {
        format!(
            "url        {}\nkey        {}\nhome       {}\n{}\npid        {}",
            report.url,
            report.api_key,
            report.home,
            report.confinement.text(),
            report.pid
        )
    });
    terminal.note(
        "\ndeploy to it   ppio-sandbox-cli agent deploy --local\n\
         with any SDK   eval \"$(ppio-sandbox-cli local env)\"\n\
         stop it        ppio-sandbox-cli local down",
    );
    for warning in report.confinement.warnings() {
        terminal.warn(&warning);
    }
}
