//! A program with the processes that it starts.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::watchdog::GroupWatchdog;

/// A process group. Dropping it kills all of its processes.
#[derive(Debug)]
pub(super) struct AgentProcessGroup {
    leader: Child,
    id: Pid,
    status: Option<ExitStatus>,
    watchdog: Arc<GroupWatchdog>,
}

impl AgentProcessGroup {
    pub(super) fn spawn(command: &mut Command, watchdog: &Arc<GroupWatchdog>) -> io::Result<Self> {
        let leader = command.process_group(0).spawn()?;
        let id = leader
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        let group = Self {
            leader,
            id,
            status: None,
            watchdog: Arc::clone(watchdog),
        };
        // On an error the group is dropped, which kills it.
        watchdog.guard(id)?;
        Ok(group)
    }

    pub(super) fn id(&self) -> Pid {
        self.id
    }

    pub(super) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.leader.stdout.take(), self.leader.stderr.take())
    }

    /// Waits for the program's exit, then kills the rest of the group. Cancel safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let status = self.leader.wait().await?;
        self.status = Some(status);
        self.kill();
        // Fails only if the watchdog has ended.
        let _ = self.watchdog.release(self.id);
        Ok(status)
    }

    /// Sends SIGTERM to the program, and SIGKILL to the group after `grace`. Waits for the exit of
    /// the program.
    pub(super) async fn stop(&mut self, grace: Duration) {
        if self.status.is_some() {
            return;
        }
        // A program that has just exited is not affected.
        let _ = kill_process(self.id, Signal::TERM);
        self.resume();
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            self.kill();
            let _ = self.wait().await;
        }
    }

    /// Stops all processes of the group until [`resume`](Self::resume). The effect is that of a
    /// paused sandbox: afterwards, only the clock has advanced.
    pub(super) fn pause(&self) {
        self.send(Signal::STOP);
    }

    pub(super) fn resume(&self) {
        self.send(Signal::CONT);
    }

    fn kill(&self) {
        // Fails if no process is left.
        let _ = kill_process_group(self.id, Signal::KILL);
    }

    /// Sends a signal to the group, if the id still belongs to this group.
    fn send(&self, signal: Signal) {
        if self.status.is_none() {
            let _ = kill_process_group(self.id, signal);
        }
    }
}

impl Drop for AgentProcessGroup {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.kill();
            let _ = self.watchdog.release(self.id);
        }
    }
}
