//! {{name}}: streams the answer of a language model, from any endpoint that speaks OpenAI's chat completions.

use std::pin::Pin;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use futures_util::{Stream, StreamExt as _, future};
use ppio::{Error, Value, json};

/// The instructions to the model.
const INSTRUCTIONS: &str = "You are a helpful assistant. Answer briefly.";

#[derive(serde::Deserialize)]
struct Request {
    prompt: String,
}

/// A caller that goes away stops the model: its stream is dropped, and the connection with it.
#[ppio::entrypoint]
async fn agent(request: Request) -> Result<impl Stream<Item = Result<String, Error>>, Error> {
    let model = Model {
        endpoint: variable("OPENAI_BASE_URL", "https://api.openai.com/v1")?,
        key: variable("OPENAI_API_KEY", "the key of your account")?,
        name: variable("OPENAI_MODEL", "gpt-4o-mini")?,
    };
    model.answer(&request.prompt).await
}

struct Model {
    endpoint: String,
    key: String,
    name: String,
}

impl Model {
    /// The model's answer in the pieces in which it comes.
    async fn answer(
        self,
        prompt: &str,
    ) -> Result<impl Stream<Item = Result<String, Error>> + use<>, Error> {
        // An error says that a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = OpenAIConfig::new()
            .with_api_base(self.endpoint)
            .with_api_key(self.key);
        let request = json!({
            "model": self.name,
            "messages": [
                { "role": "system", "content": INSTRUCTIONS },
                { "role": "user", "content": prompt },
            ],
            "stream": true,
        });
        type Chunks = Pin<Box<dyn Stream<Item = Result<Value, OpenAIError>> + Send>>;
        let chunks: Chunks = Client::with_config(config)
            .chat()
            .create_stream_byot(request)
            .await
            .map_err(failed)?;
        Ok(chunks.filter_map(|chunk| future::ready(text(chunk))))
    }
}

/// The text of a chunk. Other chunks have its end or its usage.
fn text(chunk: Result<Value, OpenAIError>) -> Option<Result<String, Error>> {
    let chunk = match chunk.map_err(failed) {
        Ok(chunk) => chunk,
        Err(error) => return Some(Err(error)),
    };
    if let Some(error) = chunk.get("error") {
        return Some(Err(failed(error)));
    }
    let text = chunk["choices"][0]["delta"]["content"].as_str()?;
    (!text.is_empty()).then(|| Ok(text.to_owned()))
}

/// The endpoint's own words go to the log, not to the caller.
fn failed(error: impl ToString) -> Error {
    Error::unavailable("the model failed").with_source(error.to_string())
}

fn variable(name: &str, example: &str) -> Result<String, Error> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| Error::unavailable(format!("{name} is not set; example: {example}")))
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use ppio::json;
    use ppio::testing::TestAgent;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::Model;

    /// A model that says two words.
    async fn endpoint() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _ = connection.read(&mut [0; 8192]).await.unwrap();
            let mut answer =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
                    .to_owned();
            for word in ["Hello", " there"] {
                let chunk = json!({ "choices": [{ "delta": { "content": word } }] });
                answer.push_str(&format!("data: {chunk}\n\n"));
            }
            answer.push_str("data: [DONE]\n\n");
            connection.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn it_streams_what_the_model_says() {
        let model = Model {
            endpoint: endpoint().await,
            key: "any".into(),
            name: "any".into(),
        };
        let answer = model.answer("hi").await.unwrap();
        let answer: Vec<String> = answer.try_collect().await.unwrap();
        assert_eq!(answer, ["Hello", " there"]);
    }

    #[tokio::test]
    async fn it_wants_a_prompt() {
        let agent = TestAgent::annotated().unwrap();
        assert_eq!(agent.invoke(&json!({})).await.status(), 422);
    }
}
