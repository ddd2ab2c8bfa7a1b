//! Streams an answer word by word, as a language model does.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};

#[derive(serde::Deserialize)]
struct Prompt {
    prompt: String,
}

#[ppio::entrypoint]
async fn agent(request: Prompt) -> impl Stream<Item = String> {
    let words: Vec<String> = request
        .prompt
        .split_inclusive(' ')
        .map(str::to_owned)
        .collect();
    stream::iter(words).then(|word| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        word
    })
}
