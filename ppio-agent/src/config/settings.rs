//! The configuration that is in force: defaults, overlaid by code, overlaid by the environment.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ppio_agent_protocol::{ByteSize, headers};
use tracing_subscriber::filter::Targets;

use crate::app::logging::INVOCATION;
use crate::config::RuntimeConfig;
use crate::server::cors::Cors;
use crate::server::host::{self, AllowedHosts};

/// A configuration in which nothing is left open.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, not a state"
)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) debug: bool,
    pub(crate) timeout: Duration,
    pub(crate) max_request_size: ByteSize,
    pub(crate) cors: Cors,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) enable_metrics: bool,
    pub(crate) enable_middleware: bool,
    pub(crate) require_ping: bool,
    pub(crate) max_concurrency: Option<usize>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) shutdown_grace: Duration,
    pub(crate) header_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) blocking_threads: usize,
    pub(crate) log: Targets,
}

/// A configuration that cannot be used. Its text names every variable or setting at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

/// Longer than any deadline that makes sense, and short enough to be added to a clock.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

impl Settings {
    /// Overlays `config` with what `lookup` finds of the environment. Reports every fault at once.
    pub(crate) fn resolve(
        config: RuntimeConfig,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut env = Environment {
            lookup,
            faults: Vec::new(),
        };
        let debug = env.read("DEBUG", "true or false", config.debug, boolean);
        let debug = debug.unwrap_or(false);
        let origins = env.read("CORS_ORIGINS", "", config.cors_origins, |text| {
            Some(list(text))
        });
        let credentials = env.read(
            "CORS_CREDENTIALS",
            "true or false",
            config.cors_credentials,
            boolean,
        );
        let cors =
            Cors::new(origins.as_deref(), credentials.unwrap_or(false)).unwrap_or_else(|fault| {
                env.faults.push(fault);
                Cors::none()
            });
        let host = env
            .read("HOST", "", config.host, |text| Some(text.to_owned()))
            .unwrap_or_else(|| default_host(lookup).to_owned());
        let allowed_hosts = env.allowed_hosts(config.allowed_hosts, &host);
        let settings = Self {
            host: host::bare(&host).to_owned(),
            port: env
                .read("PORT", "a port from 0 to 65535", config.port, parse)
                .unwrap_or(headers::AGENT_PORT),
            debug,
            timeout: env.seconds("TIMEOUT", config.timeout, 300),
            max_request_size: env
                .read(
                    "MAX_REQUEST_SIZE",
                    "a size such as 1048576 or 2Mi",
                    config.max_request_size,
                    parse,
                )
                .unwrap_or(ByteSize::new(1024 * 1024)),
            cors,
            allowed_hosts,
            enable_metrics: env
                .read(
                    "ENABLE_METRICS",
                    "true or false",
                    config.enable_metrics,
                    boolean,
                )
                .unwrap_or(true),
            enable_middleware: env
                .read(
                    "ENABLE_MIDDLEWARE",
                    "true or false",
                    config.enable_middleware,
                    boolean,
                )
                .unwrap_or(true),
            require_ping: config.require_ping,
            max_concurrency: env
                .read(
                    "MAX_CONCURRENCY",
                    "a number, 0 for no limit",
                    config.max_concurrency,
                    parse,
                )
                .filter(|&limit| limit > 0),
            heartbeat: Some(env.duration("HEARTBEAT", config.heartbeat, 15))
                .filter(|interval| !interval.is_zero()),
            shutdown_grace: env.duration("SHUTDOWN_GRACE", config.shutdown_grace, 30),
            header_timeout: env.seconds("HEADER_TIMEOUT", config.header_timeout, 30),
            body_timeout: env.seconds("BODY_TIMEOUT", config.body_timeout, 30),
            write_timeout: env.seconds("WRITE_TIMEOUT", config.write_timeout, 60),
            worker_threads: env.threads("WORKER_THREADS", config.worker_threads),
            blocking_threads: env
                .threads("BLOCKING_THREADS", config.blocking_threads)
                .unwrap_or(496),
            log: env.log(config.log, debug),
        };
        if env.faults.is_empty() {
            Ok(settings)
        } else {
            Err(ConfigError(env.faults))
        }
    }
}

