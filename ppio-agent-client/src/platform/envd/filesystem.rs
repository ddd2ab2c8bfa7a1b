//! Directories and file metadata in the sandbox.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::daemon::Envd;
use super::directory_events::DirectoryEvents;
use crate::error::Error;
use crate::platform::json::null_is_empty;
use crate::transport::Idempotency;

/// The kind of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    #[default]
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A kind that this version does not define.
    Other(String),
}

impl<'de> Deserialize<'de> for FileKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "FILE_TYPE_FILE" | "file" => Self::File,
            "FILE_TYPE_DIRECTORY" | "dir" => Self::Directory,
            "FILE_TYPE_SYMLINK" | "symlink" => Self::Symlink,
            _ => Self::Other(word),
        })
    }
}

/// The metadata of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FileInfo {
    /// The last part of the entry's path.
    pub name: String,
    /// The entry's full path.
    pub path: String,
    /// The entry's kind.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// The entry's size in bytes.
    #[serde(deserialize_with = "number")]
    pub size: u64,
    /// Permission bits, as for `chmod`.
    pub mode: u32,
    /// The permissions as `ls -l` shows them.
    pub permissions: String,
    /// The entry's owner.
    pub owner: String,
    /// The entry's group.
    pub group: String,
    /// When the entry was last changed, as RFC 3339.
    pub modified_time: Option<String>,
    /// The target of a link.
    pub symlink_target: Option<String>,
}

/// Reads a number, which proto3 JSON encodes as a string if it has 64 bits.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => text.parse().map_err(serde::de::Error::custom),
        Value::Null => Ok(0),
        other => u64::deserialize(other).map_err(serde::de::Error::custom),
    }
}

#[derive(Deserialize)]
struct StatResponse {
    #[serde(default)]
    entry: FileInfo,
}

#[derive(Deserialize)]
struct ListDirResponse {
    #[serde(default, deserialize_with = "null_is_empty")]
    entries: Vec<FileInfo>,
}

impl Envd {
    /// Returns the metadata of the file or directory at `path`.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause; its status is 404 if
    /// the file or directory does not exist.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// println!("{} bytes", envd.stat("/etc/hosts").await?.size);
    /// # Ok(()) });
    /// ```
    pub async fn stat(&self, path: &str) -> Result<FileInfo, Error> {
        let request = json!({ "path": path });
        let procedure = "/filesystem.Filesystem/Stat";
        let response: StatResponse = self
            .unary("stat a file of", procedure, &request, Idempotency::Safe)
            .await?;
        Ok(response.entry)
    }

    /// Whether `path` exists.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// assert!(envd.exists("/etc/hosts").await?);
    /// # Ok(()) });
    /// ```
    pub async fn exists(&self, path: &str) -> Result<bool, Error> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists the entries of a directory, and of its subdirectories down to `depth` levels; 0 and 1
    /// are the directory alone.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// for entry in envd.list_dir("/app", 1).await? {
    ///     println!("{} {}", entry.permissions, entry.path);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn list_dir(&self, path: &str, depth: u32) -> Result<Vec<FileInfo>, Error> {
        let request = json!({ "path": path, "depth": depth.max(1) });
        let procedure = "/filesystem.Filesystem/ListDir";
        let response: ListDirResponse = self
            .unary(
                "list a directory of",
                procedure,
                &request,
                Idempotency::Safe,
            )
            .await?;
        Ok(response.entries)
    }

    /// Creates a directory and its parents. Returns `false` if the directory exists already.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.make_dir("/app/data").await?;
    /// # Ok(()) });
    /// ```
    pub async fn make_dir(&self, path: &str) -> Result<bool, Error> {
        let request = json!({ "path": path });
        let procedure = "/filesystem.Filesystem/MakeDir";
        let created = self
            .unary::<Value>(
                "make a directory in",
                procedure,
                &request,
                Idempotency::Safe,
            )
            .await;
        match created {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves a file or directory, and returns its new metadata.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.rename("/app/new.txt", "/app/old.txt").await?;
    /// # Ok(()) });
    /// ```
    pub async fn rename(&self, from: &str, to: &str) -> Result<FileInfo, Error> {
        let request = json!({ "source": from, "destination": to });
        let procedure = "/filesystem.Filesystem/Move";
        let response: StatResponse = self
            .unary("move a file of", procedure, &request, Idempotency::IfUnsent)
            .await?;
        Ok(response.entry)
    }

    /// Removes a file, or a directory with its contents.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause; its status is 404 if
    /// the file or directory does not exist.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.remove("/app/old.txt").await?;
    /// # Ok(()) });
    /// ```
    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        let request = json!({ "path": path });
        let procedure = "/filesystem.Filesystem/Remove";
        let _: Value = self
            .unary(
                "remove a file of",
                procedure,
                &request,
                Idempotency::IfUnsent,
            )
            .await?;
        Ok(())
    }

    /// Watches a directory, and its subdirectories if `recursive`. Returns once the directory is
    /// watched, so that no later change is missed.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause, and
    /// [`Error::Protocol`] if the stream ends before its start message.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// let mut events = envd.watch_dir("/app/out", false).await?;
    /// while let Some(event) = events.next().await? {
    ///     println!("{:?} {}", event.kind, event.name);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn watch_dir(&self, path: &str, recursive: bool) -> Result<DirectoryEvents, Error> {
        let request = json!({ "path": path, "recursive": recursive });
        let procedure = "/filesystem.Filesystem/WatchDir";
        let messages = self
            .stream("watch a directory of", procedure, &request)
            .await?;
        DirectoryEvents::start(messages).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_be_strings_numbers_or_missing() {
        for (json, size) in [
            (json!({"size": "12", "type": "FILE_TYPE_DIRECTORY"}), 12),
            (json!({"size": 12}), 12),
            (json!({"size": null}), 0),
            (json!({}), 0),
        ] {
            let info: FileInfo = serde_json::from_value(json).expect("well formed");
            assert_eq!(info.size, size);
        }
        assert!(serde_json::from_value::<FileInfo>(json!({"size": "much"})).is_err());
    }
}
