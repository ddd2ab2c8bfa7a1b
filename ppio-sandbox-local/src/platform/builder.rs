//! Settings of a local platform, and how it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::local_platform::LocalPlatform;
use super::state_file::{PlatformState, StateFile};
use crate::api::IdempotentAnswers;
use crate::edge::{Edge, Hosts};
use crate::error::Error;
use crate::home::{ApiKey, Home, Placement};
use crate::isolation::{
    self, CgroupParent, Directories, IsolationKind, UnenforcedLimit, UserPool, WantedIsolation,
};
use crate::processes::PlatformWatchdog;
use crate::sandbox::{SandboxRegistry, SpareSandboxes};
use crate::server::{self, ServerState, Tls};
use crate::shared::Shared;
use crate::template::{TemplateBuilder, TemplateStore, Uploads};

const DEFAULT_SANDBOX_LIMIT: usize = 256;

/// The target of the log event with which a platform's start lists the limits that this machine
/// does not enforce, for programs that report
/// [`unenforced_limits`](LocalPlatform::unenforced_limits) themselves.
pub const UNENFORCED_LIMITS_TARGET: &str = "ppio_sandbox_local::unenforced_limits";

/// Sets up a [`LocalPlatform`]. Every method changes one setting; the rest keep their defaults.
#[derive(Debug, Clone)]
#[must_use = "nothing happens until `start` is called"]
pub struct LocalPlatformBuilder {
    home: Option<PathBuf>,
    port: u16,
    tls: bool,
    isolation: Option<IsolationKind>,
    isolate_network: Option<bool>,
    exposed: Vec<PathBuf>,
    cgroups: bool,
    prepare_ahead: bool,
    sandbox_limit: usize,
    allowed_hosts: Vec<String>,
}

impl Default for LocalPlatformBuilder {
    fn default() -> Self {
        Self {
            home: None,
            port: 0,
            tls: false,
            isolation: None,
            isolate_network: None,
            exposed: Vec::new(),
            cgroups: true,
            prepare_ahead: true,
            sandbox_limit: DEFAULT_SANDBOX_LIMIT,
            allowed_hosts: Vec::new(),
        }
    }
}

impl LocalPlatform {
    /// Starts a platform with the default settings.
    ///
    /// # Errors
    ///
    /// As [`LocalPlatformBuilder::start`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// Returns a builder for a platform with other settings.
    pub fn builder() -> LocalPlatformBuilder {
        LocalPlatformBuilder::default()
    }
}

impl LocalPlatformBuilder {
    /// Sets the directory of the templates and the API key. Default: `PPIO_LOCAL_HOME`, else
    /// `~/.ppio/local`.
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Sets the loopback port. Default: 0, any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets whether the port also accepts TLS, with certificates of a local authority, and tunnels
    /// `CONNECT` requests to sandboxes and to other hosts. Default: no. Plain HTTP works either
    /// way.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Requires this isolation; starting fails if it does not work. Default: bubblewrap if it
    /// works, else process groups.
    pub fn isolation(mut self, isolation: IsolationKind) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Sets whether sandboxes with internet access, and builds, have a network namespace of their
    /// own, which the program `pasta` connects to other machines. These sandboxes and builds then
    /// reach no server on a loopback address of this machine and no abstract Unix socket: an agent
    /// cannot call a model there. Needs bubblewrap and `/dev/net/tun`; starting fails if such a
    /// network cannot be set up. Default: `PPIO_LOCAL_ISOLATE_NETWORK`, else no.
    ///
    /// Servers on other addresses of this machine, and in its networks, can still be reached.
    pub fn isolate_network(mut self, isolate: bool) -> Self {
        self.isolate_network = Some(isolate);
        self
    }

    /// Exposes one more file or directory of this machine to sandboxes, read-only at the same path,
    /// and puts its `bin` folder, if it has one, on their `PATH`. Process groups see the path in
    /// any case, with the rights of their user. Needed for interpreters outside the system's own
    /// folders, such as a Python virtual environment. Process groups of a platform that runs as
    /// root cannot use what lies below `/root` ([`IsolationKind::ProcessGroup`]).
    pub fn expose(mut self, path: impl Into<PathBuf>) -> Self {
        self.exposed.push(path.into());
        self
    }

