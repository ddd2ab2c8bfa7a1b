//! The API key of the control plane.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::error::Error;
use crate::identity::{self, constant_time_eq};

/// The generated API key. `Debug` hides the key; [`ApiKey::reveal`] returns it.
#[derive(Clone)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// Reads the API key in the file at `path`. `None` if the file does not exist or is empty.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Ok(Some(Self(text.trim().to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the API key in the file at `path`, or creates one that only the owner can read.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, Error> {
        if let Some(key) = Self::load(path).map_err(Error::home(path))? {
            // A copy of a home may have other permissions.
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .map_err(Error::home(path))?;
            return Ok(key);
        }
        // Older E2B clients require `e2b_` and hexadecimal digits; other clients take any text.
        let key = format!("e2b_{}", identity::secret());
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::home(path))?;
        file.write_all(key.as_bytes()).map_err(Error::home(path))?;
        Ok(Self(key))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this key, compared in constant time.
    pub(crate) fn matches(&self, candidate: &str) -> bool {
        constant_time_eq(self.0.as_bytes(), candidate.as_bytes())
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_kept_and_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        let first = ApiKey::load_or_create(&path).unwrap();
        let second = ApiKey::load_or_create(&path).unwrap();
        assert!(first.matches(second.reveal()));
        assert!(!first.matches("e2b_other"));
        assert!(!first.matches(""));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(first.reveal()));
    }
}
