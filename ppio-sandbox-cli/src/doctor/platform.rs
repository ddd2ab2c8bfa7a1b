//! The key, and the platform that it opens.

use std::time::Duration;

use tokio::time::timeout;

use super::{Check, Status};
use crate::arguments::PlatformArguments;
use crate::error::{Failure, Fault};
use crate::platform::{self, Platform};

/// How long the platform may take to answer, all tries included.
const ANSWER: Duration = Duration::from_secs(20);

pub(super) async fn checks(arguments: &PlatformArguments) -> Vec<Check> {
    let key = match platform::key() {
        _ if arguments.local => None,
        Some(name) => Some(Check::ok("key", format!("{name} is set"))),
        None if arguments.remote => None,
        None => Some(Check::ok(
            "key",
            "PPIO_API_KEY is not set, the local platform is used",
        )),
    };
    let platform = match Platform::choose(arguments) {
        Ok(platform) => reach(&platform).await,
        // Nobody said that one has to run now.
        Err(failure) if failure.fault == Fault::Platform && !arguments.local => {
            Check::of("platform", Status::Warn, failure)
        }
        Err(failure) => Check::of("platform", Status::Fail, failure),
    };
    key.into_iter().chain([platform]).collect()
}

/// Whether it answers, and takes the key.
async fn reach(platform: &Platform) -> Check {
    let templates = platform.client().platform().list_templates(None);
    match timeout(ANSWER, templates).await {
        Ok(Ok(_)) => Check::ok(
            "platform",
            format!("{} answers and accepts the key", platform.name()),
        ),
        Ok(Err(error)) => {
            let what = format!("cannot use {}", platform.name());
            Check::of("platform", Status::Fail, platform.failure(what, &error))
        }
        Err(_) => {
            let what = format!(
                "{} does not answer within {} s",
                platform.name(),
                ANSWER.as_secs()
            );
            Check::of(
                "platform",
                Status::Fail,
                Failure::new(Fault::Platform, what),
            )
        }
    }
}