impl Settings {
    /// Where to listen, as `host:port`.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The environment's side of the overlay, and what was found wrong with it.
struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl Environment<'_> {
    /// The variable where it is set, otherwise what the code says.
    fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        code: Option<T>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let name = format!("PPIO_AGENT_{name}");
        let Some(text) = (self.lookup)(&name) else {
            return code;
        };
        let parsed = parse(text.trim());
        if parsed.is_none() {
            self.faults
                .push(format!("{name}={text:?} is not {expected}"));
        }
        parsed.or(code)
    }

    /// The hosts that are allowed beside loopback. A name that the agent is told to listen on is one.
    fn allowed_hosts(&mut self, code: Option<Vec<String>>, own: &str) -> AllowedHosts {
        let hosts = self.read("ALLOWED_HOSTS", "", code, |text| Some(list(text)));
        let mut allowed = AllowedHosts::new(&hosts.unwrap_or_default()).unwrap_or_else(|fault| {
            self.faults.push(fault);
            AllowedHosts::default()
        });
        allowed.allow(own);
        allowed
    }

    fn duration(&mut self, name: &str, code: Option<Duration>, default: u64) -> Duration {
        self.read(name, "a number of seconds", code, |text| {
            let seconds: f64 = text.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        })
        .unwrap_or(Duration::from_secs(default))
        .min(LONGEST)
    }

    /// A duration for which zero makes no sense.
    fn seconds(&mut self, name: &str, code: Option<Duration>, default: u64) -> Duration {
        let duration = self.duration(name, code, default);
        if duration.is_zero() {
            self.faults
                .push(format!("PPIO_AGENT_{name} must be more than 0 seconds"));
        }
        duration
    }

    fn threads(&mut self, name: &str, code: Option<usize>) -> Option<usize> {
        let threads = self.read(name, "a number of threads", code, parse);
        if threads.is_some_and(|threads| !(1..=10_000).contains(&threads)) {
            self.faults
                .push(format!("PPIO_AGENT_{name} must be from 1 to 10000"));
        }
        threads
    }

    fn log(&mut self, code: Option<String>, debug: bool) -> Targets {
        let default = if debug {
            "debug".to_owned()
        } else {
            format!("info,{INVOCATION}=warn")
        };
        let (source, text) = ["PPIO_AGENT_LOG", "RUST_LOG"]
            .into_iter()
            .find_map(|name| Some((name, (self.lookup)(name)?)))
            .or_else(|| Some(("log", code?)))
            // What whoever runs the agent thinks best, where its author did not think about it.
            .or_else(|| {
                let name = "PPIO_AGENT_DEFAULT_LOG";
                Some((name, (self.lookup)(name).filter(|_| !debug)?))
            })
            .unwrap_or(("log", default));
        text.parse().unwrap_or_else(|error| {
            self.faults
                .push(format!("{source}={text:?} is not a log filter: {error}"));
            Targets::new()
        })
    }
}

