//! The getters of `RuntimeConfig`.

use std::path::Path;
use std::time::Duration;

use ppio_agent_protocol::ByteSize;

use super::RuntimeConfig;
#[cfg(feature = "logging")]
use crate::exchange::log_format::LogFormat;
use crate::exchange::platform::Platform;
use crate::exchange::policies::{OnDisconnect, SessionConcurrency};
use crate::exchange::protocol::Protocol;

/// Each getter returns `None` if the code has not set the value.
impl RuntimeConfig {
    /// Returns the value of [`host`](Self::host).
    pub fn get_host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the value of [`port`](Self::port).
    pub fn get_port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the value of [`platform`](Self::platform).
    pub fn get_platform(&self) -> Option<Platform> {
        self.platform
    }

    /// Returns the value of [`debug`](Self::debug).
    pub fn get_debug(&self) -> Option<bool> {
        self.debug
    }

    /// Returns the value of [`timeout`](Self::timeout).
    pub fn get_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns the value of [`max_request_size`](Self::max_request_size).
    pub fn get_max_request_size(&self) -> Option<ByteSize> {
        self.max_request_size
    }

    /// Returns the value of [`allowed_hosts`](Self::allowed_hosts).
    pub fn get_allowed_hosts(&self) -> Option<&[String]> {
        self.allowed_hosts.as_deref()
    }

    /// Returns the value of [`cors_origins`](Self::cors_origins).
    pub fn get_cors_origins(&self) -> Option<&[String]> {
        self.cors_origins.as_deref()
    }

    /// Returns the value of [`cors_credentials`](Self::cors_credentials).
    pub fn get_cors_credentials(&self) -> Option<bool> {
        self.cors_credentials
    }

    /// Returns the value of [`enable_metrics`](Self::enable_metrics).
    #[cfg(feature = "metrics")]
    pub fn get_enable_metrics(&self) -> Option<bool> {
        self.enable_metrics
    }

    /// Returns the value of [`enable_openapi`](Self::enable_openapi).
    #[cfg(feature = "schema")]
    pub fn get_enable_openapi(&self) -> Option<bool> {
        self.enable_openapi
    }

    /// Returns the value of [`enable_middleware`](Self::enable_middleware).
    pub fn get_enable_middleware(&self) -> Option<bool> {
        self.enable_middleware
    }

    /// Returns the value of [`require_ping`](Self::require_ping).
    pub fn get_require_ping(&self) -> Option<bool> {
        self.require_ping
    }

    /// Returns the value of [`max_concurrency`](Self::max_concurrency).
    pub fn get_max_concurrency(&self) -> Option<usize> {
        self.max_concurrency
    }

    /// Returns the value of [`heartbeat`](Self::heartbeat).
    pub fn get_heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    /// Returns the value of [`busy_after`](Self::busy_after).
    pub fn get_busy_after(&self) -> Option<Duration> {
        self.busy_after
    }

    /// Returns the value of [`session_concurrency`](Self::session_concurrency).
    pub fn get_session_concurrency(&self) -> Option<SessionConcurrency> {
        self.session_concurrency
    }

    /// Returns the value of [`session_queue`](Self::session_queue).
    pub fn get_session_queue(&self) -> Option<usize> {
        self.session_queue
    }

    /// Returns the value of [`on_disconnect`](Self::on_disconnect).
    pub fn get_on_disconnect(&self) -> Option<OnDisconnect> {
        self.on_disconnect
    }

    /// Returns the value of [`reconnect_grace`](Self::reconnect_grace).
    pub fn get_reconnect_grace(&self) -> Option<Duration> {
        self.reconnect_grace
    }

    /// Returns the value of [`protocols`](Self::protocols).
    pub fn get_protocols(&self) -> Option<&[Protocol]> {
        self.protocols.as_deref()
    }

    /// Returns the value of [`max_runs`](Self::max_runs).
    pub fn get_max_runs(&self) -> Option<usize> {
        self.max_runs
    }

    /// Returns the value of [`max_run_size`](Self::max_run_size).
    pub fn get_max_run_size(&self) -> Option<ByteSize> {
        self.max_run_size
    }

    /// Returns the value of [`max_total_run_size`](Self::max_total_run_size).
    pub fn get_max_total_run_size(&self) -> Option<ByteSize> {
        self.max_total_run_size
    }