    /// Sets whether sandboxes get cgroups if the platform can create them. Default: yes. Without
    /// cgroups the platform pauses and kills processes with signals, and limits them with resource
    /// limits. A sandbox with a process namespace gets a cgroup only if the kernel enforces a limit
    /// in the cgroup.
    pub fn cgroups(mut self, cgroups: bool) -> Self {
        self.cgroups = cgroups;
        self
    }

    /// Sets whether the next sandbox of a template is prepared after a creation, unless other
    /// sandboxes are being created: its files are copied and its namespaces opened, but nothing is
    /// started in it. Default: yes, for the four templates used last. This halves the time to
    /// create a sandbox.
    pub fn prepare_ahead(mut self, prepare_ahead: bool) -> Self {
        self.prepare_ahead = prepare_ahead;
        self
    }

    /// Sets how many sandboxes may exist at the same time. Default: 256. Further sandboxes are
    /// refused with status 429.
    pub fn sandbox_limit(mut self, limit: usize) -> Self {
        self.sandbox_limit = limit;
        self
    }

    /// Allows one more host name in requests, and pages of that name to call the platform. Needed
    /// for a tunnel or a proxy that passes its own name on. Default: `localhost` and the names
    /// below it, loopback addresses, and `{port}-{id}` of a sandbox in any domain. Other hosts are
    /// refused with status 421 and other pages with 403, because a web page can point a name of its
    /// own at loopback.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.allowed_hosts.push(name.into());
        self
    }

    /// Starts the platform. From then on the platform marks the descriptors of this process above 2
    /// to close at `exec` whenever the platform starts a process, so that no sandbox inherits one.
    ///
    /// # Errors
    ///
    /// [`Error::HomeInUse`] when another platform runs with the same home, [`Error::Listen`] when
    /// the port is taken, [`Error::Isolation`] when the requested isolation does not work here, or
    /// when none is requested and process groups do not work, [`Error::Network`] when
    /// [`isolate_network`](Self::isolate_network) does not work here, [`Error::Certificate`] when
    /// the certificates for [`tls`](Self::tls) cannot be created, [`Error::Watchdog`] when the
    /// process that ends the sandboxes with the platform does not start, [`Error::NoHome`] or
    /// [`Error::Home`] when the home or an exposed path cannot be used, and [`Error::Variable`]
    /// when an environment variable is not valid.
    pub async fn start(self) -> Result<LocalPlatform, Error> {
        let wanted = self.wanted_isolation()?;
        let kind = self.isolation.unwrap_or(IsolationKind::ProcessGroup);
        let users = UserPool::new().map_err(|reason| Error::Isolation { kind, reason })?;
        // Bubblewrap mounts the files of a sandbox where its user can reach them.
        let placement = match kind {
            IsolationKind::ProcessGroup if users.are_own() => Placement::Reachable,
            _ => Placement::InHome,
        };
        let home = match &self.home {
            Some(home) => Home::open(home, placement)?,
            None => Home::open(&LocalPlatform::default_home()?, placement)?,
        };
        let key = ApiKey::load_or_create(&home.key())?;
        let templates = Arc::new(TemplateStore::open(home.templates())?);
        let tls = if self.tls {
            Some(Tls::open(&home.certificates())?)
        } else {
            None
        };

        let listening = |source| Error::Listen {
            port: self.port,
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;

        let cgroup = self.cgroups.then(CgroupParent::create).flatten();
        // Started before `isolation::choose` runs the first sandbox as a trial, so that the
        // watchdog ends that sandbox too.
        let watchdog = PlatformWatchdog::start(
            &home.run(),
            home.link(),
            cgroup.as_ref().map(CgroupParent::path),
        )
        .map_err(Error::Watchdog)?;
        let exposed = self.exposed_paths()?;
        let directories = Directories {
            home: home.path(),
            run: &home.run(),
            system_files: &home.system_files(),
        };
        let chosen =
            isolation::choose(wanted, &exposed, directories, &users, cgroup.as_ref()).await?;
        let kind = chosen.isolation.kind();
        let unenforced_limits = isolation::unenforced(cgroup.as_ref(), chosen.substitutes);
        report(&unenforced_limits);
        let sandboxes = Arc::new(SandboxRegistry::new(
            home.run(),
            (chosen.isolation, chosen.networks),
            cgroup,
            users,
            self.prepare_ahead.then(SpareSandboxes::default),
            self.sandbox_limit,
        ));

        let shared = Arc::new(Shared {
            address,
            key,
            uploads: Uploads::default(),
            builder: TemplateBuilder::new(Arc::clone(&templates), Arc::clone(&sandboxes)),
            templates,
            sandboxes,
            creations: IdempotentAnswers::default(),
            home,
        });
        let (closing, closed) = watch::channel(false);
        let front = ServerState {
            port: address.port(),
            edge: Edge::new(Arc::clone(&shared), Hosts::new(&self.allowed_hosts)),
            tls,
            closing: closed,
        };
        let server = tokio::spawn(server::serve(listener, front));
        let networks = shared.sandboxes.networks();
        // Written last, so that other programs find only a platform that already serves.
        let state = PlatformState {
            url: format!("http://{address}"),
            address,
            pid: std::process::id(),
            tls: self.tls,
            isolation: kind.to_string(),
            isolates_network: networks.with_internet().is_own(),
            offline_unavailable: networks.own_unavailable().map(ToOwned::to_owned),
            unenforced_limits: unenforced_limits.clone(),
        };
        let state_file = StateFile::write(shared.home.path(), &state)?;
        Ok(LocalPlatform {
            shared,
            isolation: kind,
            unenforced_limits,
            tls: self.tls,
            closing,
            server,
            state_file: Some(state_file),
            watchdog: Some(watchdog),
        })
    }

    fn wanted_isolation(&self) -> Result<WantedIsolation, Error> {
        Ok(WantedIsolation {
            kind: self.isolation,
            isolated_network: match self.isolate_network {
                Some(isolate) => isolate,
                None => LocalPlatform::default_isolate_network()?,
            },
        })
    }

    fn exposed_paths(&self) -> Result<Vec<PathBuf>, Error> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path as &Path).and_then(|path| {
                path.metadata()?;
                Ok(path)
            })
        };
        self.exposed
            .iter()
            .map(|path| absolute(path).map_err(Error::home(path)))
            .collect()
    }
}

