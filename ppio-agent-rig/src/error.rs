//! Errors of runs as errors of the agent.

use ppio::Error;
use ppio::http::StatusCode;
use rig::completion::PromptError;
use rig::error::{ErrorKind, ProviderError};

/// Returns the error for the caller of an agent whose run failed.
///
/// | failure | status | error type |
/// | --- | --- | --- |
/// | a limit of the provider is exceeded | 429 | `TooManyRequests` |
/// | the provider refuses the conversation (400, 413, 422), or rig cannot send it | 400 | `BadRequest` |
/// | any other failure of the provider or of the connection to it | 502 | `ModelError` |
/// | the model calls a tool that the agent does not have | 502 | `ModelError` |
/// | too many turns | 500 | `TooManyTurns` |
/// | anything else | 500 | `RigError` |
///
/// rig's error is the source, which is logged and never sent: an answer of a provider may contain
/// parts of the API key.
///
/// ```
/// use ppio_rig::rig::error::ProviderError;
///
/// let error = ppio_rig::error(ProviderError::Truncated.into());
/// assert_eq!(error.status(), 502);
/// assert_eq!(error.message(), "the model's answer is incomplete");
/// ```
pub fn error(failure: PromptError) -> Error {
    describe(&failure).with_source(failure)
}

fn describe(failure: &PromptError) -> Error {
    if let Some(status) = failure.provider_response_status()
        && !status.is_success()
    {
        return refused(status);
    }
    match failure {
        PromptError::Provider(ProviderError::Truncated) => incomplete(),
        PromptError::Provider(error) => of_kind(error.kind()),
        PromptError::Report(report) => of_kind(report.kind),
        PromptError::MaxTurns { max_turns, .. } => Error::internal(format!(
            "the run needs more than {max_turns} calls of the model; raise `max_turns`"
        ))
        .with_type("TooManyTurns"),
        PromptError::UnknownToolCall { tool_name, .. } => model_error(format!(
            "the model called the tool `{tool_name}`, which the agent does not have"
        )),
        _ => Error::internal("the run of the agent failed; its log has the reason")
            .with_type("RigError"),
    }
}

fn refused(status: StatusCode) -> Error {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            model_error("the model's provider refuses the key; check the API key")
        }
        StatusCode::NOT_FOUND => {
            model_error("the model's provider does not have it; check the model's name and the URL")
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Error::too_many_requests("the model is over its limits; try again later")
        }
        // The conversation is invalid, for example too long; the caller has to change it.
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => {
            Error::bad_request("the model's provider refuses the conversation")
        }
        status => model_error(format!("the model's provider answered {status}")),
    }
}

fn of_kind(kind: ErrorKind) -> Error {
    match kind {
        ErrorKind::Http | ErrorKind::Url => {
            model_error("the connection to the model's provider failed; check its URL")
        }
        ErrorKind::Json | ErrorKind::Response => incomplete(),
        ErrorKind::Provider | ErrorKind::ProviderResponse => {
            model_error("the model failed during its answer")
        }
        ErrorKind::Request => Error::bad_request("the conversation cannot be sent to this model"),
        _ => Error::internal("the run of the agent failed; its log has the reason")
            .with_type("RigError"),
    }
}

fn incomplete() -> Error {
    model_error("the model's answer is incomplete")
}

/// Returns an error with status 502: the model failed, not the agent.
fn model_error(text: impl Into<String>) -> Error {
    Error::new(StatusCode::BAD_GATEWAY, text).with_type("ModelError")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_status_and_does_not_send_the_providers_text() {
        let answered = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            PromptError::from(ProviderError::from_http_response(status, "sk-secret"))
        };
        for (failure, status, error_type, part) in [
            (answered(401), 502, "ModelError", "check the API key"),
            (answered(404), 502, "ModelError", "check the model's name"),
            (answered(429), 429, "TooManyRequests", "over its limits"),
            (answered(400), 400, "BadRequest", "refuses the conversation"),
            (answered(500), 502, "ModelError", "answered 500"),
            (
                ProviderError::Truncated.into(),
                502,
                "ModelError",
                "is incomplete",
            ),
            (
                ProviderError::Provider("sk-secret".into()).into(),
                502,
                "ModelError",
                "failed during its answer",
            ),
            (
                PromptError::MaxTurns {
                    max_turns: 3,
                    chat_history: Vec::new(),
                    prompt: "hi".into(),
                },
                500,
                "TooManyTurns",
                "more than 3 calls",
            ),
            (
                PromptError::cancelled([], "sk-secret"),
                500,
                "RigError",
                "its log has the reason",
            ),
        ] {
            let error = error(failure);
            let text = error.message();
            assert_eq!(
                (error.status().as_u16(), error.error_type()),
                (status, error_type),
                "{text}"
            );
            assert!(text.contains(part), "{text}");
            assert!(!text.contains("sk-"), "{text}");
        }
    }
}