    /// Returns the value of [`run_retention`](Self::run_retention).
    pub fn get_run_retention(&self) -> Option<Duration> {
        self.run_retention
    }

    /// Returns the value of [`journal`](Self::journal).
    pub fn get_journal(&self) -> Option<&Path> {
        self.journal.as_deref()
    }

    /// Returns the value of [`list_anonymous_runs`](Self::list_anonymous_runs).
    pub fn get_list_anonymous_runs(&self) -> Option<bool> {
        self.list_anonymous_runs
    }

    /// Returns the value of [`a2a_push_private`](Self::a2a_push_private).
    #[cfg(feature = "a2a")]
    pub fn get_a2a_push_private(&self) -> Option<bool> {
        self.a2a_push_private
    }

    /// Returns the value of [`inspect_runs`](Self::inspect_runs).
    pub fn get_inspect_runs(&self) -> Option<bool> {
        self.inspect_runs
    }

    /// Returns the value of [`websocket_max_frame_size`](Self::websocket_max_frame_size).
    #[cfg(feature = "websocket")]
    pub fn get_websocket_max_frame_size(&self) -> Option<ByteSize> {
        self.websocket_max_frame_size
    }

    /// Returns the value of [`websocket_max_message_size`](Self::websocket_max_message_size).
    #[cfg(feature = "websocket")]
    pub fn get_websocket_max_message_size(&self) -> Option<ByteSize> {
        self.websocket_max_message_size
    }

    /// Returns the value of [`websocket_idle_timeout`](Self::websocket_idle_timeout).
    #[cfg(feature = "websocket")]
    pub fn get_websocket_idle_timeout(&self) -> Option<Duration> {
        self.websocket_idle_timeout
    }

    /// Returns the value of [`shutdown_grace`](Self::shutdown_grace).
    pub fn get_shutdown_grace(&self) -> Option<Duration> {
        self.shutdown_grace
    }

    /// Returns the value of [`keep_alive_timeout`](Self::keep_alive_timeout).
    pub fn get_keep_alive_timeout(&self) -> Option<Duration> {
        self.keep_alive_timeout
    }

    /// Returns the value of [`header_timeout`](Self::header_timeout).
    pub fn get_header_timeout(&self) -> Option<Duration> {
        self.header_timeout
    }

    /// Returns the value of [`body_timeout`](Self::body_timeout).
    pub fn get_body_timeout(&self) -> Option<Duration> {
        self.body_timeout
    }

    /// Returns the value of [`write_timeout`](Self::write_timeout).
    pub fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    /// Returns the value of [`blocking_warning`](Self::blocking_warning).
    pub fn get_blocking_warning(&self) -> Option<Duration> {
        self.blocking_warning
    }

    /// Returns the value of [`worker_threads`](Self::worker_threads).
    pub fn get_worker_threads(&self) -> Option<usize> {
        self.worker_threads
    }

    /// Returns the value of [`blocking_threads`](Self::blocking_threads).
    pub fn get_blocking_threads(&self) -> Option<usize> {
        self.blocking_threads
    }

