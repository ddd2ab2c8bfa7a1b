//! Which platform a command talks to, and what its errors mean for the person at the keyboard.

pub(crate) mod deployed_agent;
pub(crate) mod local;

use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, NetworkErrorKind};
use ppio_sandbox_local::RunningPlatform;

use crate::arguments::PlatformArguments;
use crate::error::{Failure, Fault};
use crate::terminal::Terminal;

/// The key of PPIO's cloud, which is used by default where it is set.
const KEY: &str = "PPIO_API_KEY";
/// The key of an E2B platform, which is used where `--remote` says so and [`KEY`] is not set.
const E2B_KEY: &str = "E2B_API_KEY";
/// How long one call of the control plane may take.
const CALL: Duration = Duration::from_secs(60);

/// A platform to talk to.
#[derive(Debug)]
pub(crate) struct Platform {
    client: AgentRuntimeClient,
    place: Place,
    /// Nobody named it: it is what is used without a key.
    by_default: bool,
}

#[derive(Debug)]
enum Place {
    /// Found by its home.
    Local(RunningPlatform),
    /// Whatever the environment names.
    Remote {
        address: Option<String>,
        key: &'static str,
    },
}

impl Platform {
    /// The platform that the flags name; without a flag PPIO's where the environment holds a key of it, else the
    /// local one. A key of another vendor does not make commands leave this machine.
    pub(crate) fn choose(arguments: &PlatformArguments) -> Result<Self, Failure> {
        if !Self::is_meant_to_be_local(arguments) {
            return Self::remote();
        }
        let platform = Self::at(local::needed()?)?;
        Ok(Self {
            by_default: !arguments.local,
            ..platform
        })
    }

    /// Whether the flags and the environment mean the platform on this machine.
    pub(crate) fn is_meant_to_be_local(arguments: &PlatformArguments) -> bool {
        arguments.local || !(arguments.remote || key().is_some())
    }

    /// The one on this machine; where none runs, it is started.
    pub(crate) async fn started(
        arguments: &PlatformArguments,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let platform = Self::at(local::running_or_started(terminal).await?)?;
        Ok(Self {
            by_default: !arguments.local,
            ..platform
        })
    }

    /// This one on this machine.
    pub(crate) fn at(running: RunningPlatform) -> Result<Self, Failure> {
        let variables = running.environment();
        let variable = |name: &str| variables.get(name).cloned();
        let config = ClientConfig {
            base_url: Some(running.url().to_owned()),
            domain: variable("PPIO_DOMAIN"),
            sandbox_url: variable("PPIO_SANDBOX_URL"),
            debug: Some(false),
            send_api_key_to_agents: Some(false),
            timeout: CALL,
            ..ClientConfig::default()
        };
        let client = AgentRuntimeClient::builder()
            .config(config)
            .api_key(running.api_key())
            // Else the environment's would go out.
            .access_token(running.api_key())
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            client,
            place: Place::Local(running),
            by_default: false,
        })
    }

    fn remote() -> Result<Self, Failure> {
        let Some(key) = remote_key(value_of) else {
            return Err(Failure::new(
                Fault::Usage,
                "no API key: PPIO_API_KEY is not set",
            )
            .next("set PPIO_API_KEY to your key, or use the platform on this machine with `--local`"));
        };
        let config = ClientConfig {
            timeout: CALL,
            ..ClientConfig::default()
        };
        let client = AgentRuntimeClient::builder()
            .config(config)
            .build()
            .map_err(|error| unusable(&error))?;
        let address = address_beside(key, value_of);
        Ok(Self {
            client,
            place: Place::Remote { address, key },
            by_default: false,
        })
    }

    pub(crate) fn client(&self) -> &AgentRuntimeClient {
        &self.client
    }

    /// Whether it was found on this machine by its home.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }

    /// Whether a local platform has ended meanwhile, and everything on it.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.place {
            Place::Local(running) => !running.is_running(),
            Place::Remote { .. } => false,
        }
    }

    /// What to call it in a sentence.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Local(running) => format!("the local platform at {}", running.url()),
            Place::Remote {
                address: Some(address),
                ..
            } => format!("the platform at {address}"),
            Place::Remote { key: E2B_KEY, .. } => "the E2B cloud".to_owned(),
            Place::Remote { .. } => "the PPIO cloud".to_owned(),
        }
    }

    /// What to call it where its address is of no interest.
    pub(crate) fn short_name(&self) -> String {
        match &self.place {
            Place::Local(_) => "the local platform".to_owned(),
            Place::Remote { .. } => self.name(),
        }
    }

    /// Why it is this one where nobody named it, as the end of a sentence.
    pub(crate) fn why(&self) -> &'static str {
        if self.by_default {
            ", as no PPIO_API_KEY is set"
        } else {
            ""
        }
    }

    /// What failed, as the client's error tells it: whose fault, why, and what to do.
    pub(crate) fn failure(&self, what: impl Into<String>, error: &Error) -> Failure {
        let mut failure = Failure::new(fault_of(error), what).because(error);
        failure.code = error.code();
        if let Error::Invocation {
            error_type,
            request_id,
            ..
        } = error
        {
            if let Some(error_type) = error_type {
                failure = failure.fact("error_type", error_type);
            }
            if let Some(id) = request_id {
                failure = failure.fact("request_id", id);
            }
        }
        match self.remedy(error) {
            Some(remedy) => failure.next(remedy),
            None => failure,
        }
    }

    fn remedy(&self, error: &Error) -> Option<String> {
        match error {
            Error::Authentication { .. } => Some(match &self.place {
                Place::Local(running) => format!(
                    "the key in {} is not the one that it was started with; restart it with `ppio-sandbox-cli local down` and `local up`",
                    running.home().display()
                ),
                Place::Remote { key, .. } => format!(
                    "check {key}: it must be a key of {}; `--local` uses the platform on this machine",
                    self.name()
                ),
            }),
            Error::TemplateNotFound { .. } => Some(format!(
                "this was {}{}: `ppio-sandbox-cli agent list` shows its agents; deploy with `agent deploy`, or name the other platform with `{}`",
                self.short_name(),
                self.why(),
                if self.is_local() { "--remote" } else { "--local" }
            )),
            Error::SessionNotFound { .. } => Some(
                "`ppio-sandbox-cli agent status` shows the open sessions; `agent invoke --keep` opens one".to_owned(),
            ),
            Error::Network { source, .. } if source.kind() == NetworkErrorKind::Connect => {
                Some(match &self.place {
                    Place::Local(_) => {
                        "`ppio-sandbox-cli local status` tells whether it runs".to_owned()
                    }
                    Place::Remote { key: E2B_KEY, .. } => {
                        "check the network, E2B_API_URL and E2B_DOMAIN".to_owned()
                    }
                    Place::Remote { .. } => {
                        "check the network, PPIO_API_URL and PPIO_DOMAIN".to_owned()
                    }
                })
            }
            Error::RateLimit { retry_after, .. } => Some(match retry_after {
                Some(wait) => format!("try again in {} s", wait.as_secs().max(1)),
                None => "wait a moment and try again".to_owned(),
            }),
            Error::QuotaExceeded { .. } => Some(
                "close sessions with `ppio-sandbox-cli agent stop`, or ask for a larger quota".to_owned(),
            ),
            Error::SandboxCreation { source, .. } | Error::SandboxOperation { source, .. } => {
                self.remedy(source)
            }
            _ => None,
        }
    }
}

