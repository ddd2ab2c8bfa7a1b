use futures_util::stream::{self, Stream};
use ppio::Value;

struct Chunk(String);

#[ppio::entrypoint]
async fn agent(request: Value) -> impl Stream<Item = Result<Chunk, ppio::Error>> {
    stream::iter([Ok(Chunk(request.to_string()))])
}
