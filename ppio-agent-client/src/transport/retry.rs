//! Whether a request is sent again, and after which pause.

use std::future::Future;
use std::time::Duration;

use http::{Response, StatusCode};

use super::deadline::Deadline;
use super::retry_after::retry_after;
use crate::error::{Error, NetworkErrorKind};

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotency {
    /// After any broken connection or temporary failure: repeating the request has no further
    /// effect.
    Safe,
    /// Like [`Safe`](Self::Safe) if the server honours the idempotency key of the request,
    /// otherwise like [`IfRejected`](Self::IfRejected).
    Keyed,
    /// Only if the server rejected the request (429, 503), or cannot have received it.
    IfRejected,
    /// Only if the server cannot have received the request.
    IfUnsent,
    /// Never. The caller decides whether to repeat the request.
    Never,
}

/// How often a request is retried, and how long the pauses are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// Attempts after the first one.
    pub(crate) max_retries: u32,
    /// The longest pause before the first retry; doubles with each further retry.
    pub(crate) delay: Duration,
    /// The longest pause; a `Retry-After` may be longer.
    pub(crate) max_delay: Duration,
}

impl RetryPolicy {
    /// Returns the longest pause before retry `number` (counted from 0).
    fn ceiling(self, number: u32) -> Duration {
        let factor = 2_u32.saturating_pow(number.min(31));
        self.delay.saturating_mul(factor).min(self.max_delay)
    }

    /// Returns the pause before retry `number`, with full jitter: between zero and the ceiling, so
    /// that clients that failed together do not retry together.
    pub(crate) fn pause(self, number: u32, requested: Option<Duration>) -> Duration {
        match requested {
            // Up to a tenth is added, so that not all clients retry at the requested moment.
            Some(requested) => {
                requested.saturating_add(self.delay.min(requested / 10).mul_f64(fastrand::f64()))
            }
            None => self.ceiling(number).mul_f64(fastrand::f64()),
        }
    }
}

impl RetryPolicy {
    /// Runs `attempt` until it needs no retry, or no attempts or no time is left.
    ///
    /// If a pause would outlast the deadline, the last outcome is returned immediately, because it
    /// is more specific than a timeout.
    pub(crate) async fn run<T, F, Fut>(self, deadline: Deadline, mut attempt: F) -> T
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = (T, Retry)>,
    {
        let mut number = 0;
        loop {
            let (outcome, retry) = attempt().await;
            let Retry::After(requested) = retry else {
                return outcome;
            };
            let pause = self.pause(number, requested);
            if number >= self.max_retries || pause >= deadline.remaining() {
                return outcome;
            }
            tracing::debug!(?pause, "retrying");
            drop(outcome);
            tokio::time::sleep(pause).await;
            number += 1;
        }
    }
}

/// Runs `attempt` until it succeeds or fails permanently, or no attempts or no time is left.
/// `idempotency` is evaluated after each attempt.
pub(super) async fn run<B, F, Fut>(
    policy: RetryPolicy,
    idempotency: impl Fn() -> Idempotency,
    deadline: Deadline,
    mut attempt: F,
) -> Result<Response<B>, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Response<B>, Error>>,
{
    let idempotency = &idempotency;
    policy
        .run(deadline, || {
            let attempt = attempt();
            async move {
                let outcome = attempt.await;
                let retry = match &outcome {
                    Ok(response) => after_response(idempotency(), response),
                    Err(error) => after_failure(idempotency(), error),
                };
                (outcome, retry)
            }
        })
        .await
}

/// Whether a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    No,
    /// After the pause that the server requests, or the policy's pause if `None`.
    After(Option<Duration>),
}

