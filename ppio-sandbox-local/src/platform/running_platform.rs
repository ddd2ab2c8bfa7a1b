//! Finds a platform that another process runs, by the state file in the platform's home.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ppio_agent_protocol::environment::{text, variable};

use super::environment;
use super::local_platform::LocalPlatform;
use super::state_file::PlatformState;
use crate::error::Error;
use crate::home::{self, ApiKey};
use crate::isolation::UnenforcedLimit;

/// A platform that runs now, in this process or another, found with [`LocalPlatform::running_at`].
#[derive(Debug, Clone)]
pub struct RunningPlatform {
    home: PathBuf,
    key: ApiKey,
    state: PlatformState,
}

impl LocalPlatform {
    /// Returns the platform that runs in `home`. `None` if no platform runs there, even if one that
    /// was killed left its state file, and while a platform is starting or shutting down.
    pub fn running_at(home: impl AsRef<Path>) -> Option<RunningPlatform> {
        let home = home.as_ref().canonicalize().ok()?;
        if !home::is_locked(&home) {
            return None;
        }
        let state = serde_json::from_slice(&fs::read(home::state_path(&home)).ok()?).ok()?;
        let key = ApiKey::load(&home::key_path(&home)).ok()??;
        Some(RunningPlatform { home, key, state })
    }

    /// Returns the default home: `PPIO_LOCAL_HOME`, else `~/.ppio/local`.
    ///
    /// # Errors
    ///
    /// [`Error::NoHome`] when the environment has neither `PPIO_LOCAL_HOME` nor `HOME`.
    pub fn default_home() -> Result<PathBuf, Error> {
        let path = |name| variable(name).map(PathBuf::from);
        path("PPIO_LOCAL_HOME")
            .or_else(|| path("HOME").map(|home| home.join(".ppio").join("local")))
            .ok_or(Error::NoHome)
    }

    /// Returns whether a platform isolates the network of its sandboxes if its
    /// [builder](crate::LocalPlatformBuilder::isolate_network) does not set it:
    /// `PPIO_LOCAL_ISOLATE_NETWORK`, else no.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`] when the variable is neither true nor false.
    pub fn default_isolate_network() -> Result<bool, Error> {
        let name = "PPIO_LOCAL_ISOLATE_NETWORK";
        let Some(value) = text(name) else {
            return Ok(false);
        };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Error::Variable { name, value }),
        }
    }
}

impl RunningPlatform {
    /// Returns the control plane's URL, which also takes sandbox traffic that names its sandbox by
    /// header.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Returns the pid of the process that runs the platform. SIGTERM shuts down a platform of the
    /// command line.
    pub fn pid(&self) -> u32 {
        self.state.pid
    }

    /// Whether the platform's port also accepts TLS.
    pub fn tls(&self) -> bool {
        self.state.tls
    }

    /// Returns how the platform isolates its sandboxes, as [`IsolationKind`](crate::IsolationKind)
    /// prints it.
    pub fn isolation(&self) -> &str {
        &self.state.isolation
    }

    /// Whether the platform's sandboxes with internet access have a network namespace of their own,
    /// as [`LocalPlatform::isolates_network`].
    pub fn isolates_network(&self) -> bool {
        self.state.isolates_network
    }

    /// Returns the reason why the platform's sandboxes cannot be created without internet access,
    /// as [`LocalPlatform::offline_unavailable`].
    pub fn offline_unavailable(&self) -> Option<&str> {
        self.state.offline_unavailable.as_deref()
    }

    /// Returns the limits of sandboxes that the platform's machine does not enforce.
    pub fn unenforced_limits(&self) -> &[UnenforcedLimit] {
        &self.state.unenforced_limits
    }

    /// Returns the directory that holds the platform's templates and its API key.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the API key that callers must send. Keep it out of logs.
    pub fn api_key(&self) -> &str {
        self.key.reveal()
    }

    /// Returns every variable with which the existing SDKs use the platform, as
    /// [`LocalPlatform::environment`].
    pub fn environment(&self) -> BTreeMap<String, String> {
        environment::variables(self.state.address, &self.key, &self.home, self.state.tls)
    }

    /// Whether the platform still runs.
    pub fn is_running(&self) -> bool {
        LocalPlatform::running_at(&self.home).is_some_and(|now| now.state.pid == self.state.pid)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::IsolationKind;

    #[tokio::test]
    async fn a_platform_is_found_while_it_runs() {
        let home = tempfile::tempdir().unwrap();
        assert!(LocalPlatform::running_at(home.path()).is_none());
        let platform = LocalPlatform::builder()
            .home(home.path())
            .tls(true)
            .isolation(IsolationKind::ProcessGroup)
            .start()
            .await
            .unwrap();

        let found = LocalPlatform::running_at(home.path()).unwrap();
        assert_eq!(found.url(), platform.url());
        assert_eq!(found.pid(), std::process::id());
        assert_eq!(found.api_key(), platform.api_key());
        assert_eq!(found.environment(), platform.environment());
        assert!(found.tls() && found.is_running());
        assert_eq!(found.isolation(), "process group");
        assert_eq!(found.offline_unavailable(), platform.offline_unavailable());
        assert!(platform.offline_unavailable().is_some());
        assert_eq!(found.unenforced_limits(), platform.unenforced_limits());
        assert!(!format!("{found:?}").contains(platform.api_key()));
        let file = home::state_path(platform.home());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let left_behind = fs::read(&file).unwrap();
        platform.shutdown().await.unwrap();
        assert!(!file.exists());
        assert!(!found.is_running());
        fs::write(&file, left_behind).unwrap();
        assert!(
            LocalPlatform::running_at(home.path()).is_none(),
            "a state file without a platform is ignored"
        );
        let _starting = home::Home::open(home.path(), home::Placement::InHome).unwrap();
        assert!(
            LocalPlatform::running_at(home.path()).is_none(),
            "a state file from before the current start is ignored"
        );
    }
}
