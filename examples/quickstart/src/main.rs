//! Runs platform, agents and sessions locally, without an account: `cargo run -p quickstart`.
//!
//! Builds three of the examples, starts the local platform inside this process, builds a template
//! of each agent, and invokes them through sessions as a backend would. No process or file is left
//! behind, even after Ctrl-C.

mod agents;
mod templates;
mod tour;

use std::error::Error;
use std::process::ExitCode;

use ppio_sandbox_local::LocalPlatform;
use tokio::signal::unix::{SignalKind, signal};

/// The result of a step, whose error `main` prints with its causes.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<ExitCode> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let interrupted = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(interrupted);

    let binaries = tokio::select! {
        built = agents::build(&["hello", "stream", "counter"]) => built?,
        () = &mut interrupted => return Ok(stopped()),
    };

    // A separate home, so that the platform of the command line is not disturbed.
    let home = tempfile::tempdir()?;
    let platform = LocalPlatform::builder().home(home.path()).start().await?;
    println!(
        "platform    {} ({} isolation)",
        platform.url(),
        platform.isolation()
    );
    let toured = tokio::select! {
        toured = tour::take(&platform, &binaries) => Some(toured),
        () = &mut interrupted => None,
    };
    // Ends all sandboxes and removes their files, however the tour ended.
    platform.shutdown().await?;
    home.close()?;
    match toured {
        Some(toured) => toured.map(|()| ExitCode::SUCCESS),
        None => Ok(stopped()),
    }
}

/// Reports the interruption, and returns the exit code that shells expect after Ctrl-C.
fn stopped() -> ExitCode {
    println!("\nstopped: nothing is left behind");
    ExitCode::from(130)
}
