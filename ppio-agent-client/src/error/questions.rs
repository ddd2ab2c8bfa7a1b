//! Methods that classify an error by its root cause.

use std::time::Duration;

use ppio_agent_protocol::AGENT_RESTARTED;

use super::Error;

impl Error {
    /// Returns the cause below [`SandboxCreation`](Self::SandboxCreation) and
    /// [`SandboxOperation`](Self::SandboxOperation), and any other error itself.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// use ppio_agent_client::Error;
    ///
    /// let error = client.create_session("missing").await.unwrap_err();
    /// assert!(matches!(error, Error::SandboxCreation { .. }));
    /// assert!(matches!(error.root(), Error::TemplateNotFound { .. }));
    /// # Ok(()) });
    /// ```
    pub fn root(&self) -> &Self {
        let mut error = self;
        while let Self::SandboxCreation { source, .. } | Self::SandboxOperation { source, .. } =
            error
        {
            error = source;
        }
        error
    }

    /// Whether the [`root`](Self::root) is a connection that could not be established or broke
    /// ([`Network`](Self::Network)).
    pub fn is_network(&self) -> bool {
        matches!(self.root(), Self::Network { .. })
    }

    /// Whether the [`root`](Self::root) is a time limit that passed: no response within the
    /// deadline ([`Timeout`](Self::Timeout)), or a silent stream
    /// ([`StreamIdle`](Self::StreamIdle)).
    pub fn is_timeout(&self) -> bool {
        matches!(self.root(), Self::Timeout { .. } | Self::StreamIdle { .. })
    }

    /// Whether the [`root`](Self::root) is [`RateLimit`](Self::RateLimit).
    pub fn is_rate_limit(&self) -> bool {
        matches!(self.root(), Self::RateLimit { .. })
    }

    /// Whether the connection of an invocation broke and the agent has no record of the invocation,
    /// because the agent has restarted or may have restarted: it is unknown whether the invocation
    /// ran. An agent with a journal keeps the record.
    pub fn is_agent_restarted(&self) -> bool {
        matches!(
            self.root(),
            Self::Invocation { error_type: Some(kind), .. } if kind == AGENT_RESTARTED
        )
    }

    /// Whether the [`root`](Self::root) is [`Authentication`](Self::Authentication).
    pub fn is_authentication(&self) -> bool {
        matches!(self.root(), Self::Authentication { .. })
    }

    /// The pause that a response with status 429 (too many requests) requests; `None` if the
    /// response requests no pause, and for other errors.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.root() {
            Self::RateLimit { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{NetworkError, NetworkErrorKind};

    #[test]
    fn an_agent_restart_is_identified_by_its_error_type() {
        let error = |error_type: Option<&str>| Error::Invocation {
            sandbox_id: "sb".into(),
            status: Some(409),
            error_type: error_type.map(str::to_owned),
            message: String::new(),
            request_id: None,
        };
        assert!(error(Some("AgentRestarted")).is_agent_restarted());
        assert!(!error(Some("AgentRestarted")).is_retryable());
        assert!(!error(Some("SessionBusy")).is_agent_restarted());
        assert!(!error(None).is_agent_restarted());
    }

    #[test]
    fn predicates_check_the_root() {
        let limit = Duration::from_secs(1);
        let refused = || Error::Network {
            operation: "create sandbox".into(),
            source: NetworkError::new(NetworkErrorKind::Connect, "host", "refused"),
        };
        let timeout = || Error::Timeout {
            operation: "create sandbox".into(),
            limit,
        };
        let limited = || Error::RateLimit {
            message: "slow down".into(),
            retry_after: Some(limit),
        };
        let rejected = || Error::Authentication {
            status: Some(401),
            message: "unknown key".into(),
        };
        let plain: [fn(&Error) -> bool; 4] = [
            Error::is_network,
            Error::is_timeout,
            Error::is_rate_limit,
            Error::is_authentication,
        ];
        for (index, error) in [refused(), timeout(), limited(), rejected()]
            .into_iter()
            .enumerate()
        {
            let code = error.code();
            let wrapped = error
                .with_operation("pause", "sb")
                .while_creating("tmpl", Some("sb"));
            assert_eq!(wrapped.code(), "sandbox_creation");
            assert_eq!(wrapped.root().code(), code);
            for (other, question) in plain.iter().enumerate() {
                assert_eq!(question(&wrapped), other == index, "{code}");
                assert_eq!(question(wrapped.root()), other == index, "{code}");
            }
        }
        assert_eq!(
            limited().while_creating("t", None).retry_after(),
            Some(limit)
        );
        assert_eq!(refused().retry_after(), None);
    }
}
