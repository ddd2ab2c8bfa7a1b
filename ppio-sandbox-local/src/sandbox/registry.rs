//! Every sandbox of the platform, found by id or by access token.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::create_error::CreateError;
use super::instance::LocalSandbox;
use super::lifetime::SandboxPhase;
use super::ports::PortPool;
use super::spare_sandboxes::SpareSandboxes;
use crate::identity::constant_time_eq;
use crate::isolation::{CgroupParent, Isolation, Networks, UserPool};

#[derive(Debug)]
pub(crate) struct SandboxRegistry {
    sandboxes: Mutex<HashMap<String, Arc<LocalSandbox>>>,
    /// The number of sandboxes that are being created.
    reserved: Arc<AtomicUsize>,
    limit: usize,
    closed: AtomicBool,
    ports: PortPool,
    run_directory: PathBuf,
    isolation: Arc<dyn Isolation>,
    networks: Networks,
    cgroup: Option<CgroupParent>,
    users: UserPool,
    /// `None` if no sandboxes are prepared ahead.
    spares: Option<SpareSandboxes>,
}

/// A sandbox that is being created, counted towards the limit.
#[derive(Debug)]
pub(super) struct Reservation(Arc<AtomicUsize>);

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl SandboxRegistry {
    pub(crate) fn new(
        run_directory: PathBuf,
        (isolation, networks): (Arc<dyn Isolation>, Networks),
        cgroup: Option<CgroupParent>,
        users: UserPool,
        spares: Option<SpareSandboxes>,
        limit: usize,
    ) -> Self {
        Self {
            sandboxes: Mutex::default(),
            reserved: Arc::default(),
            limit,
            closed: AtomicBool::new(false),
            ports: PortPool::default(),
            run_directory,
            isolation,
            networks,
            cgroup,
            users,
            spares,
        }
    }

    pub(super) fn reserve(&self) -> Result<Reservation, CreateError> {
        if self.is_closed() {
            return Err(CreateError::ShuttingDown);
        }
        let making = self.reserved.fetch_add(1, Ordering::AcqRel);
        let reservation = Reservation(Arc::clone(&self.reserved));
        if making + self.lock().len() >= self.limit {
            return Err(CreateError::TooMany { limit: self.limit });
        }
        Ok(reservation)
    }

    /// Whether sandboxes are being created.
    pub(super) fn is_creating(&self) -> bool {
        self.reserved.load(Ordering::Acquire) > 0
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn spares(&self) -> Option<&SpareSandboxes> {
        self.spares.as_ref()
    }

    pub(super) fn ports(&self) -> &PortPool {
        &self.ports
    }

    pub(crate) fn users(&self) -> &UserPool {
        &self.users
    }

    pub(crate) fn run_directory(&self) -> &Path {
        &self.run_directory
    }

    pub(crate) fn isolation(&self) -> Arc<dyn Isolation> {
        Arc::clone(&self.isolation)
    }

    /// Returns the networks that sandboxes can have on this machine.
    pub(crate) fn networks(&self) -> &Networks {
        &self.networks
    }

    pub(crate) fn cgroup(&self) -> Option<&CgroupParent> {
        self.cgroup.as_ref()
    }

    /// Adds a sandbox, unless the platform is shutting down.
    pub(super) async fn insert(&self, sandbox: &Arc<LocalSandbox>) -> Result<(), CreateError> {
        self.lock().insert(sandbox.id.clone(), Arc::clone(sandbox));
        if self.is_closed() {
            let _ = self.kill(&sandbox.id).await;
            return Err(CreateError::ShuttingDown);
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<LocalSandbox>> {
        self.lock()
            .get(id)
            .filter(|sandbox| sandbox.lifetime().phase != SandboxPhase::Gone)
            .cloned()
    }

    pub(crate) fn by_access_token(&self, token: &str) -> Option<Arc<LocalSandbox>> {
        self.lock()
            .values()
            .find(|sandbox| constant_time_eq(sandbox.access_token.as_bytes(), token.as_bytes()))
            .cloned()
    }

    /// Returns the sandboxes that are not being killed, oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<LocalSandbox>> {
        let mut sandboxes: Vec<_> = self
            .lock()
            .values()
            .filter(|sandbox| sandbox.lifetime().phase != SandboxPhase::Gone)
            .cloned()
            .collect();
        sandboxes
            .sort_by(|left, right| (left.started_at, &left.id).cmp(&(right.started_at, &right.id)));
        sandboxes
    }

    /// Ends a sandbox. `false` when the id is unknown.
    pub(crate) async fn kill(&self, id: &str) -> io::Result<bool> {
        let Some(sandbox) = self.lock().get(id).cloned() else {
            return Ok(false);
        };
        let ending = Arc::clone(&sandbox);
        // Runs in its own task, which is not cancelled when the caller disconnects.
        let ended = tokio::spawn(async move { ending.end().await });
        ended.await.map_err(io::Error::other)??;
        self.lock().remove(id);
        Ok(true)
    }

    /// Refuses new sandboxes and ends the existing ones, all at the same time.
    pub(crate) async fn close(&self) -> io::Result<()> {
        self.closed.store(true, Ordering::Release);
        let ids: Vec<_> = self.lock().keys().cloned().collect();
        let kills = futures_util::future::join_all(ids.iter().map(|id| self.kill(id)));
        let (kills, ()) = tokio::join!(kills, self.discard_spares());
        kills.into_iter().try_for_each(|kill| kill.map(drop))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<LocalSandbox>>> {
        self.sandboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