fn unusable(error: &Error) -> Failure {
    Failure::new(Fault::Usage, "the settings of the platform cannot be used")
        .because(error)
        .next("correct the variable, or unset it")
}

fn fault_of(error: &Error) -> Fault {
    match error {
        Error::Validation { .. } => Fault::Usage,
        // Of a platform's own answers the limit is fixed.
        Error::Invocation { .. }
        | Error::StreamIdle { .. }
        | Error::ResponseTooLarge {
            setting: Some(_), ..
        } => Fault::Agent,
        // A sandbox that came about and was of no use: its agent did not start.
        Error::SandboxCreation {
            sandbox_id: Some(_),
            source,
            ..
        } if matches!(
            **source,
            Error::Runtime { .. } | Error::Timeout { .. } | Error::Invocation { .. }
        ) =>
        {
            Fault::Agent
        }
        Error::SandboxCreation { source, .. } | Error::SandboxOperation { source, .. } => {
            fault_of(source)
        }
        _ => Fault::Platform,
    }
}

fn value_of(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// The variable that makes commands use the cloud by default, if it is set.
pub(crate) fn key() -> Option<&'static str> {
    value_of(KEY).map(|_| KEY)
}

/// The variable whose key is used with `--remote`, as the client reads them.
fn remote_key(lookup: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    [KEY, E2B_KEY]
        .into_iter()
        .find(|name| lookup(name).is_some())
}

/// The address of the same vendor as the key.
fn address_beside(key: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    let vendor = key.trim_end_matches("API_KEY");
    ["API_URL", "DOMAIN"]
        .into_iter()
        .find_map(|name| lookup(&format!("{vendor}{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_used_with_the_address_of_its_vendor() {
        let chosen = |variables: &[(&str, &str)]| {
            let lookup = |name: &str| {
                let found = variables.iter().find(|(key, _)| *key == name)?;
                Some(found.1.to_owned())
            };
            let key = remote_key(lookup)?;
            Some((key, address_beside(key, lookup)))
        };
        assert_eq!(chosen(&[("E2B_DOMAIN", "e2b.example")]), None);
        let e2b = [
            ("E2B_API_KEY", "e2b"),
            ("PPIO_API_URL", "http://localhost:3000"),
        ];
        assert_eq!(chosen(&e2b), Some((E2B_KEY, None)));
        let both = [
            ("E2B_API_KEY", "e2b"),
            ("E2B_DOMAIN", "e2b.example"),
            ("PPIO_API_KEY", "ppio"),
        ];
        assert_eq!(chosen(&both), Some((KEY, None)));
        let beside = Some("e2b.example".to_owned());
        assert_eq!(chosen(&both[..2]), Some((E2B_KEY, beside)));
    }
}
