//! The platform that a command uses: PPIO's cloud, another remote platform, or the local platform.

pub(crate) mod deployed_agent;
pub(crate) mod local;
mod print_error;
pub(crate) mod session_of_run;

use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, NetworkErrorKind};
use ppio_agent_protocol::environment;
use ppio_sandbox_local::RunningPlatform;

pub(crate) use self::print_error::PrintError;

use crate::arguments::PlatformArguments;
use crate::error::{CliError, ExitKind};
use crate::terminal::Terminal;

/// The variable with the API key of PPIO's cloud. If it is set, the cloud is the default.
const PPIO_KEY: &str = "PPIO_API_KEY";
/// The variable with the API key of an E2B platform, used with `--remote` if [`PPIO_KEY`] is not
/// set.
const E2B_KEY: &str = "E2B_API_KEY";
/// The variable with the API key of Novita's cloud, whose key no other platform accepts.
const NOVITA_KEY: &str = "NOVITA_API_KEY";
/// The longest time that one request to the control plane may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A platform with its client.
#[derive(Debug)]
pub(crate) struct Platform {
    client: AgentRuntimeClient,
    kind: PlatformKind,
    /// Whether the local platform was chosen because [`PPIO_KEY`] is not set.
    by_default: bool,
}

#[derive(Debug)]
enum PlatformKind {
    /// Found in the local platform's home folder.
    Local(RunningPlatform),
    /// Configured by environment variables.
    Remote {
        address: Option<String>,
        /// The variable with the API key.
        key: &'static str,
    },
}

impl Platform {
    /// Returns the platform of `--local` or `--remote`; without a flag, PPIO's cloud if its API key
    /// is set, otherwise the local platform. An API key of another vendor is used only with
    /// `--remote`.
    pub(crate) fn choose(arguments: &PlatformArguments) -> Result<Self, CliError> {
        if !Self::selects_local(arguments) {
            return Self::remote();
        }
        let running = local::require_running().map_err(|error| match unused_key(arguments) {
            Some(key) => error.help(format!(
                "run `ppio-sandbox-cli local up --detach`, set {PPIO_KEY} to use the \
                 PPIO cloud, or use {key} with `--remote`"
            )),
            None => error,
        })?;
        let platform = Self::at(running)?;
        Ok(Self {
            by_default: !arguments.local,
            ..platform
        })
    }

    /// Whether the flags and the environment select the local platform.
    pub(crate) fn selects_local(arguments: &PlatformArguments) -> bool {
        arguments.local || !(arguments.remote || default_key().is_some())
    }

    /// Returns the local platform, which is started if it is not running.
    pub(crate) async fn started(
        arguments: &PlatformArguments,
        terminal: &Terminal,
    ) -> Result<Self, CliError> {
        let platform = Self::at(local::running_or_started(terminal).await?)?;
        Ok(Self {
            by_default: !arguments.local,
            ..platform
        })
    }