    /// Returns the value of [`log`](Self::log).
    #[cfg(feature = "logging")]
    pub fn get_log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// Returns the value of [`log_format`](Self::log_format).
    #[cfg(feature = "logging")]
    pub fn get_log_format(&self) -> Option<LogFormat> {
        self.log_format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn config() -> RuntimeConfig {
        RuntimeConfig::new()
            .host("h")
            .port(1)
            .debug(true)
            .timeout(seconds(2))
            .max_request_size(ByteSize::new(3))
            .allowed_hosts(["a"])
            .cors_origins(["b"])
            .cors_credentials(true)
            .enable_middleware(false)
            .require_ping(true)
            .max_concurrency(4)
            .heartbeat(seconds(5))
            .shutdown_grace(seconds(6))
            .keep_alive_timeout(seconds(7))
            .header_timeout(seconds(8))
            .body_timeout(seconds(9))
            .write_timeout(seconds(10))
            .blocking_warning(seconds(40))
            .worker_threads(11)
            .blocking_threads(12)
            .busy_after(seconds(13))
            .session_concurrency(SessionConcurrency::Queue)
            .session_queue(14)
            .on_disconnect(OnDisconnect::Continue)
            .reconnect_grace(seconds(15))
            .max_runs(16)
            .max_run_size(ByteSize::new(17))
            .max_total_run_size(ByteSize::new(18))
            .run_retention(seconds(19))
            .list_anonymous_runs(false)
            .inspect_runs(true)
            .protocols([Protocol::Mcp])
            .journal("j")
    }

    #[test]
    fn a_getter_returns_what_its_setter_set() {
        let config = config();
        assert_eq!(config.get_host(), Some("h"));
        assert_eq!(config.get_port(), Some(1));
        assert_eq!(config.get_debug(), Some(true));
        assert_eq!(config.get_timeout(), Some(seconds(2)));
        assert_eq!(config.get_max_request_size(), Some(ByteSize::new(3)));
        assert_eq!(config.get_allowed_hosts().unwrap(), ["a"]);
        assert_eq!(config.get_cors_origins().unwrap(), ["b"]);
        assert_eq!(config.get_cors_credentials(), Some(true));
        assert_eq!(config.get_enable_middleware(), Some(false));
        assert_eq!(config.get_require_ping(), Some(true));
        assert_eq!(config.get_max_concurrency(), Some(4));
        assert_eq!(config.get_heartbeat(), Some(seconds(5)));
        assert_eq!(config.get_shutdown_grace(), Some(seconds(6)));
        assert_eq!(config.get_keep_alive_timeout(), Some(seconds(7)));
        assert_eq!(config.get_header_timeout(), Some(seconds(8)));
        assert_eq!(config.get_body_timeout(), Some(seconds(9)));
        assert_eq!(config.get_write_timeout(), Some(seconds(10)));
        assert_eq!(config.get_blocking_warning(), Some(seconds(40)));
        assert_eq!(config.get_worker_threads(), Some(11));
        assert_eq!(config.get_blocking_threads(), Some(12));
        assert_eq!(config.get_busy_after(), Some(seconds(13)));
        let concurrency = config.get_session_concurrency();
        assert_eq!(concurrency, Some(SessionConcurrency::Queue));
        assert_eq!(config.get_session_queue(), Some(14));
        assert_eq!(config.get_on_disconnect(), Some(OnDisconnect::Continue));
        assert_eq!(config.get_reconnect_grace(), Some(seconds(15)));
        assert_eq!(config.get_max_runs(), Some(16));
        assert_eq!(config.get_max_run_size(), Some(ByteSize::new(17)));
        assert_eq!(config.get_max_total_run_size(), Some(ByteSize::new(18)));
        assert_eq!(config.get_run_retention(), Some(seconds(19)));
        assert_eq!(config.get_list_anonymous_runs(), Some(false));
        assert_eq!(config.get_inspect_runs(), Some(true));
        assert_eq!(config.get_protocols(), Some(&[Protocol::Mcp][..]));
        assert_eq!(config.get_journal(), Some(Path::new("j")));
        #[cfg(feature = "metrics")]
        assert_eq!(
            config.clone().enable_metrics(false).get_enable_metrics(),
            Some(false)
        );
        #[cfg(feature = "a2a")]
        assert_eq!(
            config.a2a_push_private(true).get_a2a_push_private(),
            Some(true)
        );
        #[cfg(feature = "websocket")]
        {
            let config = RuntimeConfig::new()
                .websocket_max_frame_size(ByteSize::new(1))
                .websocket_max_message_size(ByteSize::new(2))
                .websocket_idle_timeout(seconds(3));
            assert_eq!(
                config.get_websocket_max_frame_size(),
                Some(ByteSize::new(1))
            );
            assert_eq!(
                config.get_websocket_max_message_size(),
                Some(ByteSize::new(2))
            );
            assert_eq!(config.get_websocket_idle_timeout(), Some(seconds(3)));
        }
        let config = RuntimeConfig::new().platform(Platform::AgentCore);
        assert_eq!(config.get_platform(), Some(Platform::AgentCore));
        #[cfg(feature = "logging")]
        {
            let config = RuntimeConfig::new().log("warn");
            assert_eq!(config.get_log(), Some("warn"));
            let config = config.log_format(LogFormat::Json);
            assert_eq!(config.get_log_format(), Some(LogFormat::Json));
        }
    }
}
