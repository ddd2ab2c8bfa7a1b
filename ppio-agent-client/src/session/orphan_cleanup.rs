//! Finding and ending a sandbox of which only this is known: that it may exist.
//!
//! A connection that breaks while `POST /sandboxes` is answered leaves that open. Every sandbox is
//! therefore made with a mark of its own in its metadata, and is looked for by it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::{NewSandbox, SandboxFilter};

/// The metadata key of the mark.
pub(super) const CREATE_KEY: &str = "ppio-client-create-id";

/// When to look, after the failure: the platform may still be at it.
const LOOKS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// 128 random bits.
pub(crate) fn unique() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// Whether a creation that failed like this can have made a sandbox.
fn may_have_made_one(error: &Error) -> bool {
    match error {
        Error::Network { source, .. } => source.may_have_arrived(),
        Error::Timeout { .. } | Error::ResponseTooLarge { .. } => true,
        // A failure in the middle of it, or a success whose answer made no sense.
        Error::Runtime { status, .. } => status.is_none_or(|status| status >= 500 && status != 503),
        _ => false,
    }
}

/// Ends, in the background, what a failed creation may have made.
pub(super) fn reclaim(core: &Arc<ClientCore>, request: &NewSandbox, error: &Error) {
    let Some(mark) = request
        .metadata
        .get(CREATE_KEY)
        .filter(|_| may_have_made_one(error))
    else {
        return;
    };
    let filter = SandboxFilter {
        metadata: [(CREATE_KEY.to_owned(), mark.clone())].into(),
        ..SandboxFilter::default()
    };
    let platform = core.platform.clone();
    core.background.spawn(&Handle::current(), async move {
        for pause in LOOKS {
            tokio::time::sleep(pause).await;
            match platform.list_sandboxes(&filter).await {
                Ok(found) => {
                    // A platform that ignores the filter must not cost anyone a sandbox.
                    let (key, mark) = (CREATE_KEY, &filter.metadata[CREATE_KEY]);
                    let ours = found.into_iter().filter(|info| info.metadata.get(key) == Some(mark));
                    let mut any = false;
                    for info in ours {
                        any = true;
                        let sandbox_id = info.sandbox_id;
                        if let Err(error) = platform.kill_sandbox(&sandbox_id).await {
                            tracing::warn!(%sandbox_id, %error, "a sandbox could not be ended, it lives until its time is up");
                        }
                    }
                    if any {
                        return;
                    }
                }
                Err(error) => tracing::debug!(%error, "cannot look for the sandbox of a failed creation"),
            }
        }
    });
}