    /// Creates the [`Platform`] of a local platform that is running.
    pub(crate) fn at(running: RunningPlatform) -> Result<Self, CliError> {
        let variables = running.environment();
        let variable = |name: &str| variables.get(name).cloned();
        let config = ClientConfig {
            base_url: Some(running.url().to_owned()),
            domain: variable("PPIO_DOMAIN"),
            sandbox_url: variable("PPIO_SANDBOX_URL"),
            debug: Some(false),
            send_api_key_to_agents: Some(false),
            timeout: CALL_TIMEOUT,
            ..ClientConfig::default()
        };
        let client = AgentRuntimeClient::builder()
            .config(config)
            .api_key(running.api_key())
            // Otherwise the client would read an access token from the environment.
            .access_token(running.api_key())
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            client,
            kind: PlatformKind::Local(running),
            by_default: false,
        })
    }

    fn remote() -> Result<Self, CliError> {
        let Some(key) = key_of_remote() else {
            let error = CliError::new(ExitKind::Usage, "no API key: PPIO_API_KEY is not set");
            let error = match environment::text(NOVITA_KEY) {
                Some(_) => error.cause(format!(
                    "{NOVITA_KEY} is a key of Novita, which this program does not use"
                )),
                None => error,
            };
            return Err(error.help(
                "set PPIO_API_KEY to your API key, or use the local platform with `--local`",
            ));
        };
        let config = ClientConfig {
            timeout: CALL_TIMEOUT,
            ..ClientConfig::default()
        };
        let client = AgentRuntimeClient::builder()
            .config(config)
            .build()
            .map_err(|error| unusable(&error))?;
        let address = address_for(key, environment::text);
        Ok(Self {
            client,
            kind: PlatformKind::Remote { address, key },
            by_default: false,
        })
    }

    pub(crate) fn client(&self) -> &AgentRuntimeClient {
        &self.client
    }

    /// Whether this is the platform on this machine.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.kind, PlatformKind::Local(_))
    }

    /// Whether this is a local platform that has ended, together with its sandboxes.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.kind {
            PlatformKind::Local(running) => !running.is_running(),
            PlatformKind::Remote { .. } => false,
        }
    }

    /// Returns the platform's name, for use in a sentence.
    pub(crate) fn name(&self) -> String {
        match &self.kind {
            PlatformKind::Local(running) => format!("the local platform at {}", running.url()),
            PlatformKind::Remote {
                address: Some(address),
                ..
            } => format!("the platform at {address}"),
            PlatformKind::Remote { key: E2B_KEY, .. } => "the E2B cloud".to_owned(),
            PlatformKind::Remote { .. } => "the PPIO cloud".to_owned(),
        }
    }

    /// Returns the platform's name without its address.
    pub(crate) fn short_name(&self) -> String {
        match &self.kind {
            PlatformKind::Local(_) => "the local platform".to_owned(),
            PlatformKind::Remote { .. } => self.name(),
        }
    }

    /// Returns the end of a sentence: why the platform was chosen, if it was chosen by default.
    pub(crate) fn why(&self) -> &'static str {
        if self.by_default {
            ", because PPIO_API_KEY is not set"
        } else {
            ""
        }
    }

    /// Converts an error of the client: its kind, causes, fields and help.
    pub(crate) fn error(&self, message: impl Into<String>, error: &Error) -> CliError {
        let mut converted = CliError::new(exit_kind_of(error), message).caused_by(error);
        converted.code = match error.root() {
            // The remedy for these errors is the same wherever they occur.
            root @ (Error::Authentication { .. }
            | Error::TemplateNotFound { .. }
            | Error::RateLimit { .. }
            | Error::QuotaExceeded { .. }) => root.code(),
            _ => error.code(),
        };
        if let Error::Invocation {
            error_type,
            request_id,
            ..
        } = error
        {
            if let Some(error_type) = error_type {
                converted = converted.field("error_type", error_type);
            }
            if let Some(id) = request_id {
                converted = converted.field("request_id", id);
            }
        }
        match self.help_for(error) {
            Some(help) => converted.help(help),
            None => converted,
        }
    }

    /// Converts an error of a call to an agent. Unlike the platform, an agent may check credentials
    /// of its own.
    pub(crate) fn agent_error(&self, message: impl Into<String>, error: &Error) -> CliError {
        let converted = self.error(message, error);
        match error {
            Error::Authentication {
                status: Some(_), ..
            } => converted
                .help("send the credential that the agent checks with `-H 'authorization: …'`"),
            _ => converted,
        }
    }

    fn help_for(&self, error: &Error) -> Option<String> {
        match error {
            Error::Authentication { .. } => Some(match &self.kind {
                PlatformKind::Local(running) => format!(
                    "the API key file in {} was changed after the start; restart the platform with \
                     `ppio-sandbox-cli local down` and `local up`",
                    running.home().display()
                ),
                PlatformKind::Remote { key, .. } => format!(
                    "set {key} to an API key of {}, or use the platform on this machine with \
                     `--local`",
                    self.name()
                ),
            }),
            Error::TemplateNotFound { .. } => Some(format!(
                "{} was used{}: list its agents with `ppio-sandbox-cli agent list`, deploy with \
                 `agent deploy`, or choose another platform with `{}`",
                self.short_name(),
                self.why(),
                if self.is_local() { "--remote" } else { "--local" }
            )),
            Error::SessionNotFound { .. } => Some(
                "list the open sessions with `ppio-sandbox-cli agent status`, or open one with `agent invoke --keep`".to_owned(),
            ),
            Error::Network { source, .. } if source.kind() == NetworkErrorKind::Connect => {
                Some(match &self.kind {
                    PlatformKind::Local(_) => {
                        "check the platform with `ppio-sandbox-cli local status`".to_owned()
                    }
                    PlatformKind::Remote { key: E2B_KEY, .. } => {
                        "check the network, E2B_API_URL and E2B_DOMAIN".to_owned()
                    }
                    PlatformKind::Remote { .. } => {
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
                self.help_for(source)
            }
            _ => None,
        }
    }
}

fn unusable(error: &Error) -> CliError {
    CliError::new(
        ExitKind::Usage,
        "the settings of the platform are not valid",
    )
    .caused_by(error)
    .help("correct the variable of the invalid setting, or unset it")
}

fn exit_kind_of(error: &Error) -> ExitKind {
    match error {
        Error::Validation { .. } => ExitKind::Usage,
        // A size limit that has no setting applies to answers of the platform itself, not of the
        // agent.
        Error::Invocation { .. }
        | Error::StreamIdle { .. }
        | Error::ResponseTooLarge {
            setting: Some(_), ..
        } => ExitKind::Agent,
        // The sandbox was created, but its agent did not start.
        Error::SandboxCreation {
            sandbox_id: Some(_),
            source,
            ..
        } if matches!(
            **source,
            Error::Runtime { .. }
                | Error::Protocol { .. }
                | Error::Timeout { .. }
                | Error::Invocation { .. }
        ) =>
        {
            ExitKind::Agent
        }
        Error::SandboxCreation { source, .. } | Error::SandboxOperation { source, .. } => {
            exit_kind_of(source)
        }
        _ => ExitKind::Platform,
    }
}

/// Returns the variable that makes the cloud the default, if it is set.
pub(crate) fn default_key() -> Option<&'static str> {
    environment::text(PPIO_KEY).map(|_| PPIO_KEY)
}

/// Returns the variable whose API key is used with `--remote`.
pub(crate) fn key_of_remote() -> Option<&'static str> {
    remote_key(environment::text)
}

