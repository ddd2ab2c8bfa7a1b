//! What happens in a directory.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::messages::Messages;
use crate::error::Error;

/// One change in a watched directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DirectoryEvent {
    /// The path of what changed, relative to the directory.
    #[serde(default)]
    pub name: String,
    /// What happened to it.
    #[serde(rename = "type", default)]
    pub kind: ChangeKind,
}

/// What can happen to a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It was made.
    Create,
    /// It was written to.
    Write,
    /// It was removed.
    Remove,
    /// It was moved.
    Rename,
    /// Its permissions were changed.
    Chmod,
    /// Something this version does not know, or that was not said.
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

/// The changes in a directory. Dropping it ends the watch.
#[derive(Debug)]
pub struct DirectoryEvents {
    messages: Messages,
}

#[derive(Deserialize)]
struct Message {
    start: Option<Value>,
    filesystem: Option<DirectoryEvent>,
}

impl DirectoryEvents {
    /// Waits until the watch is set up.
    pub(super) async fn start(mut messages: Messages) -> Result<Self, Error> {
        while let Some(message) = messages.next::<Message>().await? {
            if message.start.is_some() {
                return Ok(Self { messages });
            }
        }
        Err(messages.protocol("the watch ended before it began"))
    }

    /// The next change; `None` once the directory is not watched any more. Cancel safe.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let envd = integration_tests::envd(&client).await?;
    /// # let mut events = envd.watch_dir("/app", false).await?;
    /// while let Some(event) = events.next().await? {
    ///     println!("{:?} {}", event.kind, event.name);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn next(&mut self) -> Result<Option<DirectoryEvent>, Error> {
        while let Some(message) = self.messages.next::<Message>().await? {
            // Everything else keeps the connection alive.
            if let Some(event) = message.filesystem {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}
