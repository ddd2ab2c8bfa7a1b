//! {{name}}: an answer item by item.

use std::time::Duration;

use ppio::tokio::time::sleep;
use ppio::{Stream, stream};

/// A request that does not fit is answered with the field that is wrong.
#[derive(serde::Deserialize)]
struct Request {
    prompt: String,
}

/// Every item goes out as soon as it is there. A caller that goes away ends the stream.
#[ppio::entrypoint]
async fn agent(request: Request) -> impl Stream<Item = String> {
    stream! {
        for word in request.prompt.split_inclusive(' ') {
            sleep(Duration::from_millis(50)).await;
            yield word.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use ppio::json;
    use ppio::testing::TestAgent;

    #[tokio::test]
    async fn it_streams_word_by_word() {
        let agent = TestAgent::annotated().unwrap();
        let reply = agent.invoke(&json!({ "prompt": "one two" })).await;
        assert_eq!(reply.items::<String>().await, ["one ", "two"]);
    }

    #[tokio::test]
    async fn it_wants_a_prompt() {
        let agent = TestAgent::annotated().unwrap();
        assert_eq!(agent.invoke(&json!({})).await.status(), 422);
    }
}