/// Returns the variable with an API key that only `--remote` would use, if the local platform is
/// used by default.
pub(crate) fn unused_key(arguments: &PlatformArguments) -> Option<&'static str> {
    let by_default = !arguments.local && !arguments.remote && default_key().is_none();
    key_of_remote().filter(|_| by_default)
}

/// Returns the variable whose API key is used with `--remote`, in the client's order.
fn remote_key(lookup: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    [PPIO_KEY, E2B_KEY]
        .into_iter()
        .find(|name| lookup(name).is_some())
}

/// Returns the address from the variables of the API key's vendor: the URL, otherwise the domain.
fn address_for(key: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    let vendor = key.trim_end_matches("API_KEY");
    ["API_URL", "DOMAIN"]
        .into_iter()
        .find_map(|name| lookup(&format!("{vendor}{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_is_used_with_the_address_of_its_vendor() {
        let chosen = |variables: &[(&str, &str)]| {
            let lookup = |name: &str| {
                let found = variables.iter().find(|(key, _)| *key == name)?;
                Some(found.1.to_owned())
            };
            let key = remote_key(lookup)?;
            Some((key, address_for(key, lookup)))
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
        assert_eq!(chosen(&both), Some((PPIO_KEY, None)));
        let beside = Some("e2b.example".to_owned());
        assert_eq!(chosen(&both[..2]), Some((E2B_KEY, beside)));
    }
}
