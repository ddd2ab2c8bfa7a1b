//! Changes in a directory.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::messages::ConnectStream;
use crate::error::Error;

/// A change in a watched directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DirectoryEvent {
    /// The path relative to the directory.
    #[serde(default)]
    pub name: String,
    /// The kind of the change.
    #[serde(rename = "type", default)]
    pub kind: ChangeKind,
}

/// The kind of a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The file or directory was created.
    Create,
    /// The file was written to.
    Write,
    /// The file or directory was removed.
    Remove,
    /// The file or directory was moved.
    Rename,
    /// The permissions of the file or directory were changed.
    Chmod,
    /// A change that this version does not define.
    #[default]
    Other,
}

impl<'de> Deserialize<'de> for ChangeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "EVENT_TYPE_CREATE" => Self::Create,
            "EVENT_TYPE_WRITE" => Self::Write,
            "EVENT_TYPE_REMOVE" => Self::Remove,
            "EVENT_TYPE_RENAME" => Self::Rename,
            "EVENT_TYPE_CHMOD" => Self::Chmod,
            _ => Self::Other,
        })
    }
}

/// The changes in a watched directory. Dropping this value ends the watch.
#[derive(Debug)]
pub struct DirectoryEvents {
    messages: ConnectStream,
}

#[derive(Deserialize)]
struct DirectoryMessage {
    start: Option<Value>,
    filesystem: Option<DirectoryEvent>,
}

impl DirectoryEvents {
    /// Waits until the directory is watched.
    pub(super) async fn start(mut messages: ConnectStream) -> Result<Self, Error> {
        while let Some(message) = messages.next::<DirectoryMessage>().await? {
            if message.start.is_some() {
                return Ok(Self { messages });
            }
        }
        Err(messages.protocol("the stream ended before its start message"))
    }

    /// Returns the next change, or `None` when the watch has ended. Cancel safe.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// # let mut events = envd.watch_dir("/app", false).await?;
    /// while let Some(event) = events.next().await? {
    ///     println!("{:?} {}", event.kind, event.name);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn next(&mut self) -> Result<Option<DirectoryEvent>, Error> {
        while let Some(message) = self.messages.next::<DirectoryMessage>().await? {
            // Other messages keep the connection alive.
            if let Some(event) = message.filesystem {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}