/// Logs every limit that is not enforced.
fn report(unenforced: &[UnenforcedLimit]) {
    let limits: Vec<_> = unenforced.iter().map(ToString::to_string).collect();
    if !limits.is_empty() {
        tracing::warn!(
            target: UNENFORCED_LIMITS_TARGET,
            "limits of sandboxes that this machine does not enforce: {}",
            limits.join("; ")
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn process_groups_have_no_network_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let started = LocalPlatform::builder()
            .home(home.path())
            .isolation(IsolationKind::ProcessGroup)
            .isolate_network(true)
            .start()
            .await;
        let error = started.unwrap_err();
        assert!(matches!(error, Error::Network { .. }), "{error}");
        assert!(error.to_string().ends_with("share the network"), "{error}");
    }

    #[tokio::test]
    async fn a_failed_start_removes_its_directory() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let bare = LocalPlatform::builder;
        // The path of an empty file below the home: `key/x` makes `key` a directory, `ca` is a file
        // where the platform needs a directory, and `other` is not used by the platform.
        for (obstacle, builder) in [
            ("key/x", bare()),
            ("ca", bare().tls(true)),
            ("other", bare().port(port)),
            // Fails after the watchdog was started, which then removes the directory.
            ("other", bare().expose("/nowhere")),
        ] {
            let home = tempfile::tempdir().unwrap();
            let obstacle = home.path().join(obstacle);
            fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
            fs::write(&obstacle, "").unwrap();
            let error = builder.home(home.path()).start().await.unwrap_err();
            let deadline = Instant::now() + Duration::from_secs(20);
            while fs::read_dir(home.path().join("run")).unwrap().count() > 0 {
                assert!(Instant::now() < deadline, "{error} leaves a directory");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
