//! Sandboxes in which nothing was started yet, kept for later creations.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::template_image::TemplateImage;
use crate::files::remove_directory;
use crate::isolation::{SandboxNetwork, SandboxProcesses};

/// A sandbox in which nothing of its template was started yet.
#[derive(Debug)]
pub(super) struct PreparedSandbox {
    pub(super) id: String,
    pub(super) sandbox_processes: SandboxProcesses,
    pub(super) parts: PreparedParts,
}

/// The data that a prepared sandbox depends on: parts of its template, and its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PreparedParts {
    /// The directory with the files of the build; each build has a directory of its own.
    pub(super) root: Option<PathBuf>,
    pub(super) cpu_count: u32,
    pub(super) memory_mb: u32,
    pub(super) network: SandboxNetwork,
}

impl PreparedParts {
    pub(super) fn of(image: &TemplateImage, network: SandboxNetwork) -> Self {
        Self {
            root: image.root.clone(),
            cpu_count: image.cpu_count,
            memory_mb: image.memory_mb,
            network,
        }
    }

    /// Whether the files of the build still exist.
    fn exist(&self) -> bool {
        self.root.as_ref().is_none_or(|root| root.exists())
    }
}

/// The prepared sandboxes of a platform, oldest first.
#[derive(Debug, Default)]
pub(crate) struct SpareSandboxes {
    sandboxes: Mutex<Vec<PreparedSandbox>>,
    /// Held while a sandbox is being prepared in the background.
    pub(super) preparing: tokio::sync::Mutex<()>,
}

impl SpareSandboxes {
    /// Removes and returns a sandbox for which `chosen` is true.
    pub(super) fn take(
        &self,
        chosen: impl FnMut(&mut PreparedSandbox) -> bool,
    ) -> Option<PreparedSandbox> {
        let mut sandboxes = self.lock();
        let found = sandboxes.iter_mut().position(chosen)?;
        Some(sandboxes.remove(found))
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Vec<PreparedSandbox>> {
        self.sandboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl PreparedSandbox {
    /// Whether the sandbox's processes still run and its build was not deleted.
    pub(super) fn is_usable(&mut self) -> bool {
        self.parts.exist() && self.sandbox_processes.are_ready()
    }

    /// Ends the sandbox's processes and removes its files.
    pub(super) async fn discard(self) {
        let directory = self.sandbox_processes.directory().to_owned();
        let ended = match self.sandbox_processes.kill().await {
            Ok(()) => remove_directory(&directory).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(sandbox = %self.id, %error, "failed to remove a prepared sandbox");
        }
    }
}