/// Every address, as platforms need it; on a developer's machine loopback.
///
/// `cargo run` sets these variables for the program, and replaces itself with it on Unix, so that
/// there is no parent process to look at. Programs that such a program or `cargo test` starts
/// inherit them and are on the same machine. Installed programs and those in images have neither.
fn default_host(lookup: &dyn Fn(&str) -> Option<String>) -> &'static str {
    let is_run_by_cargo = ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"]
        .iter()
        .all(|name| lookup(name).is_some());
    if is_run_by_cargo {
        "127.0.0.1"
    } else {
        "0.0.0.0"
    }
}

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(config: RuntimeConfig, env: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::resolve(config, &|name| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_wins_over_the_code_and_the_code_over_the_default() {
        let settings = resolve(
            RuntimeConfig::new().port(1).timeout(Duration::from_secs(7)),
            &[
                ("PPIO_AGENT_PORT", "2"),
                ("PPIO_AGENT_MAX_REQUEST_SIZE", "2Mi"),
            ],
        )
        .unwrap();
        assert_eq!(settings.port, 2);
        assert_eq!(settings.timeout, Duration::from_secs(7));
        assert_eq!(settings.max_request_size, ByteSize::new(2 << 20));
        assert_eq!(settings.host, "0.0.0.0");
    }

    #[test]
    fn cargo_starts_an_agent_on_loopback_unless_a_host_is_set() {
        let host = |config: RuntimeConfig, variables: &[(&str, &str)]| {
            resolve(config, variables).unwrap().host
        };
        let folder = ("CARGO_MANIFEST_DIR", "/src/agent");
        let package = ("CARGO_PKG_NAME", "agent");
        let new = RuntimeConfig::new;
        assert_eq!(host(new(), &[folder, package]), "127.0.0.1");
        // Either of them alone, and cargo's name for itself, are set by other tools as well.
        for other in [folder, package, ("CARGO", "/bin/cargo")] {
            assert_eq!(host(new(), &[other]), "0.0.0.0", "{other:?}");
        }
        assert_eq!(host(new().host("0.0.0.0"), &[folder, package]), "0.0.0.0");
        let told = ("PPIO_AGENT_HOST", "[::]");
        assert_eq!(host(new(), &[folder, package, told]), "::");
    }

    #[test]
    fn every_bad_variable_is_named_at_once() {
        let error = resolve(
            RuntimeConfig::new(),
            &[
                ("PPIO_AGENT_PORT", "eighty"),
                ("PPIO_AGENT_DEBUG", "maybe"),
                ("PPIO_AGENT_TIMEOUT", "0"),
                ("PPIO_AGENT_HEARTBEAT", "-1"),
                ("PPIO_AGENT_MAX_REQUEST_SIZE", "lots"),
                ("PPIO_AGENT_WORKER_THREADS", "0"),
                ("PPIO_AGENT_LOG", "a=b=c"),
                ("PPIO_AGENT_CORS_CREDENTIALS", "true"),
                ("PPIO_AGENT_ALLOWED_HOSTS", "https://a.example"),
            ],
        )
        .unwrap_err()
        .to_string();
        for name in [
            "_PORT",
            "_DEBUG",
            "_TIMEOUT",
            "_HEARTBEAT",
            "_MAX_REQUEST_SIZE",
            "_WORKER_THREADS",
            "_LOG",
            "_CORS_CREDENTIALS",
            "_ALLOWED_HOSTS",
        ] {
            assert!(error.contains(name), "{name} in {error}");
        }
    }

    #[test]
    fn a_default_for_the_log_gives_way_to_whatever_else_is_said() {
        let fallback = ("PPIO_AGENT_DEFAULT_LOG", "warn");
        let log = |config: RuntimeConfig, variables: &[(&str, &str)]| {
            resolve(config, variables).unwrap().log.to_string()
        };
        let new = RuntimeConfig::new;
        let quiet = format!("{INVOCATION}=warn,info");
        assert_eq!(log(new(), &[]), quiet);
        assert_eq!(log(new(), &[fallback]), "warn");
        assert_eq!(log(new().log("error"), &[fallback]), "error");
        for other in [
            ("PPIO_AGENT_LOG", "error"),
            ("RUST_LOG", "error"),
            ("PPIO_AGENT_DEBUG", "true"),
        ] {
            assert_ne!(log(new(), &[fallback, other]), "warn", "{other:?}");
        }
        let error = resolve(new(), &[("PPIO_AGENT_DEFAULT_LOG", "a=b=c")]).unwrap_err();
        assert!(error.to_string().contains("PPIO_AGENT_DEFAULT_LOG"));
    }

    #[test]
    fn zero_switches_the_heartbeat_and_the_limit_off() {
        let settings = resolve(
            RuntimeConfig::new(),
            &[
                ("PPIO_AGENT_HEARTBEAT", "0"),
                ("PPIO_AGENT_MAX_CONCURRENCY", "0"),
            ],
        )
        .unwrap();
        assert_eq!(settings.heartbeat, None);
        assert_eq!(settings.max_concurrency, None);
    }
}
