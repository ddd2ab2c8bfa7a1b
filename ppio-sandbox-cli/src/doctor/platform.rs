//! Checks of the API key and of the platform.

use std::time::Duration;

use tokio::time::timeout;

use super::{Check, CheckStatus};
use crate::arguments::PlatformArguments;
use crate::error::{CliError, ExitKind};
use crate::platform::{self, Platform};

/// How long the platform may take to answer, retries included.
const REACH_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn checks(arguments: &PlatformArguments) -> Vec<Check> {
    let key = match platform::default_key() {
        _ if arguments.local => None,
        Some(name) => Some(Check::ok("key", format!("{name} is set"))),
        None if arguments.remote => None,
        None => Some(Check::ok(
            "key",
            "PPIO_API_KEY is not set: the local platform is used",
        )),
    };
    let platform = match Platform::choose(arguments) {
        Ok(platform) => reach(&platform).await,
        // It is started when it is needed.
        Err(error) if error.kind == ExitKind::Platform && !arguments.local => {
            Check::from_error("platform", CheckStatus::Warn, error)
        }
        Err(error) => Check::from_error("platform", CheckStatus::Fail, error),
    };
    key.into_iter().chain([platform]).collect()
}

/// Whether it answers and accepts the API key.
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
