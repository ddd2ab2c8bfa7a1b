//! The model that the agent calls, and its errors.

use std::pin::Pin;
use std::sync::LazyLock;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use futures_util::{Stream, StreamExt as _, stream};
use ppio::http::StatusCode;
use ppio::{Error, Value, json};
use serde::{Deserialize, Serialize};

/// One message of a conversation.
#[derive(Serialize, Deserialize)]
pub(crate) struct Message {
    role: Role,
    content: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    User,
    Assistant,
}

impl Message {
    pub(crate) fn from_user(content: String) -> Self {
        Self {
            role: Role::User,
            content,
        }
    }
}

/// A model at an endpoint.
pub(crate) struct Model {
    client: Client<OpenAIConfig>,
    name: String,
}

/// The fields of a chunk that are used. Endpoints differ in the others.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    /// An error after the answer has begun.
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct Delta {
    content: Option<String>,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Chunk, OpenAIError>> + Send>>;

impl Model {
    /// Returns the model that the environment selects, created once so that connections are reused.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        static MODEL: LazyLock<Result<Model, String>> = LazyLock::new(Model::from_env);
        let model = MODEL.as_ref();
        model.map_err(|missing| failure(missing.clone()).with_type("NotConfigured"))
    }

    fn from_env() -> Result<Self, String> {
        let variable = |name: &str, example: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("{name} is not set; example: {example}"))
        };
        let config = OpenAIConfig::new()
            .with_api_base(variable("OPENAI_BASE_URL", "https://api.openai.com/v1")?)
            .with_api_key(variable("OPENAI_API_KEY", "any text for a local server")?);
        let name = variable("OPENAI_MODEL", "gpt-4o-mini")?;
        // The call fails only if a provider is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().build();
        let http =
            http.map_err(|error| format!("no HTTP client (install ca-certificates): {error:?}"))?;
        Ok(Self {
            client: Client::build(http, config),
            name,
        })
    }

    /// Streams the model's next message.
    pub(crate) async fn answer(
        &self,
        messages: Vec<Message>,
    ) -> Result<impl Stream<Item = Result<String, Error>> + use<>, Error> {
        let request = json!({ "model": self.name, "messages": messages, "stream": true });
        let chunks: Chunks = self
            .client
            .chat()
            .create_stream_byot(request)
            .await
            .map_err(failed)?;
        Ok(stream::try_unfold((chunks, false), next_text))
    }
}

/// Returns the next text; at the end of the chunks, an error if the answer is incomplete.
async fn next_text(
    (mut chunks, mut finished): (Chunks, bool),
) -> Result<Option<(String, (Chunks, bool))>, Error> {
    while let Some(chunk) = chunks.next().await {
        let Chunk { choices, error } = chunk.map_err(failed)?;
        if let Some(error) = error {
            return Err(
                failure("the model failed during its answer").with_source(error.to_string())
            );
        }
        // A chunk without a choice carries statistics.
        let Some(choice) = choices.into_iter().next() else {
            continue;
        };
        finished |= choice.finish_reason.is_some();
        if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
            return Ok(Some((text, (chunks, finished))));
        }
    }
    if finished {
        Ok(None)
    } else {
        Err(failure("the model's answer is incomplete"))
    }
}

/// Returns the error for the agent's caller; its source is the endpoint's error, which is logged.
fn failed(error: OpenAIError) -> Error {
    let for_caller = match &error {
        OpenAIError::ApiError(answer) => match answer.status_code {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                failure("the model's endpoint rejects the API key; check OPENAI_API_KEY")
            }
            StatusCode::NOT_FOUND => failure(
                "the model's endpoint does not have this model; check OPENAI_MODEL and OPENAI_BASE_URL",
            ),
            StatusCode::TOO_MANY_REQUESTS => {
                Error::too_many_requests("the model is over its limits; try again later")
            }
            // The conversation is invalid, for example too long; the caller has to change it.
            StatusCode::BAD_REQUEST => Error::bad_request(format!(
                "the model refuses the conversation: {}",
                answer.api_error.message
            )),
            status => failure(format!("the model's endpoint answered {status}")),
        },
        OpenAIError::Reqwest(error) if error.is_connect() => {
            failure("the model's endpoint cannot be reached; check OPENAI_BASE_URL")
        }
        OpenAIError::StreamError(_) | OpenAIError::Reqwest(_) => {
            failure("the model's answer is incomplete")
        }
        _ => failure(
            "the answer of the endpoint does not follow OpenAI's API; check OPENAI_BASE_URL",
        ),
    };
    for_caller.with_source(error)
}

/// Returns an error with status 502: the model failed, not the agent.
fn failure(text: impl Into<String>) -> Error {
    Error::new(StatusCode::BAD_GATEWAY, text).with_type("ModelError")
}
