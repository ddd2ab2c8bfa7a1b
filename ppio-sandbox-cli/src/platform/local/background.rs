//! `local up --detach`: the same command again, in a session of its own, waited for until it answers.

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
use crate::error::{Failure, Fault};
use crate::signals::unless_interrupted;
use crate::terminal::Terminal;

/// How long it may take until it answers.
const START: Duration = Duration::from_secs(60);
/// How long one that was given up may take to end.
const END: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Where its messages go; the last start's are overwritten.
fn log_path(home: &Path) -> PathBuf {
    home.join("platform.log")
}

pub(crate) async fn start(
    home: &Path,
    arguments: &UpArguments,
    terminal: &Terminal,
) -> Result<RunningPlatform, Failure> {
    let log_path = log_path(home);
    let log = open_log(home, &log_path)
        .map_err(|error| Failure::system(format!("cannot write {}", log_path.display()), error))?;
    let mut child = spawn(home, arguments, log)
        .map_err(|error| Failure::system("cannot start the local platform", error))?;
    let progress = terminal.spinner("starting the local platform");
    let started = unless_interrupted(async {
        timeout(START, until_it_answers(home, &mut child, &log_path))
            .await
            .unwrap_or_else(|_| {
                let what = format!(
                    "the local platform did not answer within {} s",
                    START.as_secs()
                );
                Err(with_log(Failure::new(Fault::System, what), &log_path))
            })
    })
    .await;
    if started.is_err() {
        end(&mut child).await;
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
        // It must not keep the folder it was started from in use.
        .current_dir(&home);
    if arguments.tls {
        command.arg("--tls");
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

async fn until_it_answers(
    home: &Path,
    child: &mut Child,
    log_path: &Path,
) -> Result<RunningPlatform, Failure> {
    loop {
        if let Some(running) = LocalPlatform::running_at(home) {
            // It announces itself once it listens. Another start at the same time may have been quicker, which is
            // just as good.
            return Ok(running);
        }
        let ended = child
            .try_wait()
            .map_err(|error| Failure::system("cannot watch the local platform", error))?;
        if let Some(status) = ended {
            // Unless the quicker one announced itself between the two looks.
            if let Some(running) = LocalPlatform::running_at(home) {
                return Ok(running);
            }
            let what = format!("the local platform did not start ({status})");
            return Err(with_log(Failure::new(Fault::System, what), log_path));
        }
        sleep(POLL).await;
    }
}

/// The child said why, as the command itself would have.
fn with_log(mut failure: Failure, path: &Path) -> Failure {
    let log = fs::read_to_string(path).unwrap_or_default();
    for line in log.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("help: ") {
            Some(help) => failure.next = Some(help.to_owned()),
            None => failure
                .why
                .push(line.strip_prefix("error: ").unwrap_or(line).to_owned()),
        }
    }
    failure
}

/// Ends a start that nobody waits for any more.
async fn end(child: &mut Child) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    // Without an id it has ended and was waited for.
    if let Some(pid) = pid
        && kill_process(pid, Signal::TERM).is_ok()
        && timeout(END, child.wait()).await.is_err()
    {
        let _ = child.kill().await;
    }
}
