//! Size limits of responses.

use ppio_agent_protocol::ByteSize;

use crate::error::Error;

/// The settings that change the limit of an agent's responses, for error texts.
const SETTING: &str = "`ClientConfig::max_response_size` or PPIO_MAX_RESPONSE_SIZE";

/// The size limit of one response, item or message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit {
    size: ByteSize,
    setting: Option<&'static str>,
}

impl BodyLimit {
    /// Creates the configured limit of data that agents and sandboxes send.
    pub(crate) fn configured(size: ByteSize) -> Self {
        Self {
            size,
            setting: Some(SETTING),
        }
    }

    /// Creates a limit in bytes that cannot be configured.
    pub(crate) fn fixed(bytes: usize) -> Self {
        Self {
            size: ByteSize::new(bytes as u64),
            setting: None,
        }
    }

    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.size.bytes()).unwrap_or(usize::MAX)
    }

    /// Returns the error for `what`, which exceeds the limit.
    pub(crate) fn exceeded(self, operation: &str, what: impl Into<String>) -> Error {
        Error::ResponseTooLarge {
            operation: operation.to_owned(),
            what: what.into(),
            limit: self.size,
            setting: self.setting,
        }
    }
}
