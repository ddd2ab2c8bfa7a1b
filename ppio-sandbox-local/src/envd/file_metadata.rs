//! The metadata that clients attach to files: headers of an upload, kept as extended attributes,
//! as envd keeps them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use axum::http::HeaderMap;
use rustix::fs::{XattrFlags, flistxattr, fremovexattr, fsetxattr, lgetxattr, llistxattr};
use rustix::io::Errno;

use crate::api::ApiError;

const HEADER_PREFIX: &str = "x-metadata-";
const ATTRIBUTE_PREFIX: &str = "user.e2b.";
/// The longest name of an attribute that Linux accepts, in bytes.
const MAX_NAME: usize = 255;
/// The maximum size of the attributes that ext4 stores for one file, in bytes.
const MAX_TOTAL: usize = 4096;
/// The longest list of names and the longest value that Linux returns, in bytes.
const MAX_LIST: usize = 64 * 1024;

/// The metadata of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileMetadata(BTreeMap<String, String>);

impl FileMetadata {
    /// Reads the headers `X-Metadata-<key>` of an upload.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut metadata = BTreeMap::new();
        let mut total = 0;
        for (name, value) in headers {
            let Some(key) = name.as_str().strip_prefix(HEADER_PREFIX) else {
                continue;
            };
            let refused = |reason: String| {
                ApiError::bad_request(format!("invalid metadata header {name}: {reason}"))
            };
            let is_printable = |byte: &u8| (0x20..0x7f).contains(byte);
            let value = value
                .to_str()
                .ok()
                .filter(|value| value.as_bytes().iter().all(is_printable))
                .ok_or_else(|| refused("its value is not printable ASCII".to_owned()))?;
            let length = ATTRIBUTE_PREFIX.len() + key.len();
            if key.is_empty() || length > MAX_NAME {
                let longest = MAX_NAME - ATTRIBUTE_PREFIX.len();
                return Err(refused(format!("its key must have 1 to {longest} bytes")));
            }
            total += length + value.len();
            if total > MAX_TOTAL {
                return Err(refused(format!(
                    "all metadata together is larger than {MAX_TOTAL} bytes"
                )));
            }
            metadata.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self(metadata))
    }

    /// Reads the metadata of the file at `path`, without following a link. Empty if the file has no
    /// metadata, or its attributes cannot be read.
    pub(super) fn of(path: &Path) -> Self {
        let mut names = vec![0; MAX_LIST];
        let Ok(length) = llistxattr(path, &mut names[..]) else {
            return Self::default();
        };
        let mut metadata = BTreeMap::new();
        let mut value = vec![0; MAX_LIST];
        for name in names[..length].split(|byte| *byte == 0) {
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            let Some(key) = name.strip_prefix(ATTRIBUTE_PREFIX) else {
                continue;
            };
            // A program of the sandbox may set any attribute, and may remove it meanwhile.
            if let Ok(length) = lgetxattr(path, name, &mut value[..])
                && let Ok(value) = std::str::from_utf8(&value[..length])
            {
                metadata.insert(key.to_owned(), value.to_owned());
            }
        }
        Self(metadata)
    }

    /// Replaces all metadata of an open file and returns what was stored: nothing on a file system
    /// without extended attributes.
    pub(super) fn write(self, file: &File) -> io::Result<Self> {
        match self.replace(file) {
            Ok(()) => Ok(self),
            Err(Errno::NOTSUP) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn replace(&self, file: &File) -> rustix::io::Result<()> {
        let mut names = vec![0; MAX_LIST];
        let length = flistxattr(file, &mut names[..])?;
        for name in names[..length].split(|byte| *byte == 0) {
            let is_stale = name
                .strip_prefix(ATTRIBUTE_PREFIX.as_bytes())
                .is_some_and(|key| !self.0.keys().any(|kept| kept.as_bytes() == key));
            if is_stale {
                match fremovexattr(file, name) {
                    Err(error) if error != Errno::NODATA => return Err(error),
                    _ => {}
                }
            }
        }
        for (key, value) in &self.0 {
            let name = format!("{ATTRIBUTE_PREFIX}{key}");
            fsetxattr(file, name, value.as_bytes(), XattrFlags::empty())?;
        }
        Ok(())
    }

    /// Returns the metadata as a field of an entry. `None` if there is none.
    pub(super) fn into_json(self) -> Option<serde_json::Value> {
        (!self.0.is_empty()).then(|| serde_json::json!(self.0))
    }
}
