//! Finds and kills a sandbox whose creation failed after the request may have arrived.
//!
//! If the connection breaks during `POST /sandboxes`, the sandbox may exist. Each one is therefore
//! created with an idempotency key in its metadata, and is found by it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::{NewSandbox, SandboxFilter};

/// The metadata key of the idempotency key.
pub(super) const CREATE_KEY: &str = "ppio-client-create-id";

/// The pauses before each lookup: the platform may still be creating the sandbox.
const LOOKUP_DELAYS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// 128 random bits in hexadecimal.
pub(super) fn idempotency_key() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// Whether a sandbox may exist after its creation failed with this error.
fn may_exist(error: &Error) -> bool {
    match error {
        Error::Network { source, .. } => source.may_have_arrived(),
        // A response of success was too large, or not as expected.
        Error::Timeout { .. } | Error::ResponseTooLarge { .. } | Error::Protocol { .. } => true,
        Error::Runtime { status, .. } => {
            status.is_some_and(|status| status >= 500 && status != 503)
        }
        _ => false,
    }
}

/// Kills, in the background, the sandbox that a failed creation may have left.
pub(super) fn kill_orphan(core: &Arc<ClientCore>, request: &NewSandbox, error: &Error) {
    let Some(key) = request
        .metadata
        .get(CREATE_KEY)
        .filter(|_| may_exist(error))
    else {
        return;
    };
    let key = key.clone();
    let filter = SandboxFilter {
        metadata: [(CREATE_KEY.to_owned(), key.clone())].into(),
        ..SandboxFilter::default()
    };
    let platform = core.platform.clone();
    core.background.spawn(&Handle::current(), async move {
        for delay in LOOKUP_DELAYS {
            tokio::time::sleep(delay).await;
            let found = match platform.list_sandboxes(&filter).await {
                Ok(found) => found,
                Err(error) => {
                    let error = error.report();
                    tracing::debug!(%error, "cannot look for the sandbox of a failed creation");
                    continue;
                }
            };
            let mut killed = false;
            for info in found {
                // A platform that ignores the filter returns the sandboxes of others too.
                if info.metadata.get(CREATE_KEY) != Some(&key) {
                    continue;
                }
                killed = true;
                let sandbox_id = info.sandbox_id;
                if let Err(error) = platform.kill_sandbox(&sandbox_id).await {
                    let error = error.report();
                    tracing::warn!(
                        %sandbox_id, %error,
                        "cannot kill a sandbox, it lives until it expires"
                    );
                }
            }
            if killed {
                return;
            }
        }
    });
}
