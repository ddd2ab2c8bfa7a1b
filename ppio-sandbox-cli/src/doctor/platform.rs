//! Checks of the API key and of the platform.

use std::time::Duration;

use tokio::time::timeout;

use super::{Check, CheckStatus};
use crate::arguments::PlatformArguments;
use crate::error::{CliError, ExitKind};
use crate::platform::{self, Platform};

/// The longest time that the platform may take to answer, retries included.
const REACH_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn checks(arguments: &PlatformArguments) -> Vec<Check> {
    let used = match arguments {
        PlatformArguments { local: true, .. } => None,
        PlatformArguments { remote: true, .. } => platform::key_of_remote(),
        _ => platform::default_key(),
    };
    let key = match (used, platform::unused_key(arguments)) {
        (Some(name), _) => Some(format!("{name} is set")),
        (None, Some(name)) => Some(format!(
            "PPIO_API_KEY is not set: the local platform is used, and {name} only with `--remote`"
        )),
        // With `--remote`, the check of the platform reports a missing key; `--local` needs no key.
        (None, None) if arguments.local || arguments.remote => None,
        (None, None) => Some("PPIO_API_KEY is not set: the local platform is used".to_owned()),
    };
    let key = key.map(|message| Check::ok("key", message));
    let platform = match Platform::choose(arguments) {
        Ok(platform) => reach(&platform).await,
        // The local platform is started when it is needed.
        Err(error) if error.kind == ExitKind::Platform && !arguments.local => {
            Check::from_error("platform", CheckStatus::Warn, error)
        }
        Err(error) => Check::from_error("platform", CheckStatus::Fail, error),
    };
    key.into_iter().chain([platform]).collect()
}

/// Checks whether the platform answers and accepts the API key.
async fn reach(platform: &Platform) -> Check {
    let templates = platform.client().platform().list_templates(None);
    match timeout(REACH_TIMEOUT, templates).await {
        Ok(Ok(_)) => Check::ok(
            "platform",
            format!("{} answers and accepts the API key", platform.name()),
        ),
        Ok(Err(error)) => {
            let message = format!("cannot use {}", platform.name());
            Check::from_error(
                "platform",
                CheckStatus::Fail,
                platform.error(message, &error),
            )
        }
        Err(_) => {
            let message = format!(
                "{} does not answer within {} s",
                platform.name(),
                REACH_TIMEOUT.as_secs()
            );
            Check::from_error(
                "platform",
                CheckStatus::Fail,
                CliError::new(ExitKind::Platform, message),
            )
        }
    }
}
