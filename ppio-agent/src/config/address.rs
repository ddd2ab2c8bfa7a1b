//! The address on which the agent listens, which a platform may determine.

use ppio_agent_protocol::environment::url_without_secrets;

use super::RuntimeConfig;
use super::settings::Settings;
use super::settings::environment::{Environment, parse};
use crate::exchange::platform::Platform;
use crate::exchange::protocol::Protocol;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::server::host;

/// The expected value of a port, for error texts.
const EXPECTED_PORT: &str = "a port from 0 to 65535";

impl Environment<'_> {
    /// Returns the settings of the platform and the address; the other settings have their
    /// defaults.
    pub(super) fn address_values(&mut self, config: &RuntimeConfig) -> RuntimeSettings {
        let defaults = RuntimeSettings::default();
        let platform = self.platform(config.platform);
        // The platform's contract takes precedence over the code.
        let (host, port) = match platform {
            None => (config.host.clone(), config.port),
            Some(platform) => (None, Some(self.contract_port(platform))),
        };
        let host = self
            .read("HOST", "", host, |text| Some(text.to_owned()))
            .unwrap_or_else(|| default_host(self.lookup, &defaults).to_owned());
        RuntimeSettings {
            platform,
            runtime_url: self.runtime_url(platform),
            host: host::bare(&host).to_owned(),
            port: self
                .read("PORT", EXPECTED_PORT, port, parse)
                .or_else(|| self.given_port("PORT"))
                .unwrap_or(defaults.port),
            ..defaults
        }
    }

    /// Reads the port from a variable that a platform sets: Cloud Run and Heroku set `PORT` for
    /// every program.
    fn given_port(&mut self, name: &str) -> Option<u16> {
        let text = (self.lookup)(name)?;
        let port = parse(&text);
        if port.is_none() {
            self.faults
                .push(format!("{name}={text:?} is not {EXPECTED_PORT}"));
        }
        port
    }

    fn platform(&mut self, code: Option<Platform>) -> Option<Platform> {
        let expected = "`agentcore`, `agentcore-ag-ui`, `agentcore-mcp` or `agentcore-a2a`";
        self.read("PLATFORM", expected, code, parse)
    }

    /// Adds a fault unless the protocol that the platform calls is served.
    pub(super) fn check_platform(&mut self, values: &RuntimeSettings) {
        let Some(platform) = values.platform else {
            return;
        };
        let Some(protocol) = platform.protocol() else {
            return;
        };
        let name = platform.as_str();
        if !protocol.is_built_in() {
            self.faults.push(format!(
                "the platform {name:?} calls {protocol}, which is not built in: turn on the \
                 feature `{protocol}` of ppio-agent"
            ));
        } else if !values.protocols.contains(&protocol) {
            self.faults.push(format!(
                "the platform {name:?} calls {protocol}, which the agent does not serve: add \
                 {protocol} to PPIO_AGENT_PROTOCOLS or `RuntimeConfig::protocols`"
            ));
        }
    }

    /// Returns the port that a platform calls. Images often have a `PORT` that belongs to another
    /// protocol, so `PORT` is read only under `agentcore dev`, which chooses the port and sets
    /// `LOCAL_DEV`. For A2A, `A2A_PORT` is read instead of `PORT`.
    fn contract_port(&mut self, platform: Platform) -> u16 {
        let name = if platform == Platform::AgentCoreA2a {
            Some("A2A_PORT")
        } else {
            (self.lookup)("LOCAL_DEV").map(|_| "PORT")
        };
        let given = name.and_then(|name| self.given_port(name));
        given.unwrap_or_else(|| platform.port())
    }

    /// Returns the URL that AgentCore provides for the agent card of an A2A agent.
    fn runtime_url(&mut self, platform: Option<Platform>) -> Option<String> {
        if platform != Some(Platform::AgentCoreA2a) {
            return None;
        }
        let url = (self.lookup)("AGENTCORE_RUNTIME_URL")?;
        let uri: Option<http::Uri> = parse(&url);
        let is_url = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
        });
        if !is_url {
            let shown = url_without_secrets(&url);
            self.faults.push(format!(
                "AGENTCORE_RUNTIME_URL={shown:?} is not a URL such as https://example.com/"
            ));
        }
        Some(url)
    }
}

impl Settings {
    /// Logs a warning if the platform may call a path that the agent does not serve.
    pub(crate) fn warn_about_platform(&self) {
        let websocket = Protocol::WebSocket;
        if self.values.platform != Some(Platform::AgentCoreAgUi)
            || self.values.protocols.contains(&websocket)
        {
            return;
        }
        let reason = if websocket.is_built_in() {
            "add `websocket` to PPIO_AGENT_PROTOCOLS or `RuntimeConfig::protocols`"
        } else {
            "turn on the feature `websocket` of ppio-agent"
        };
        tracing::warn!("AG-UI is served at /invocations, and not at /ws: {reason}");
    }
}

