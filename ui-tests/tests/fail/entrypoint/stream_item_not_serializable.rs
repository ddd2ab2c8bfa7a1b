use futures_util::stream::{self, Stream};
use ppio::Value;

struct Chunk(String);

#[ppio::entrypoint]
async fn agent(request: Value) -> Result<impl Stream<Item = Chunk>, ppio::Error> {
    Ok(stream::iter([Chunk(request.to_string())]))
}
