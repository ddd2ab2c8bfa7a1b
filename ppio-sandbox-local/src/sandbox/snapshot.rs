//! Copies a sandbox: its files, and the settings that it was created with.

use std::path::{Path, PathBuf};

use super::instance::LocalSandbox;
use super::lifecycle::ChangeError;
use super::lifetime::SandboxPhase;
use super::template_image::TemplateImage;
use crate::files::copy_tree;

/// Variables that the platform sets for each sandbox, and that a copy does not keep.
const OF_ONE_SANDBOX: [&str; 8] = [
    "PPIO_SANDBOX",
    "PPIO_SANDBOX_ID",
    "PPIO_TEMPLATE_ID",
    "PPIO_AGENT_HOST",
    "PPIO_AGENT_PORT",
    "E2B_SANDBOX",
    "E2B_SANDBOX_ID",
    "E2B_TEMPLATE_ID",
];

impl LocalSandbox {
    /// Copies the files of the sandbox to `target`. The processes of the sandbox are stopped during
    /// the copy.
    pub(crate) async fn copy_files(&self, target: &Path) -> Result<(), ChangeError> {
        let _turn = self.change.lock().await;
        let processes = self.sandbox_processes();
        let phase = self.lifetime().phase;
        let stopped = match phase {
            SandboxPhase::Running => processes.freeze().await,
            SandboxPhase::Paused => Ok(()),
            SandboxPhase::Gone => return Err(ChangeError::Gone),
        };
        let copied = if let Err(error) = stopped {
            Err(ChangeError::Processes(error))
        } else {
            let (source, target) = (processes.root(), target.to_owned());
            let copying = tokio::task::spawn_blocking(move || copy_tree(&source, &target));
            let copied = copying.await.unwrap_or_else(|error| Err(error.into()));
            copied.map_err(ChangeError::Copy)
        };
        if phase == SandboxPhase::Running {
            processes.thaw().await.map_err(ChangeError::Processes)?;
        }
        copied
    }

    /// Returns the template image of a copy of this sandbox, whose files are in `root`.
    pub(crate) fn image(&self, root: PathBuf) -> TemplateImage {
        let mut environment = self.environment.clone();
        environment.retain(|name, _| !OF_ONE_SANDBOX.contains(&name.as_str()));
        TemplateImage {
            template_id: self.template_id.clone(),
            alias: self.alias.clone(),
            root: Some(root),
            cpu_count: self.cpu_count,
            memory_mb: self.memory_mb,
            environment,
            directory: self.directory.clone(),
            user: Some(self.start.user.clone()),
            start_command: self.start.command.clone(),
            ready_command: self.start.ready.clone(),
        }
    }
}
