//! The running platform.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::environment;
use super::state_file::StateFile;
use crate::error::Error;
use crate::isolation::{IsolationKind, UnenforcedLimit};
use crate::processes::{self, PlatformWatchdog};
use crate::shared::Shared;

/// The whole platform on this machine: control plane, sandbox daemon and edge on one loopback port.
///
/// ```no_run
/// # async fn example() -> Result<(), ppio_sandbox_local::Error> {
/// use ppio_sandbox_local::LocalPlatform;
///
/// let platform = LocalPlatform::start().await?;
/// println!("listening at {}", platform.url());
/// for (variable, value) in platform.environment() {
///     println!("export {variable}={value}");
/// }
/// platform.shutdown().await
/// # }
/// ```
///
/// Sandboxes end with the platform: [`LocalPlatform::shutdown`] waits for their end; when the
/// platform is dropped or its process is killed, a watchdog process ends them.
#[derive(Debug)]
pub struct LocalPlatform {
    pub(super) shared: Arc<Shared>,
    pub(super) isolation: IsolationKind,
    pub(super) unenforced_limits: Vec<UnenforcedLimit>,
    pub(super) tls: bool,
    pub(super) closing: watch::Sender<bool>,
    pub(super) server: JoinHandle<()>,
    pub(super) state_file: Option<StateFile>,
    // Dropping `watchdog` closes a pipe. The watchdog process reads this pipe and then ends the
    // sandboxes.
    pub(super) watchdog: Option<PlatformWatchdog>,
}

impl LocalPlatform {
    /// Returns the loopback address that the platform listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Returns the control plane's URL, which also takes sandbox traffic that names its sandbox by
    /// header.
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Returns the domain of sandbox hosts, as in `{port}-{id}.{domain}`, with the port that the
    /// platform listens on.
    pub fn domain(&self) -> String {
        self.shared.domain()
    }

    /// Returns the API key that callers must send. Keep it out of logs.
    pub fn api_key(&self) -> &str {
        self.shared.key.reveal()
    }

    /// Returns the directory that holds the platform's templates and its API key.
    pub fn home(&self) -> &Path {
        self.shared.home.path()
    }

    /// Returns how the platform isolates its sandboxes.
    pub fn isolation(&self) -> IsolationKind {
        self.isolation
    }

    /// Whether sandboxes with internet access have a network namespace of their own, as
    /// [`isolate_network`](crate::LocalPlatformBuilder::isolate_network) requires.
    pub fn isolates_network(&self) -> bool {
        self.shared.sandboxes.networks().with_internet().is_own()
    }

    /// Returns the reason why sandboxes cannot be created without internet access on this machine.
    /// `None` if sandboxes can: they then have a network namespace of their own.
    pub fn offline_unavailable(&self) -> Option<&str> {
        self.shared.sandboxes.networks().own_unavailable()
    }

    /// Returns the limits of sandboxes that this machine does not enforce. The limits are also
    /// logged once at start.
    pub fn unenforced_limits(&self) -> &[UnenforcedLimit] {
        &self.unenforced_limits
    }

    /// Returns how many sandboxes exist, running or paused.
    pub fn sandbox_count(&self) -> usize {
        self.shared.sandboxes.list().len()
    }

    /// Returns every variable with which the existing SDKs use this platform.
    ///
    /// The variables cover `ppio-sandbox` and its agent client (`PPIO_*`), the E2B SDKs (`E2B_*`),
    /// the Novita SDKs (`NOVITA_*`) and, in TLS mode, the proxy and the certificates that clients
    /// with fixed `https://` addresses need.
    pub fn environment(&self) -> BTreeMap<String, String> {
        environment::variables(self.shared.address, &self.shared.key, self.home(), self.tls)
    }

    /// Ends builds and sandboxes, then the server. Returns when no process and no file of a
    /// sandbox is left.
    ///
    /// # Errors
    ///
    /// [`Error::Home`] when a process of a sandbox could not be ended or its files could not be
    /// removed, [`Error::Watchdog`] when the watchdog process could not be ended.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        // Removes the state file first, so that no program finds a platform that is about to end.
        self.state_file.take();
        self.shared.builder.close().await;
        let run = self.shared.home.run();
        let ended = self.shared.sandboxes.close().await;
        self.closing.send_replace(true);
        // The server task ends by itself and does not panic.
        let _ = (&mut self.server).await;
        ended.map_err(Error::home(&run))?;
        // Builds that were stopped may have left processes.
        if let Some(cgroup) = self.shared.sandboxes.cgroup() {
            cgroup.remove().await.map_err(Error::home(cgroup.path()))?;
        }
        let shared = Arc::clone(&self.shared);
        let swept = tokio::task::spawn_blocking(move || {
            processes::clean_up_run(&shared.home.run())?;
            shared.home.remove_link()
        });
        if let Ok(swept) = swept.await {
            swept.map_err(Error::home(&run))?;
        }
        match self.watchdog.take() {
            Some(watchdog) => watchdog.dismiss().await.map_err(Error::Watchdog),
            None => Ok(()),
        }
    }
}

impl Drop for LocalPlatform {
    fn drop(&mut self) {
        self.server.abort();
    }
}
