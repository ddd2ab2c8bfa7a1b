//! Applies the decisions of `--chaos` to the agent.

use std::io;

use tokio::time::Instant;

use super::{AgentSource, ChangedFiles, Rebuilder, RunningAgent};
use crate::dev::chaos::{self, AgentAction, AgentDisturbance};
use crate::dev::proxy::ProxyPhase;
use crate::project::Project;

impl Rebuilder {
    /// Disturbs the agent, unless the one that was called has been replaced or has ended. Returns
    /// the file changes that interrupted the restart.
    pub(super) async fn disturb(
        &mut self,
        disturbance: &AgentDisturbance,
    ) -> io::Result<Option<ChangedFiles>> {
        let is_called = |agent: &mut RunningAgent| agent.process.id() == disturbance.process;
        let Some(current) = self.current.take_if(is_called) else {
            return Ok(None);
        };
        match disturbance.action {
            AgentAction::Pause => {
                current.process.pause();
                disturbance.report();
                self.current = Some(current);
                self.paused_until = Some(Instant::now() + chaos::PAUSE);
                Ok(None)
            }
            AgentAction::Terminate => {
                let RunningAgent { process, source } = current;
                self.paused_until = None;
                self.proxy.set_phase(ProxyPhase::Preparing);
                // Reported before the agent has ended, because the end may take as long as the
                // agent's running requests.
                disturbance.report();
                process.stop(chaos::TERMINATION_GRACE).await;
                self.start_again(source).await
            }
        }
    }

    /// Resumes a paused agent.
    pub(super) fn resume(&mut self) {
        if self.paused_until.take().is_some()
            && let Some(current) = &self.current
        {
            current.process.resume();
        }
    }

    /// Starts the agent again after it has exited.
    async fn start_again(&mut self, source: AgentSource) -> io::Result<Option<ChangedFiles>> {
        let project = match Project::open(&self.folder) {
            Ok(project) => project,
            Err(error) => {
                self.failed(&error, "");
                return Ok(None);
            }
        };
        // The program may be older than the sources, as it was before the restart.
        let is_behind = self.is_behind;
        let started = self.start(&project, source).await;
        self.is_behind = is_behind || self.current.is_none();
        started
    }
}
