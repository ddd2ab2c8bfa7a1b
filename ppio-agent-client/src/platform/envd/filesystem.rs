//! Directories and the facts about files in the sandbox.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::super::sandbox::null_is_empty;
use super::daemon::Envd;
use super::directory_events::DirectoryEvents;
use crate::error::Error;
use crate::transport::Idempotency;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FileKind {
    /// A file with contents.
    #[default]
    File,
    /// A directory.
    Directory,
    /// A link to another path.
    Symlink,
    /// A word this version does not know.
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

/// The facts about a file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FileInfo {
    /// The last part of its path.
    pub name: String,
    /// Its whole path.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// In bytes.
    #[serde(deserialize_with = "number")]
    pub size: u64,
    /// Permission bits, as `chmod` takes them.
    pub mode: u32,
    /// The same as `ls -l` shows them.
    pub permissions: String,
    /// The user it belongs to.
    pub owner: String,
    /// The group it belongs to.
    pub group: String,
    /// When it was last changed, RFC 3339.
    pub modified_time: Option<String>,
    /// Where a link leads.
    pub symlink_target: Option<String>,
}

/// Proto3 JSON writes 64-bit numbers as text, so that JavaScript does not round them.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => text.parse().map_err(serde::de::Error::custom),
        Value::Null => Ok(0),
        other => u64::deserialize(other).map_err(serde::de::Error::custom),
    }
}

#[derive(Deserialize)]
struct EntryAnswer {
    #[serde(default)]
    entry: FileInfo,
}

#[derive(Deserialize)]
struct ListAnswer {
    #[serde(default, deserialize_with = "null_is_empty")]
    entries: Vec<FileInfo>,
}

impl Envd {
    /// The facts about what stands at `path`.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`] with status 404 if there is nothing.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
    /// println!("{} bytes", envd.stat("/etc/hosts").await?.size);
    /// # Ok(()) });
    /// ```
    pub async fn stat(&self, path: &str) -> Result<FileInfo, Error> {
        let request = json!({ "path": path });
        let procedure = "/filesystem.Filesystem/Stat";
        let answer: EntryAnswer = self
            .unary("look at a file of", procedure, &request, Idempotency::Safe)
            .await?;
        Ok(answer.entry)
    }

    /// Whether anything stands at `path`.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
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

    /// What is in a directory, and in those below it down to `depth` levels; one level is the
    /// directory's own entries.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
    /// for entry in envd.list_dir("/app", 1).await? {
    ///     println!("{} {}", entry.permissions, entry.path);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn list_dir(&self, path: &str, depth: u32) -> Result<Vec<FileInfo>, Error> {
        let request = json!({ "path": path, "depth": depth.max(1) });
        let procedure = "/filesystem.Filesystem/ListDir";
        let answer: ListAnswer = self
            .unary(
                "list a directory of",
                procedure,
                &request,
                Idempotency::Safe,
            )
            .await?;
        Ok(answer.entries)
    }

    /// Makes a directory, and those on the way to it. `false` if it is there already.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
    /// envd.make_dir("/app/data").await?;
    /// # Ok(()) });
    /// ```
    pub async fn make_dir(&self, path: &str) -> Result<bool, Error> {
        let request = json!({ "path": path });
        let procedure = "/filesystem.Filesystem/MakeDir";
        let made = self
            .unary::<Value>(
                "make a directory in",
                procedure,
                &request,
                Idempotency::Safe,
            )
            .await;
        match made {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves a file or directory, and returns the facts about it at its new place.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
    /// envd.rename("/app/new.txt", "/app/old.txt").await?;
    /// # Ok(()) });
    /// ```
    pub async fn rename(&self, from: &str, to: &str) -> Result<FileInfo, Error> {
        let request = json!({ "source": from, "destination": to });
        let procedure = "/filesystem.Filesystem/Move";
        let answer: EntryAnswer = self
            .unary("move a file of", procedure, &request, Idempotency::IfUnsent)
            .await?;
        Ok(answer.entry)
    }

    /// Removes a file, or a directory with all that is in it.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`] with status 404 if there is nothing to remove.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
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

    /// Watches a directory, and with `recursive` all below it. Returns once the watch is set up, so
    /// that no change after it is missed.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
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
    fn sizes_are_read_as_text_and_as_numbers_and_may_be_missing() {
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
