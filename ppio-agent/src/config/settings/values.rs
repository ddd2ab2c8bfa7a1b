//! The value of each setting: its variable, otherwise the code, otherwise the default.

use std::collections::BTreeSet;

#[cfg(feature = "logging")]
use tracing_subscriber::filter::Targets;

use super::environment::{Environment, parse};
use crate::config::RuntimeConfig;
use crate::exchange::protocol::Protocol;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::server::cors::Cors;
use crate::server::host::AllowedHosts;

impl Environment<'_> {
    /// Returns whether `/metrics` and `/openapi.json` are served. Without their features the
    /// variables are ignored.
    fn optional_routes(
        &mut self,
        config: &RuntimeConfig,
        defaults: &RuntimeSettings,
    ) -> (bool, bool) {
        let (metrics, openapi) = (config.enable_metrics, config.enable_openapi);
        (
            cfg!(feature = "metrics")
                && self.boolean("ENABLE_METRICS", metrics, defaults.enable_metrics),
            cfg!(feature = "schema")
                && self.boolean("ENABLE_OPENAPI", openapi, defaults.enable_openapi),
        )
    }

    /// Returns every setting: the variable, otherwise the code, otherwise the default.
    pub(super) fn values(&mut self, config: RuntimeConfig) -> RuntimeSettings {
        let defaults = RuntimeSettings::default();
        let debug = self.boolean("DEBUG", config.debug, defaults.debug);
        let (enable_metrics, enable_openapi) = self.optional_routes(&config, &defaults);
        let runs = self.run_values(&config, debug);
        #[cfg(feature = "websocket")]
        let runs = self.websocket_values(&config, runs);
        // The default of a platform or an image, for agents that set no origins.
        let default_origins =
            self.read("DEFAULT_CORS_ORIGINS", "", None, |text| Some(origins(text)));
        let cors_origins = self.read(
            "CORS_ORIGINS",
            "",
            config.cors_origins.or(default_origins),
            |text| Some(origins(text)),
        );
        RuntimeSettings {
            debug,
            timeout: self.seconds("TIMEOUT", config.timeout, defaults.timeout),
            max_request_size: self.size(
                "MAX_REQUEST_SIZE",
                config.max_request_size,
                defaults.max_request_size,
            ),
            allowed_hosts: self
                .read("ALLOWED_HOSTS", "", config.allowed_hosts, |text| {
                    Some(list(text))
                })
                .unwrap_or(defaults.allowed_hosts),
            cors_origins,
            cors_credentials: self.boolean(
                "CORS_CREDENTIALS",
                config.cors_credentials,
                defaults.cors_credentials,
            ),
            enable_metrics,
            enable_openapi,
            enable_middleware: self.boolean(
                "ENABLE_MIDDLEWARE",
                config.enable_middleware,
                defaults.enable_middleware,
            ),
            require_ping: config.require_ping.unwrap_or(defaults.require_ping),
            protocols: self.protocols(config.protocols, defaults.protocols),
            max_concurrency: self
                .read(
                    "MAX_CONCURRENCY",
                    "a number, 0 for no limit",
                    config.max_concurrency,
                    parse,
                )
                .filter(|&limit| limit > 0),
            heartbeat: self.limit("HEARTBEAT", config.heartbeat, defaults.heartbeat),
            shutdown_grace: self.duration(
                "SHUTDOWN_GRACE",
                config.shutdown_grace,
                defaults.shutdown_grace,
            ),
            keep_alive_timeout: self.seconds(
                "KEEP_ALIVE_TIMEOUT",
                config.keep_alive_timeout,
                defaults.keep_alive_timeout,
            ),
            header_timeout: self.seconds(
                "HEADER_TIMEOUT",
                config.header_timeout,
                defaults.header_timeout,
            ),
            body_timeout: self.seconds("BODY_TIMEOUT", config.body_timeout, defaults.body_timeout),
            write_timeout: self.seconds(
                "WRITE_TIMEOUT",
                config.write_timeout,
                defaults.write_timeout,
            ),
            blocking_warning: self.limit(
                "BLOCKING_WARNING",
                config.blocking_warning,
                defaults.blocking_warning,
            ),
            worker_threads: self.threads("WORKER_THREADS", config.worker_threads),
            blocking_threads: self
                .threads("BLOCKING_THREADS", config.blocking_threads)
                .unwrap_or(defaults.blocking_threads),
            #[cfg(feature = "logging")]
            log: self.log(config.log, debug, defaults.log),
            #[cfg(feature = "logging")]
            log_format: self
                .read(
                    "LOG_FORMAT",
                    "`auto`, `text`, `json` or `agentcore`",
                    config.log_format,
                    parse,
                )
                .unwrap_or(defaults.log_format),
            ..runs
        }
    }

    /// Returns the settings of sessions, of long, disconnected and kept invocations, of push
    /// notifications, of the platform and of the address; the other settings have their defaults.
    fn run_values(&mut self, config: &RuntimeConfig, debug: bool) -> RuntimeSettings {
        let defaults = RuntimeSettings::default();
        RuntimeSettings {
            busy_after: self.duration("BUSY_AFTER", config.busy_after, defaults.busy_after),
            session_concurrency: self
                .read(
                    "SESSION_CONCURRENCY",
                    "`parallel`, `queue`, `reject` or `interrupt`",
                    config.session_concurrency,
                    parse,
                )
                .unwrap_or(defaults.session_concurrency),
            session_queue: self.at_least_one(
                "SESSION_QUEUE",
                config.session_queue,
                defaults.session_queue,
            ),
            on_disconnect: self
                .read(
                    "ON_DISCONNECT",
                    "`cancel` or `continue`",
                    config.on_disconnect,
                    parse,
                )
                .unwrap_or(defaults.on_disconnect),
            reconnect_grace: self.duration(
                "RECONNECT_GRACE",
                config.reconnect_grace,
                defaults.reconnect_grace,
            ),
            max_runs: self.at_least_one("MAX_RUNS", config.max_runs, defaults.max_runs),
            max_run_size: self.size("MAX_RUN_SIZE", config.max_run_size, defaults.max_run_size),
            max_total_run_size: self.size(
                "MAX_TOTAL_RUN_SIZE",
                config.max_total_run_size,
                defaults.max_total_run_size,
            ),
            run_retention: self.duration(
                "RUN_RETENTION",
                config.run_retention,
                defaults.run_retention,
            ),
            list_anonymous_runs: self.boolean(
                "LIST_ANONYMOUS_RUNS",
                config.list_anonymous_runs,
                defaults.list_anonymous_runs || debug,
            ),
            inspect_runs: self.boolean("INSPECT_RUNS", config.inspect_runs, defaults.inspect_runs),
            journal: self.read("JOURNAL", "", config.journal.clone(), |text| {
                Some(text.into())
            }),
            #[cfg(feature = "a2a")]
            a2a_push_private: self.boolean(
                "A2A_PUSH_PRIVATE",
                config.a2a_push_private,
                defaults.a2a_push_private,
            ),
            ..self.address_values(config)
        }
    }

    /// Returns `values` with the settings of WebSockets, which are read here.
    #[cfg(feature = "websocket")]
    fn websocket_values(
        &mut self,
        config: &RuntimeConfig,
        values: RuntimeSettings,
    ) -> RuntimeSettings {
        RuntimeSettings {
            websocket_max_frame_size: self.size(
                "WEBSOCKET_MAX_FRAME_SIZE",
                config.websocket_max_frame_size,
                values.websocket_max_frame_size,
            ),
            websocket_max_message_size: self.size(
                "WEBSOCKET_MAX_MESSAGE_SIZE",
                config.websocket_max_message_size,
                values.websocket_max_message_size,
            ),
            websocket_idle_timeout: self.limit(
                "WEBSOCKET_IDLE_TIMEOUT",
                config.websocket_idle_timeout,
                values.websocket_idle_timeout,
            ),
            ..values
        }
    }

    pub(super) fn cors(&mut self, values: &RuntimeSettings) -> Cors {
        let origins = values.cors_origins.as_deref();
        Cors::new(origins, values.cors_credentials).unwrap_or_else(|fault| {
            self.faults.push(fault);
            Cors::none()
        })
    }

    /// Returns the protocols to serve: those of the variable, otherwise of the code, otherwise all
    /// that are built in. Adds a fault for each protocol that is not built in.
    fn protocols(&mut self, code: Option<Vec<Protocol>>, built_in: Vec<Protocol>) -> Vec<Protocol> {
        let expected = "`all`, `none` or a list of `openai`, `ag-ui`, `a2a`, `mcp`, `ui-stream` \
                        and `websocket`";
        let chosen = self.read("PROTOCOLS", expected, code, |text| match text {
            "all" => Some(Protocol::built_in()),
            "none" => Some(Vec::new()),
            names => names.split(',').map(|name| parse(name.trim())).collect(),
        });
        let Some(mut chosen) = chosen else {
            return built_in;
        };
        let mut seen = BTreeSet::new();
        chosen.retain(|protocol| seen.insert(*protocol));
        for protocol in chosen.iter().filter(|protocol| !protocol.is_built_in()) {
            self.faults.push(format!(
                "the protocol {protocol} is not built in: turn on the feature `{protocol}` of \
                 ppio-agent, or remove {protocol} from PPIO_AGENT_PROTOCOLS or \
                 `RuntimeConfig::protocols`"
            ));
        }
        chosen
    }

    /// Returns the hosts that are allowed in addition to loopback, including the configured host.
    pub(super) fn allowed_hosts(&mut self, values: &RuntimeSettings) -> AllowedHosts {
        let allowed = AllowedHosts::new(&values.allowed_hosts);
        let mut allowed = allowed.unwrap_or_else(|fault| {
            self.faults.push(fault);
            AllowedHosts::default()
        });
        allowed.allow(&values.host);
        allowed
    }

    #[cfg(feature = "logging")]
    fn log(&mut self, code: Option<String>, debug: bool, default: String) -> String {
        let default = if debug { "debug".to_owned() } else { default };
        let (source, text) = ["PPIO_AGENT_LOG", "RUST_LOG"]
            .into_iter()
            .find_map(|name| Some((name, (self.lookup)(name)?)))
            .or_else(|| Some(("log", code?)))
            // The default of the platform, for agents that set no filter.
            .or_else(|| {
                let name = "PPIO_AGENT_DEFAULT_LOG";
                Some((name, (self.lookup)(name).filter(|_| !debug)?))
            })
            .unwrap_or(("log", default));
        if let Err(error) = text.parse::<Targets>() {
            self.faults
                .push(format!("{source}={text:?} is not a log filter: {error}"));
        }
        text
    }
}

/// Parses a list of origins; `none` is an empty list.
fn origins(text: &str) -> Vec<String> {
    if text == "none" {
        Vec::new()
    } else {
        list(text)
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}
