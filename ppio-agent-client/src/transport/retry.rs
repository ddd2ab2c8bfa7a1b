//! When to try again, and after how long.

use std::future::Future;
use std::time::Duration;

use http::{Response, StatusCode};

use super::deadline::Deadline;
use super::retry_after::retry_after;
use crate::error::{Error, NetworkErrorKind};

/// What is known about doing a call twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotency {
    /// Twice has the effect of once: any broken connection or passing failure is tried again.
    Safe,
    /// Only when the other side said that it did nothing (429, 503), or cannot have heard.
    IfRejected,
    /// Only when the other side cannot have heard of it.
    IfUnsent,
    /// Not at all: the caller has its own way of trying again.
    Never,
}

/// How often and how patiently to try again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// Tries after the first one.
    pub(crate) max_retries: u32,
    /// The longest pause before the first retry; doubles with every one after it.
    pub(crate) delay: Duration,
    /// The longest pause of all (a `Retry-After` may ask for more).
    pub(crate) max_delay: Duration,
}

impl RetryPolicy {
    /// The longest pause before retry `number` (counted from 0).
    fn ceiling(self, number: u32) -> Duration {
        let factor = 2_u32.saturating_pow(number.min(31));
        self.delay.saturating_mul(factor).min(self.max_delay)
    }

    /// Full jitter: anything from zero to the ceiling, so that many clients that failed
    /// together do not come back together.
    fn pause(self, number: u32, asked: Option<Duration>) -> Duration {
        match asked {
            // A server that says when is believed; a little is added so that not all return at once.
            Some(asked) => {
                asked.saturating_add(self.delay.min(asked / 10).mul_f64(fastrand::f64()))
            }
            None => self.ceiling(number).mul_f64(fastrand::f64()),
        }
    }
}

/// Runs `attempt` until it succeeds, fails for good, or neither tries nor time are left.
///
/// A pause that would outlast the deadline is not begun: the failure at hand is returned,
/// which tells the caller more than a timeout would.
pub(crate) async fn run<B, F, Fut>(
    policy: RetryPolicy,
    idempotency: Idempotency,
    deadline: Deadline,
    mut attempt: F,
) -> Result<Response<B>, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Response<B>, Error>>,
{
    let mut number = 0;
    loop {
        let outcome = attempt().await;
        let again = match &outcome {
            Ok(response) => after_answer(idempotency, response),
            Err(error) => after_failure(idempotency, error),
        };
        let Again::After(asked) = again else {
            return outcome;
        };
        let pause = policy.pause(number, asked);
        if number >= policy.max_retries || pause >= deadline.remaining() {
            return outcome;
        }
        match &outcome {
            Ok(response) => {
                tracing::debug!(status = response.status().as_u16(), ?pause, "trying again");
            }
            Err(error) => tracing::debug!(error = %error.report(), ?pause, "trying again"),
        }
        drop(outcome);
        tokio::time::sleep(pause).await;
        number += 1;
    }
}

enum Again {
    No,
    After(Option<Duration>),
}

