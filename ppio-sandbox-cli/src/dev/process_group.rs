//! A program and everything it starts, which end together.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::watchdog::Watchdog;

/// Dropping it kills all of it.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Child,
    id: Pid,
    ended: Option<ExitStatus>,
    watchdog: Arc<Watchdog>,
}

impl ProcessGroup {
    pub(super) fn spawn(command: &mut Command, watchdog: &Arc<Watchdog>) -> io::Result<Self> {
        let leader = command.process_group(0).spawn()?;
        let id = leader
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        let group = Self {
            leader,
            id,
            ended: None,
            watchdog: Arc::clone(watchdog),
        };
        // On an error the group is dropped, and killed.
        watchdog.guard(id)?;
        Ok(group)
    }

    pub(super) fn id(&self) -> Pid {
        self.id
    }

    pub(super) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.leader.stdout.take(), self.leader.stderr.take())
    }

    /// Waits for the program's end, and ends what it left behind. May be given up and called again.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let status = self.leader.wait().await?;
        self.ended = Some(status);
        self.kill();
        // Without a watchdog there is nothing to tell it.
        let _ = self.watchdog.release(self.id);
        Ok(status)
    }

    /// Asks the program to end, and kills all of it when it has not after `grace`.
    pub(super) async fn end(&mut self, grace: Duration) {
        if self.ended.is_some() {
            return;
        }
        // It may be ending just now.
        let _ = kill_process(self.id, Signal::TERM);
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            self.kill();
            let _ = self.wait().await;
        }
    }

    fn kill(&self) {
        // There may be nothing left to kill.
        let _ = kill_process_group(self.id, Signal::KILL);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            let _ = self.watchdog.release(self.id);
        }
    }
}