fn after_response<B>(idempotency: Idempotency, response: &Response<B>) -> Retry {
    let is_temporary = match idempotency {
        Idempotency::IfUnsent | Idempotency::Never => false,
        // `Keyed` applies until the server is known to honour keys.
        Idempotency::Keyed | Idempotency::IfRejected => matches!(
            response.status(),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ),
        Idempotency::Safe => matches!(
            response.status(),
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
    };
    if is_temporary {
        tracing::debug!(status = response.status().as_u16(), "a temporary failure");
        Retry::After(retry_after(response.headers()))
    } else {
        Retry::No
    }
}

/// Whether a request that failed with `error` may be sent again.
pub(crate) fn after_failure(idempotency: Idempotency, error: &Error) -> Retry {
    let Error::Network { source, .. } = error else {
        return Retry::No;
    };
    tracing::debug!(error = %error.report(), "a connection failed");
    match source.kind() {
        _ if idempotency == Idempotency::Never => Retry::No,
        // The idle connection was closed; a new one needs no pause.
        NetworkErrorKind::Unsent => Retry::After(Some(Duration::ZERO)),
        _ if !source.may_have_arrived() || idempotency == Idempotency::Safe => Retry::After(None),
        _ => Retry::No,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use http::header;
    use tokio::time::Instant;

    use super::*;
    use crate::error::NetworkError;

    const POLICY: RetryPolicy = RetryPolicy {
        max_retries: 3,
        delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(30),
    };

    type Step = fn() -> Result<Response<()>, Error>;

    #[allow(clippy::unnecessary_wraps, reason = "the type `Step` has a `Result`")]
    fn response(status: u16, after: Option<&str>) -> Result<Response<()>, Error> {
        let mut builder = Response::builder().status(status);
        if let Some(after) = after {
            builder = builder.header(header::RETRY_AFTER, after);
        }
        Ok(builder.body(()).expect("valid"))
    }

    fn broken(kind: NetworkErrorKind) -> Result<Response<()>, Error> {
        Err(Error::Network {
            operation: "call".into(),
            source: NetworkError::new(kind, "host", "reset"),
        })
    }

    /// Runs `script`, repeating its last step, and returns the outcome and when each attempt began.
    async fn run_script(
        idempotency: Idempotency,
        limit: Duration,
        script: &[Step],
    ) -> (Result<Response<()>, Error>, Vec<Duration>) {
        let start = Instant::now();
        let attempts = RefCell::new(Vec::new());
        let outcome = run(
            POLICY,
            || idempotency,
            Deadline::after(limit),
            || {
                let number = attempts.borrow().len();
                attempts.borrow_mut().push(start.elapsed());
                let line = script[number.min(script.len() - 1)];
                async move { line() }
            },
        )
        .await;
        (outcome, attempts.into_inner())
    }

    const LONG: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn a_safe_call_is_retried_after_temporary_failures() {
        let script: &[Step] = &[
            || broken(NetworkErrorKind::Connect),
            || broken(NetworkErrorKind::Interrupted),
            || response(503, None),
            || response(200, None),
        ];
        let (outcome, attempts) = run_script(Idempotency::Safe, LONG, script).await;
        assert_eq!(outcome.expect("a response").status(), 200);
        assert_eq!(attempts.len(), 4);
        // Ceilings of 1, 2 and 4 seconds.
        assert!(attempts[3] <= Duration::from_secs(7) + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_limited_and_the_last_failure_is_returned() {
        let (outcome, attempts) =
            run_script(Idempotency::Safe, LONG, &[|| response(500, None)]).await;
        assert_eq!(outcome.expect("a response").status(), 500);
        assert_eq!(attempts.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_may_have_arrived_is_retried_only_if_that_is_safe() {
        for kind in [NetworkErrorKind::Interrupted, NetworkErrorKind::Cut] {
            for (idempotency, count) in [
                (Idempotency::Safe, 4),
                (Idempotency::IfRejected, 1),
                (Idempotency::IfUnsent, 1),
            ] {
                let line: Step = match kind {
                    NetworkErrorKind::Cut => || broken(NetworkErrorKind::Cut),
                    _ => || broken(NetworkErrorKind::Interrupted),
                };
                let (outcome, attempts) = run_script(idempotency, LONG, &[line]).await;
                assert!(outcome.is_err());
                assert_eq!(attempts.len(), count, "{kind:?} {idempotency:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_invocation_is_never_retried_for_a_status() {
        for line in [
            (|| response(429, None)) as Step,
            || response(500, None),
            || response(502, None),
            || response(503, Some("0")),
        ] {
            let (_, attempts) = run_script(Idempotency::IfUnsent, LONG, &[line]).await;
            assert_eq!(attempts.len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_creation_is_retried_after_a_rejection_and_not_after_a_500() {
        let (_, attempts) =
            run_script(Idempotency::IfRejected, LONG, &[|| response(429, None)]).await;
        assert_eq!(attempts.len(), 4);
        let (_, attempts) =
            run_script(Idempotency::IfRejected, LONG, &[|| response(500, None)]).await;
        assert_eq!(attempts.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_idle_connection_needs_no_pause() {
        let script: &[Step] = &[|| broken(NetworkErrorKind::Unsent), || response(200, None)];
        let (outcome, attempts) = run_script(Idempotency::IfUnsent, LONG, script).await;
        assert!(outcome.is_ok());
        assert!(attempts[1] < Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_honoured() {
        let script: &[Step] = &[|| response(429, Some("7")), || response(200, None)];
        let (outcome, attempts) = run_script(Idempotency::Safe, LONG, script).await;
        assert!(outcome.is_ok());
        assert!(attempts[1] >= Duration::from_secs(7) && attempts[1] < Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_deadline_is_skipped() {
        let start = Instant::now();
        let script: &[Step] = &[|| response(429, Some("3600"))];
        let (outcome, attempts) =
            run_script(Idempotency::Safe, Duration::from_secs(60), script).await;
        assert_eq!(outcome.expect("a response").status(), 429);
        assert_eq!(attempts.len(), 1);
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_range_of_the_clock_is_skipped() {
        for after in ["18446744073709551615", "1.8e19"] {
            let header = after.to_owned();
            let outcome = run(
                POLICY,
                || Idempotency::Safe,
                Deadline::after(Duration::MAX),
                || async { response(429, Some(&header)) },
            );
            assert_eq!(outcome.await.expect("a response").status(), 429);
        }
    }

    #[test]
    fn pauses_double_up_to_the_limit_and_stay_below_it() {
        for (number, seconds) in [(0, 1), (1, 2), (4, 16), (5, 30), (60, 30)] {
            assert_eq!(POLICY.ceiling(number), Duration::from_secs(seconds));
            for _ in 0..100 {
                assert!(POLICY.pause(number, None) <= POLICY.ceiling(number));
            }
        }
    }
}
