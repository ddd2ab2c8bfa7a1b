//! The file in the home by which other programs find a platform.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::home;
use crate::isolation::UnenforcedLimit;

/// The content of `platform.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlatformState {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    pub(crate) tls: bool,
    pub(crate) isolation: String,
    #[serde(default)]
    pub(crate) isolates_network: bool,
    #[serde(default)]
    pub(crate) offline_unavailable: Option<String>,
    #[serde(default)]
    pub(crate) unenforced_limits: Vec<UnenforcedLimit>,
}

/// The state file of a running platform. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// Writes the file, over one that a killed platform may have left.
    pub(crate) fn write(home: &Path, state: &PlatformState) -> Result<Self, Error> {
        let path = home::state_path(home);
        replace(&path, &serde_json::to_vec_pretty(state).unwrap_or_default())
            .map_err(Error::home(&path))?;
        Ok(Self { path })
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Replaces a file atomically: readers see the old content or the new.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("json.new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(content)?;
    fs::rename(aside, path)
}
