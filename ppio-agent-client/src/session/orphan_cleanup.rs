//! Finds and kills a sandbox whose creation failed after the request may have arrived.
//!
//! If the connection breaks during `POST /sandboxes`, the sandbox may exist. A platform that
//! honours idempotency keys is sent the request again. For any other platform, each sandbox is
//! created with its idempotency key in its metadata, and is found by that key.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::core::{ClientCore, random};
use crate::error::Error;
use crate::platform::{ControlPlane, NewSandbox, SandboxFilter};

/// The metadata key under which the idempotency key is stored.
pub(super) const CREATE_KEY: &str = "ppio-client-create-id";

/// The pause before each lookup after the first: the platform may still be creating the sandbox.
const LOOKUP_DELAYS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// The time from the failure to the last lookup if the client is being closed: a process that exits
/// should not wait for all lookups.
const LAST_LOOKUP: Duration = Duration::from_secs(1);

/// Returns a new idempotency key: 128 random bits in hexadecimal.
pub(super) fn idempotency_key() -> String {
    random::hex()
}

/// Whether a sandbox may exist after its creation failed with this error.
pub(super) fn may_exist(error: &Error) -> bool {
    match error {
        Error::Network { source, .. } => source.may_have_arrived(),
        // `ResponseTooLarge` and `Protocol`: a successful response was too large or invalid.
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
    let failed_at = Instant::now();
    let client = Arc::clone(core);
    core.background.spawn(&Handle::current(), async move {
        if kill_all(&client.platform, &filter, &key).await {
            return;
        }
        for delay in LOOKUP_DELAYS {
            let is_last = tokio::select! {
                () = sleep(delay) => false,
                () = client.background.finishing() => true,
            };
            if is_last {
                sleep_until(failed_at + LAST_LOOKUP).await;
            }
            let found = kill_all(&client.platform, &filter, &key).await;
            if found || is_last {
                return;
            }
        }
    });
}

/// Kills the sandboxes that were created with this key. Returns whether there was such a sandbox.
async fn kill_all(platform: &ControlPlane, filter: &SandboxFilter, key: &str) -> bool {
    let found = match platform.list_sandboxes(filter).await {
        Ok(found) => found,
        Err(error) => {
            let error = error.report();
            tracing::debug!(%error, "cannot look for the sandbox of a failed creation");
            return false;
        }
    };
    let mut any = false;
    for info in found {
        // A platform that ignores the filter returns sandboxes with other keys too.
        if info
            .metadata
            .get(CREATE_KEY)
            .is_none_or(|found| found != key)
        {
            continue;
        }
        any = true;
        let sandbox_id = info.sandbox_id;
        if let Err(error) = platform.kill_sandbox(&sandbox_id).await {
            let error = error.report();
            tracing::warn!(
                %sandbox_id, %error,
                "cannot kill a sandbox; the sandbox runs until it expires"
            );
        }
    }
    any
}
