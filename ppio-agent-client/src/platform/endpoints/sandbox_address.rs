//! The address of a sandbox.

use crate::error::Error;
use crate::platform::identifiers::{is_domain, sandbox_id};

/// The address of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxAddress {
    /// The sandbox's id.
    pub sandbox_id: String,
    /// The domain that the platform sent for the sandbox; `None`: the client's.
    pub domain: Option<String>,
}

impl SandboxAddress {
    /// Returns why the address is invalid, or `None` if it is valid. Responses of the control plane
    /// are checked when they are read; this check is for addresses that callers construct.
    pub(crate) fn validation_error(&self) -> Option<String> {
        if let Err(Error::Validation { message, .. }) = sandbox_id(&self.sandbox_id) {
            return Some(message);
        }
        let domain = self.domain.as_deref()?;
        (!is_domain(domain)).then(|| format!("{domain:?} is not a host name with an optional port"))
    }
}
