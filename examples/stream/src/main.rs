//! Streams an answer word by word, as a language model does.

use std::time::Duration;

use ppio::tokio::time::sleep;
use ppio::{Stream, stream};

#[derive(serde::Deserialize)]
struct Prompt {
    prompt: String,
}

#[ppio::entrypoint]
async fn agent(request: Prompt) -> impl Stream<Item = String> {
    stream! {
        for word in request.prompt.split_inclusive(' ') {
            sleep(Duration::from_millis(300)).await;
            yield word.to_owned();
        }
    }
}
