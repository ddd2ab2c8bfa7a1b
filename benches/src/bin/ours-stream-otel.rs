//! The agent on this framework with the feature `otel`; returns a stream whose items are all ready.

use futures_util::stream::{self, Stream};
use ppio_benches::Token;
use serde_json::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> impl Stream<Item = Token> {
    let length = ppio_benches::stream_length(&request).unwrap_or_default();
    stream::iter(ppio_benches::tokens(length))
}
