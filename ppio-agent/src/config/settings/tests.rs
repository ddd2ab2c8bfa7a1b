//! Tests of the settings in force, which the code and the environment determine.

use std::collections::BTreeSet;
use std::time::Duration;

use ppio_agent_protocol::ByteSize;

use super::*;
use crate::exchange::protocol::Protocol;
#[cfg(feature = "logging")]
use crate::invocation::guard::LOG_TARGET;
use crate::server::cors::Caller;

fn resolve(config: RuntimeConfig, env: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    Settings::resolve(config, &|name| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_environment_overrides_the_code_and_the_code_the_default() {
    let settings = resolve(
        RuntimeConfig::new().port(1).timeout(Duration::from_secs(7)),
        &[
            ("PPIO_AGENT_PORT", "2"),
            ("PPIO_AGENT_MAX_REQUEST_SIZE", "2Mi"),
        ],
    )
    .unwrap();
    assert_eq!(settings.values.port, 2);
    assert_eq!(settings.values.timeout, Duration::from_secs(7));
    assert_eq!(settings.values.max_request_size, ByteSize::new(2 << 20));
    assert_eq!(settings.values.host, "0.0.0.0");
}

#[test]
fn an_empty_variable_is_not_set() {
    // Every variable of the table in the documentation of `RuntimeConfig`.
    let table = include_str!("../mod.rs")
        .lines()
        .filter(|line| line.starts_with("/// | ["));
    let variables: BTreeSet<_> = table
        .flat_map(|line| line.split('`'))
        .filter(|word| word.starts_with("PPIO_AGENT_") || ["PORT", "RUST_LOG"].contains(word))
        .collect();
    assert_eq!(variables.len(), 45, "{variables:?}");
    let config = || {
        RuntimeConfig::new()
            .port(1)
            .cors_origins(["https://a.example"])
    };
    let unset = format!("{:?}", resolve(config(), &[]).unwrap());
    for name in variables {
        for blank in ["", " ", "\t\n"] {
            let settings = resolve(config(), &[(name, blank)]).unwrap();
            assert_eq!(format!("{settings:?}"), unset, "{name}={blank:?}");
        }
    }
}

#[test]
fn all_invalid_variables_are_named_in_one_error() {
    let error = resolve(
        RuntimeConfig::new(),
        &[
            ("PPIO_AGENT_PORT", "eighty"),
            ("PPIO_AGENT_DEBUG", "maybe"),
            ("PPIO_AGENT_TIMEOUT", "0"),
            ("PPIO_AGENT_HEARTBEAT", "-1"),
            ("PPIO_AGENT_MAX_REQUEST_SIZE", "lots"),
            ("PPIO_AGENT_WORKER_THREADS", "0"),
            ("PPIO_AGENT_ON_DISCONNECT", "stop"),
            ("PPIO_AGENT_SESSION_CONCURRENCY", "serial"),
            ("PPIO_AGENT_SESSION_QUEUE", "-1"),
            ("PPIO_AGENT_MAX_RUNS", "0"),
            ("PPIO_AGENT_MAX_RUN_SIZE", "big"),
            ("PPIO_AGENT_MAX_TOTAL_RUN_SIZE", "-1"),
            ("PPIO_AGENT_RUN_RETENTION", "long"),
            ("PPIO_AGENT_LIST_ANONYMOUS_RUNS", "some"),
            ("PPIO_AGENT_INSPECT_RUNS", "some"),
            ("PPIO_AGENT_RECONNECT_GRACE", "x"),
            ("PPIO_AGENT_PROTOCOLS", "openai,smtp"),
            #[cfg(feature = "a2a")]
            ("PPIO_AGENT_A2A_PUSH_PRIVATE", "10.0.0.0/8"),
            #[cfg(feature = "websocket")]
            ("PPIO_AGENT_WEBSOCKET_MAX_FRAME_SIZE", "0"),
            #[cfg(feature = "websocket")]
            ("PPIO_AGENT_WEBSOCKET_MAX_MESSAGE_SIZE", "all"),
            #[cfg(feature = "websocket")]
            ("PPIO_AGENT_WEBSOCKET_IDLE_TIMEOUT", "never"),
            #[cfg(feature = "logging")]
            ("PPIO_AGENT_LOG", "a=b=c"),
            #[cfg(feature = "logging")]
            ("PPIO_AGENT_LOG_FORMAT", "xml"),
            ("PPIO_AGENT_PLATFORM", "lambda"),
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
        "_ON_DISCONNECT",
        "_SESSION_CONCURRENCY",
        "_SESSION_QUEUE",
        "_MAX_RUNS",
        "_MAX_RUN_SIZE",
        "_MAX_TOTAL_RUN_SIZE",
        "_RUN_RETENTION",
        "_LIST_ANONYMOUS_RUNS",
        "_INSPECT_RUNS",
        "_RECONNECT_GRACE",
        "_PROTOCOLS",
        #[cfg(feature = "a2a")]
        "_A2A_PUSH_PRIVATE",
        #[cfg(feature = "websocket")]
        "_WEBSOCKET_MAX_FRAME_SIZE",
        #[cfg(feature = "websocket")]
        "_WEBSOCKET_MAX_MESSAGE_SIZE",
        #[cfg(feature = "websocket")]
        "_WEBSOCKET_IDLE_TIMEOUT",
        #[cfg(feature = "logging")]
        "_LOG",
        #[cfg(feature = "logging")]
        "_LOG_FORMAT",
        "_PLATFORM",
        "_CORS_CREDENTIALS",
        "_ALLOWED_HOSTS",
    ] {
        assert!(error.contains(name), "{name} in {error}");
    }
}

#[test]
fn a_protocol_that_is_not_built_in_is_a_fault_of_the_code_and_of_the_variable() {
    for protocol in Protocol::ALL {
        // A repeated protocol counts once.
        let in_code = resolve(RuntimeConfig::new().protocols([protocol, protocol]), &[]);
        let variable = ("PPIO_AGENT_PROTOCOLS", protocol.as_str());
        let in_variable = resolve(RuntimeConfig::new(), &[variable]);
        for settings in [in_code, in_variable] {
            if protocol.is_built_in() {
                assert_eq!(settings.unwrap().values.protocols, [protocol]);
            } else {
                let error = settings.unwrap_err().to_string();
                let fault = format!(
                    "the protocol {protocol} is not built in: turn on the feature `{protocol}` of \
                     ppio-agent, or remove {protocol} from PPIO_AGENT_PROTOCOLS or \
                     `RuntimeConfig::protocols`"
                );
                assert!(error.ends_with(&fault), "{error}");
            }
        }
    }
}

#[cfg(feature = "logging")]
#[test]
fn the_default_log_variable_is_overridden_by_every_other_setting() {
    let fallback = ("PPIO_AGENT_DEFAULT_LOG", "warn");
    let log = |config: RuntimeConfig, variables: &[(&str, &str)]| {
        resolve(config, variables).unwrap().log.to_string()
    };
    let new = RuntimeConfig::new;
    let quiet = format!("{LOG_TARGET}=warn,info");
    let default = RuntimeSettings::default().log;
    assert_eq!(default, format!("info,{LOG_TARGET}=warn"));
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
fn the_default_origins_variable_is_overridden_by_code_and_environment() {
    let all_origins = ("PPIO_AGENT_DEFAULT_CORS_ORIGINS", "*");
    let one = "https://a.example";
    let allows_all = |config: RuntimeConfig, variables: &[(&str, &str)]| {
        let cors = resolve(config, variables).unwrap().cors;
        let origin = http::HeaderValue::from_static("https://b.example");
        !matches!(cors.caller(Some(&origin), None), Caller::ForeignPage)
    };
    let new = RuntimeConfig::new;
    assert!(allows_all(new(), &[all_origins]));
    assert!(!allows_all(new(), &[]));
    assert!(!allows_all(new().cors_origins([one]), &[all_origins]));
    let stated = ("PPIO_AGENT_CORS_ORIGINS", one);
    assert!(!allows_all(new(), &[all_origins, stated]));
}

#[test]
fn anonymous_runs_are_listed_in_debug_mode_and_if_enabled() {
    let new = RuntimeConfig::new;
    let (on, off) = (
        ("PPIO_AGENT_LIST_ANONYMOUS_RUNS", "true"),
        ("PPIO_AGENT_LIST_ANONYMOUS_RUNS", "false"),
    );
    let debug = ("PPIO_AGENT_DEBUG", "true");
    for (config, variables, lists) in [
        (new(), &[][..], false),
        (new(), &[on], true),
        (new().list_anonymous_runs(true), &[], true),
        (new().list_anonymous_runs(true), &[off], false),
        (new(), &[debug], true),
        (new().debug(true), &[], true),
        (new().list_anonymous_runs(false), &[debug], false),
        (new(), &[debug, off], false),
    ] {
        let settings = resolve(config.clone(), variables).unwrap();
        let found = settings.values.list_anonymous_runs;
        assert_eq!(found, lists, "{config:?} {variables:?}");
    }
}

#[test]
fn zero_is_invalid_where_it_has_no_meaning() {
    let (size, second) = (ByteSize::new(0), Duration::ZERO);
    let new = RuntimeConfig::new;
    for (name, code) in [
        ("TIMEOUT", new().timeout(second)),
        ("KEEP_ALIVE_TIMEOUT", new().keep_alive_timeout(second)),
        ("HEADER_TIMEOUT", new().header_timeout(second)),
        ("BODY_TIMEOUT", new().body_timeout(second)),
        ("WRITE_TIMEOUT", new().write_timeout(second)),
        ("MAX_REQUEST_SIZE", new().max_request_size(size)),
        ("MAX_RUNS", new().max_runs(0)),
        ("MAX_RUN_SIZE", new().max_run_size(size)),
        ("MAX_TOTAL_RUN_SIZE", new().max_total_run_size(size)),
        ("SESSION_QUEUE", new().session_queue(0)),
        ("WORKER_THREADS", new().worker_threads(0)),
        ("BLOCKING_THREADS", new().blocking_threads(0)),
    ] {
        let variable = format!("PPIO_AGENT_{name}");
        let in_code = resolve(code, &[]);
        let in_environment = resolve(new(), &[(&variable, "0")]);
        let method = format!("`RuntimeConfig::{}` must be ", name.to_ascii_lowercase());
        let variable = format!("{variable}=\"0\" must be ");
        for (outcome, setting) in [(in_code, method), (in_environment, variable)] {
            let error = outcome.expect_err(name).to_string();
            assert!(error.contains(&setting), "{error}");
        }
    }
    for name in [
        "PORT",
        "MAX_CONCURRENCY",
        "HEARTBEAT",
        "BUSY_AFTER",
        "RECONNECT_GRACE",
        "RUN_RETENTION",
        "SHUTDOWN_GRACE",
    ] {
        let outcome = resolve(new(), &[(&format!("PPIO_AGENT_{name}"), "0")]);
        assert!(outcome.is_ok(), "{name}");
    }
}

#[test]
fn zero_disables_the_heartbeat_and_the_limit() {
    let settings = resolve(
        RuntimeConfig::new(),
        &[
            ("PPIO_AGENT_HEARTBEAT", "0"),
            ("PPIO_AGENT_MAX_CONCURRENCY", "0"),
        ],
    )
    .unwrap();
    assert_eq!(settings.values.heartbeat, None);
    assert_eq!(settings.values.max_concurrency, None);
}
