//! Starts the platform in the background: runs this program again, in its own session.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ppio_sandbox_local::{LocalPlatform, RunningPlatform};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::arguments::UpArguments;
use crate::error::{CliError, ExitKind};
use crate::signals::or_interrupted;
use crate::terminal::Terminal;

/// The longest time that the start may take.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time that the child may take to exit after SIGTERM if the start failed or was
/// cancelled.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns the path of the file with the output of the last start.
fn log_path(home: &Path) -> PathBuf {
    home.join("platform.log")
}

pub(crate) async fn start(
    home: &Path,
    arguments: &UpArguments,
    terminal: &Terminal,
) -> Result<RunningPlatform, CliError> {
    let log_path = log_path(home);
    let log = open_log(home, &log_path)
        .map_err(|error| CliError::system(format!("cannot write {}", log_path.display()), error))?;
    let mut child = spawn(home, arguments, log)
        .map_err(|error| CliError::system("cannot start the local platform", error))?;
    let progress = terminal.spinner("starting the local platform");
    let started = or_interrupted(async {
        timeout(
            START_TIMEOUT,
            wait_until_running(home, &mut child, &log_path),
        )
        .await
        .unwrap_or_else(|_| {
            let message = format!(
                "the local platform did not answer within {} s",
                START_TIMEOUT.as_secs()
            );
            Err(with_log(
                CliError::new(ExitKind::System, message),
                &log_path,
            ))
        })
    })
    .await;
    if started.is_err() {
        stop(&mut child).await;
    }
    drop(progress);
    started
}

fn open_log(home: &Path, path: &Path) -> io::Result<File> {
    fs::create_dir_all(home)?;
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn spawn(home: &Path, arguments: &UpArguments, log: File) -> io::Result<Child> {
    let home = home.canonicalize()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["local", "up", "--in-background", "--port"])
        .arg(arguments.port.to_string())
        .env("PPIO_LOCAL_HOME", &home)
        // So that the folder in which this command was started can be removed.
        .current_dir(&home);
    if arguments.tls {
        command.arg("--tls");
    }
    if arguments.isolate_network {
        command.arg("--isolate-network");
    }
    for path in &arguments.expose {
        command.arg("--expose").arg(std::path::absolute(path)?);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

async fn wait_until_running(
    home: &Path,
    child: &mut Child,
    log_path: &Path,
) -> Result<RunningPlatform, CliError> {
    loop {
        if let Some(running) = LocalPlatform::running_at(home) {
            // Either the child, or a platform that another command started meanwhile.
            return Ok(running);
        }
        let ended = child
            .try_wait()
            .map_err(|error| CliError::system("cannot wait for the local platform", error))?;
        if let Some(status) = ended {
            // Another command's platform may have started between the two checks.
            if let Some(running) = LocalPlatform::running_at(home) {
                return Ok(running);
            }
            let message = format!("the local platform did not start ({status})");
            return Err(with_log(CliError::new(ExitKind::System, message), log_path));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Adds the lines that the child printed: the last `help:` line as the help, the others as causes.
fn with_log(mut error: CliError, path: &Path) -> CliError {
    let log = fs::read_to_string(path).unwrap_or_default();
    for line in log.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("help: ") {
            Some(help) => error.help = Some(help.to_owned()),
            None => error
                .causes
                .push(line.strip_prefix("error: ").unwrap_or(line).to_owned()),
        }
    }
    error
}

/// Stops a child whose start failed or was cancelled.
async fn stop(child: &mut Child) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    // A child without an id has exited and was waited for.
    if let Some(pid) = pid
        && kill_process(pid, Signal::TERM).is_ok()
        && timeout(STOP_TIMEOUT, child.wait()).await.is_err()
    {
        let _ = child.kill().await;
    }
}
