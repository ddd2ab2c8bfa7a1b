use std::rc::Rc;

use futures_util::stream::{self, Stream, StreamExt as _};
use ppio::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> impl Stream<Item = usize> {
    let shared = Rc::new(request);
    stream::iter(0..3).map(move |count| count * shared.as_array().map_or(0, Vec::len))
}