fn after_answer<B>(idempotency: Idempotency, response: &Response<B>) -> Again {
    let passing = match idempotency {
        Idempotency::IfUnsent | Idempotency::Never => false,
        Idempotency::IfRejected => matches!(
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
    if passing {
        Again::After(retry_after(response.headers()))
    } else {
        Again::No
    }
}

fn after_failure(idempotency: Idempotency, error: &Error) -> Again {
    let Error::Network { source, .. } = error else {
        return Again::No;
    };
    match source.kind() {
        _ if idempotency == Idempotency::Never => Again::No,
        // The connection was stale; a fresh one needs no pause.
        NetworkErrorKind::Unsent => Again::After(Some(Duration::ZERO)),
        _ if !source.may_have_arrived() || idempotency == Idempotency::Safe => Again::After(None),
        _ => Again::No,
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

    type Line = fn() -> Result<Response<()>, Error>;

    #[allow(clippy::unnecessary_wraps, reason = "a line of a script is a result")]
    fn answer(status: u16, after: Option<&str>) -> Result<Response<()>, Error> {
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

    /// Plays `script`, repeating its last line, and returns the outcome and when each try began.
    async fn play(
        idempotency: Idempotency,
        limit: Duration,
        script: &[Line],
    ) -> (Result<Response<()>, Error>, Vec<Duration>) {
        let start = Instant::now();
        let tries = RefCell::new(Vec::new());
        let outcome = run(POLICY, idempotency, Deadline::after(limit), || {
            let number = tries.borrow().len();
            tries.borrow_mut().push(start.elapsed());
            let line = script[number.min(script.len() - 1)];
            async move { line() }
        })
        .await;
        (outcome, tries.into_inner())
    }

    const LONG: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn a_safe_call_survives_passing_failures() {
        let script: &[Line] = &[
            || broken(NetworkErrorKind::Connect),
            || broken(NetworkErrorKind::Interrupted),
            || answer(503, None),
            || answer(200, None),
        ];
        let (outcome, tries) = play(Idempotency::Safe, LONG, script).await;
        assert_eq!(outcome.expect("answered").status(), 200);
        assert_eq!(tries.len(), 4);
        // Ceilings of 1, 2 and 4 seconds.
        assert!(tries[3] <= Duration::from_secs(7) + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_are_counted_and_the_last_failure_is_told() {
        let (outcome, tries) = play(Idempotency::Safe, LONG, &[|| answer(500, None)]).await;
        assert_eq!(outcome.expect("an answer").status(), 500);
        assert_eq!(tries.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_arrived_is_repeated_only_if_that_is_safe() {
        for kind in [NetworkErrorKind::Interrupted, NetworkErrorKind::Cut] {
            for (idempotency, count) in [
                (Idempotency::Safe, 4),
                (Idempotency::IfRejected, 1),
                (Idempotency::IfUnsent, 1),
            ] {
                let line: Line = match kind {
                    NetworkErrorKind::Cut => || broken(NetworkErrorKind::Cut),
                    _ => || broken(NetworkErrorKind::Interrupted),
                };
                let (outcome, tries) = play(idempotency, LONG, &[line]).await;
                assert!(outcome.is_err());
                assert_eq!(tries.len(), count, "{kind:?} {idempotency:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_invocation_is_never_repeated_for_a_status() {
        for line in [
            (|| answer(429, None)) as Line,
            || answer(500, None),
            || answer(502, None),
            || answer(503, Some("0")),
        ] {
            let (_, tries) = play(Idempotency::IfUnsent, LONG, &[line]).await;
            assert_eq!(tries.len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_creation_is_repeated_for_a_rejection_and_not_for_a_500() {
        let (_, tries) = play(Idempotency::IfRejected, LONG, &[|| answer(429, None)]).await;
        assert_eq!(tries.len(), 4);
        let (_, tries) = play(Idempotency::IfRejected, LONG, &[|| answer(500, None)]).await;
        assert_eq!(tries.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_connection_costs_no_pause() {
        let script: &[Line] = &[|| broken(NetworkErrorKind::Unsent), || answer(200, None)];
        let (outcome, tries) = play(Idempotency::IfUnsent, LONG, script).await;
        assert!(outcome.is_ok());
        assert!(tries[1] < Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_honoured() {
        let script: &[Line] = &[|| answer(429, Some("7")), || answer(200, None)];
        let (outcome, tries) = play(Idempotency::Safe, LONG, script).await;
        assert!(outcome.is_ok());
        assert!(tries[1] >= Duration::from_secs(7) && tries[1] < Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_deadline_is_not_begun() {
        let start = Instant::now();
        let script: &[Line] = &[|| answer(429, Some("3600"))];
        let (outcome, tries) = play(Idempotency::Safe, Duration::from_secs(60), script).await;
        assert_eq!(outcome.expect("an answer").status(), 429);
        assert_eq!(tries.len(), 1);
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_no_clock_can_count_is_no_pause() {
        for after in ["18446744073709551615", "1.8e19"] {
            let header = after.to_owned();
            let outcome = run(
                POLICY,
                Idempotency::Safe,
                Deadline::after(Duration::MAX),
                || async { answer(429, Some(&header)) },
            );
            assert_eq!(outcome.await.expect("an answer").status(), 429);
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
