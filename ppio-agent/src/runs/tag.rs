//! The tag by which a protocol finds its runs.

use serde::{Deserialize, Serialize};

/// The tag by which a protocol finds its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunTag {
    /// The name of the protocol.
    pub(crate) protocol: String,
    /// The id of the chat that the run belongs to, if the protocol has one.
    pub(crate) thread: Option<String>,
    /// What the protocol needs to answer later requests about the run.
    pub(crate) data: String,
}

impl RunTag {
    /// Returns the number of bytes that the tag holds in memory.
    pub(super) fn size(&self) -> usize {
        self.protocol.len() + self.thread.as_ref().map_or(0, String::len) + self.data.len()
    }
}
