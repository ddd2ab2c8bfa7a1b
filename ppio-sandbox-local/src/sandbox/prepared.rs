//! Prepares sandboxes: their files, user and namespaces, up to the start command.
//!
//! This takes most of the time of a creation and depends only on the template and the network. So
//! the platform prepares the next sandbox of a template after a creation, in the background.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::create_error::CreateError;
use super::registry::SandboxRegistry;
use super::spare_sandboxes::{PreparedParts, PreparedSandbox};
use super::template_image::TemplateImage;
use crate::files::{copy_tree, remove_directory};
use crate::identity;
use crate::isolation::{
    SandboxLimits, SandboxNetwork, SandboxProcesses, prepare_directory, prepare_root,
};
use crate::processes;

/// The maximum number of prepared sandboxes; the oldest is removed to make room for another.
const MAX_SPARES: usize = 4;

impl SandboxRegistry {
    /// Takes the prepared sandbox of this template, or prepares one. After a failure, nothing of
    /// the sandbox remains.
    pub(super) async fn prepared(
        &self,
        image: &TemplateImage,
        network: SandboxNetwork,
    ) -> Result<PreparedSandbox, CreateError> {
        let parts = PreparedParts::of(image, network);
        let take = || self.spares()?.take(|spare| spare.parts == parts);
        while let Some(mut spare) = take() {
            if spare.is_usable() {
                return Ok(spare);
            }
            spare.discard().await;
        }
        self.prepare(parts).await
    }

    /// Prepares the next sandbox of this template. Does nothing if such a sandbox is prepared
    /// already, if another one is being prepared, if the platform is shutting down, or if sandboxes
    /// are being created, which the preparation would slow down.
    pub(super) async fn prepare_spare(
        self: Arc<Self>,
        image: TemplateImage,
        network: SandboxNetwork,
    ) {
        let Some(spares) = self.spares() else {
            return;
        };
        let Ok(_preparing) = spares.preparing.try_lock() else {
            return;
        };
        let parts = PreparedParts::of(&image, network);
        let is_there = || {
            let mut spares = spares.lock();
            spares
                .iter_mut()
                .any(|spare| spare.parts == parts && spare.is_usable())
        };
        if self.is_creating() || self.is_closed() || is_there() {
            return;
        }
        match self.prepare(parts).await {
            Ok(spare) => spares.lock().push(spare),
            // The next creation reports the error.
            Err(error) => tracing::debug!(%error, "failed to prepare a sandbox"),
        }
        while let Some(unusable) = spares.take(|spare| !spare.is_usable()) {
            unusable.discard().await;
        }
        let is_over = || spares.lock().len() > MAX_SPARES;
        while is_over()
            && let Some(oldest) = spares.take(|_| true)
        {
            oldest.discard().await;
        }
    }

    /// Removes the prepared sandboxes of a platform that creates no more sandboxes.
    pub(super) async fn discard_spares(&self) {
        let Some(spares) = self.spares() else {
            return;
        };
        let _preparing = spares.preparing.lock().await;
        while let Some(spare) = spares.take(|_| true) {
            spare.discard().await;
        }
    }

    async fn prepare(&self, parts: PreparedParts) -> Result<PreparedSandbox, CreateError> {
        let id = identity::short_id('i');
        let directory = self.run_directory().join(&id);
        match self.open(&parts, directory.clone()).await {
            Ok(sandbox_processes) => Ok(PreparedSandbox {
                id,
                sandbox_processes,
                parts,
            }),
            Err(error) => {
                remove_unstarted(&id, &directory).await;
                Err(error)
            }
        }
    }

    async fn open(
        &self,
        parts: &PreparedParts,
        directory: PathBuf,
    ) -> Result<SandboxProcesses, CreateError> {
        let user = self.users().take().map_err(CreateError::Files)?;
        let source = parts.root.clone();
        let own_directory = directory.clone();
        let copied = tokio::task::spawn_blocking(move || {
            prepare_directory(&own_directory, &user)?;
            let root = own_directory.join("root");
            if let Some(source) = source {
                copy_tree(&source, &root)?;
            }
            prepare_root(&root, user.owner())?;
            processes::wait_for_starts();
            Ok(user)
        });
        let user = copied
            .await
            .map_err(|_| CreateError::ShuttingDown)?
            .map_err(CreateError::Files)?;
        let limits = SandboxLimits {
            memory_bytes: u64::from(parts.memory_mb) * 1024 * 1024,
            cpu_count: parts.cpu_count,
        };
        SandboxProcesses::open(
            self.isolation(),
            directory,
            self.cgroup(),
            limits,
            parts.network,
            user,
        )
        .await
        .map_err(CreateError::Start)
    }
}

/// Removes the files of a sandbox that did not start.
pub(super) async fn remove_unstarted(id: &str, directory: &Path) {
    if let Err(leftover) = remove_directory(directory).await {
        tracing::warn!(sandbox = %id, %leftover, "failed to remove a sandbox that did not start");
    }
}