/// Returns the default host: every address, as platforms require; loopback for a program that
/// `cargo run` started.
///
/// Cargo sets `CARGO_MANIFEST_DIR` and `CARGO_PKG_NAME` for the program. On Unix, cargo replaces
/// itself with the program, so there is no parent process to look for. Programs that such a program
/// or `cargo test` starts inherit the variables and run on the same machine. Installed programs and
/// programs in images have neither variable.
fn default_host<'a>(
    lookup: &dyn Fn(&str) -> Option<String>,
    defaults: &'a RuntimeSettings,
) -> &'a str {
    let is_run_by_cargo = ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"]
        .iter()
        .all(|name| lookup(name).is_some());
    if is_run_by_cargo {
        "127.0.0.1"
    } else {
        &defaults.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Settings;
    use crate::exchange::protocol::Protocol;

    /// Returns the values and the faults, also for a platform whose protocol is not built in.
    fn values(
        config: &RuntimeConfig,
        variables: &[(&str, &str)],
    ) -> (RuntimeSettings, Vec<String>) {
        let lookup = &|name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut environment = Environment {
            lookup,
            faults: Vec::new(),
        };
        let values = environment.address_values(config);
        (values, environment.faults)
    }

    #[test]
    fn cargo_run_listens_on_loopback_unless_a_host_is_set() {
        let host =
            |config: RuntimeConfig, variables: &[(&str, &str)]| values(&config, variables).0.host;
        let folder = ("CARGO_MANIFEST_DIR", "/src/agent");
        let package = ("CARGO_PKG_NAME", "agent");
        let new = RuntimeConfig::new;
        assert_eq!(host(new(), &[folder, package]), "127.0.0.1");
        // Other tools set one of these variables or `CARGO`.
        for other in [folder, package, ("CARGO", "/bin/cargo")] {
            assert_eq!(host(new(), &[other]), "0.0.0.0", "{other:?}");
        }
        assert_eq!(host(new().host("0.0.0.0"), &[folder, package]), "0.0.0.0");
        let variable = ("PPIO_AGENT_HOST", "[::]");
        assert_eq!(host(new(), &[folder, package, variable]), "::");
    }

    #[test]
    fn a_platform_calls_its_own_port() {
        let (http, mcp, a2a, ag_ui) = (
            "agentcore",
            "agentcore-mcp",
            "agentcore-a2a",
            "agentcore-ag-ui",
        );
        let (port, dev) = (("PORT", "5000"), ("LOCAL_DEV", "1"));
        let (a2a_port, own) = (("A2A_PORT", "6000"), ("PPIO_AGENT_PORT", "7000"));
        for (platform, variables, expected) in [
            (http, &[][..], 8080),
            (mcp, &[], 8000),
            (a2a, &[], 9000),
            (ag_ui, &[], 8080),
            (http, &[port], 8080),
            (mcp, &[port, a2a_port], 8000),
            (a2a, &[port, dev], 9000),
            (http, &[port, dev], 5000),
            (mcp, &[port, dev], 5000),
            (ag_ui, &[port, dev], 5000),
            (a2a, &[port, a2a_port], 6000),
            (http, &[own, port, dev], 7000),
            (a2a, &[own, a2a_port], 7000),
        ] {
            let mut all = variables.to_vec();
            all.push(("PPIO_AGENT_PLATFORM", platform));
            let config = RuntimeConfig::new().host("127.0.0.1").port(1);
            let (values, faults) = values(&config, &all);
            assert_eq!(values.port, expected, "{all:?}");
            assert_eq!(values.host, "0.0.0.0", "{all:?}");
            assert_eq!(values.platform.map(Platform::as_str), Some(platform));
            assert!(faults.is_empty(), "{faults:?}");
        }
        let platform = ("PPIO_AGENT_PLATFORM", a2a);
        let (_, faults) = values(&RuntimeConfig::new(), &[platform, ("A2A_PORT", "x")]);
        let fault = "A2A_PORT=\"x\" is not a port";
        assert!(faults[0].starts_with(fault), "{faults:?}");
    }

    #[test]
    fn the_protocol_of_a_platform_is_served() {
        for (platform, protocol) in [
            (Platform::AgentCoreAgUi, Protocol::AgUi),
            (Platform::AgentCoreMcp, Protocol::Mcp),
            (Platform::AgentCoreA2a, Protocol::A2a),
        ] {
            let config = || RuntimeConfig::new().platform(platform);
            let all = resolve(config());
            let none = resolve(config().protocols([]));
            if protocol.is_built_in() {
                assert_eq!(all, None);
                let fault = format!(
                    "calls {protocol}, which the agent does not serve: add {protocol} to \
                     PPIO_AGENT_PROTOCOLS or `RuntimeConfig::protocols`"
                );
                assert!(none.is_some_and(|it| it.ends_with(&fault)));
            } else {
                let fault = format!("turn on the feature `{protocol}` of ppio-agent");
                assert!(all.is_some_and(|it| it.ends_with(&fault)));
            }
        }
        let config = RuntimeConfig::new().platform(Platform::AgentCore);
        assert_eq!(resolve(config.protocols([])), None);
    }

    fn resolve(config: RuntimeConfig) -> Option<String> {
        let settings = Settings::resolve(config, &|_| None);
        settings.err().map(|error| error.to_string())
    }

    #[test]
    fn only_an_a2a_runtime_has_a_url() {
        let name = "AGENTCORE_RUNTIME_URL";
        let good = "https://bedrock-agentcore.us-east-1.amazonaws.com/runtimes/a/invocations/";
        for (platform, url, expected, faults_of_url) in [
            ("agentcore-a2a", good, Some(good), 0),
            ("agentcore-a2a", "a.example/x", Some("a.example/x"), 1),
            (
                "agentcore-a2a",
                "ftp://a.example",
                Some("ftp://a.example"),
                1,
            ),
            (
                "agentcore-a2a",
                "user:secret@a.example",
                Some("user:secret@a.example"),
                1,
            ),
            ("agentcore", "nonsense", None, 0),
        ] {
            let variables = [("PPIO_AGENT_PLATFORM", platform), (name, url)];
            let (values, faults) = values(&RuntimeConfig::new(), &variables);
            assert_eq!(values.runtime_url.as_deref(), expected, "{platform}");
            let faults = faults.iter().filter(|fault| fault.starts_with(name));
            assert!(faults.clone().all(|fault| !fault.contains("secret")));
            assert_eq!(faults.count(), faults_of_url, "{url}");
        }
    }
}
