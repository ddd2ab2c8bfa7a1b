//! `agent dev`: builds and runs the agent here, again on every change.
//!
//! ```text
//! watch ──changes──▶ workshop ──builds, starts──▶ agent process ◀──passes on── front ◀── browser
//!                        └───────────────shows the phase─────────────────────────┘
//! ```
//!
//! `watch` (with `snapshot`) tells what changed; `workshop` is the loop that builds and swaps; `agent_process` is one
//! process of the agent, in a `process_group` that the `watchdog` ends even when this program is killed, and `listening`
//! tells where it went if not to its port; `front` holds the port and stays, for those whom `callers` allows; `console` shows it all.

mod agent_process;
mod allowed_callers;
mod console;
mod listening_ports;
mod process_group;
mod proxy;
mod python;
mod rebuilder;
mod snapshot;
mod transcript;
mod waiting_page;
mod watch;
mod watchdog;

use std::sync::Arc;

use self::console::Console;
use self::proxy::Front;
use self::rebuilder::Workshop;
use self::watch::Watch;
use self::watchdog::Watchdog;
use crate::arguments::DevArguments;
use crate::error::Failure;
use crate::project::Project;
use crate::signals::Interruptions;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: DevArguments, terminal: &Terminal) -> Result<(), Failure> {
    let mut interruptions = Interruptions::listen()?;
    let project = Project::open(&arguments.project.project)?;
    let front = Front::listen(arguments.port).await?;
    let watchdog = Watchdog::start()
        .map_err(|error| Failure::system("cannot run /bin/sh to watch over the agent", error))?;
    let watchdog = Arc::new(watchdog);
    let console = Arc::new(Console::new(terminal));
    let watch = Watch::start(project.folder().to_owned())
        .await
        .map_err(|error| Failure::system("cannot look at the project's files", error))?;
    if !watch.is_told() {
        console.note("this system gives no notice of changes; looking every second");
    }
    let mut workshop = Workshop::new(
        &project,
        arguments.release,
        front,
        watch,
        &console,
        &watchdog,
    );
    let outcome = tokio::select! {
        // Ctrl-C is how this command ends, not how it fails.
        _ = interruptions.next() => Ok(()),
        failure = workshop.work() => Err(failure),
    };
    tokio::select! {
        () = workshop.close() => {}
        // Once more: nobody waits for what still runs.
        _ = interruptions.next() => workshop.kill().await,
    }
    drop(workshop);
    if let Some(watchdog) = Arc::into_inner(watchdog) {
        watchdog
            .finish()
            .map_err(|error| Failure::system("cannot end what watches over the agent", error))?;
    }
    outcome
}
