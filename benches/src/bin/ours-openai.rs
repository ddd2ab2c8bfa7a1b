//! The agent on this framework; streams words that are all ready, for `OpenAI`'s chat completions.

use futures_util::stream::{self, Stream};
use ppio::InvocationRequest;

#[ppio::entrypoint]
async fn agent(request: InvocationRequest) -> impl Stream<Item = String> {
    let prompt = request.prompt.as_deref().unwrap_or_default();
    stream::iter(ppio_benches::words(ppio_benches::prompt_length(prompt)))
}
