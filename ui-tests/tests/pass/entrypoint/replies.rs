//! Return types that are either a value or items.

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use ppio::{Error, Reply, Value, json};
use serde::Serialize;

use crate::http::Expected;

#[derive(Serialize)]
struct Chunk {
    text: String,
}

type Either = Result<Reply<Chunk, BoxStream<'static, Result<Chunk, String>>>, Error>;

/// A value that is not `Send`.
#[derive(Serialize)]
struct Pinned(#[serde(skip)] std::marker::PhantomData<*const ()>);

agents! { |request, id|
    value: [Reply<String, impl Stream<Item = String>>] {
        if id == "?" { Reply::Stream(stream::iter([id])) } else { Reply::Value(request) }
    } => Expected::Value(json!("hi"));
    items: [Reply<Value, impl Stream<Item = String>>] {
        if id == "?" { Reply::Value(json!(0)) } else { Reply::Stream(stream::iter([request, id])) }
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    iterator: [Reply<u8, std::array::IntoIter<String, 2>>] {
        if id == "?" { Reply::Value(1) } else { Reply::Stream([request, id].into_iter()) }
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    value_beside_iterator: [Reply<String, std::vec::IntoIter<u8>>] {
        if id == "?" { Reply::Stream(vec![1].into_iter()) } else { Reply::Value(request) }
    } => Expected::Value(json!("hi"));
    boxed: [Reply<u8, Box<dyn Iterator<Item = Result<String, String>> + Send>>] {
        Reply::Stream(Box::new([Ok(request), Err(id)].into_iter().take(1)))
    } => Expected::Items(vec![json!("hi")]);
    own_value: [Either] {
        if id == "?" { return Ok(Reply::Stream(stream::empty().boxed())); }
        Ok(Reply::Value(Chunk { text: request }))
    } => Expected::Value(json!({ "text": "hi" }));
    own_items: [Either] {
        let items = stream::iter([Ok(Chunk { text: request }), Err("gone".to_owned())]);
        if id == "?" { return Err(Error::internal("no id")); }
        Ok(Reply::Stream(items.boxed()))
    } => Expected::ItemsThenError(vec![json!({ "text": "hi" })], "gone");
    error: [Either] {
        drop(request);
        Err(Error::not_found(if id == "?" { id } else { "gone".to_owned() }))
    } => Expected::Error(404, "NotFound", "gone");
    value_is_not_send: [Reply<Pinned, stream::Empty<u8>>] {
        drop(request);
        Reply::Value(Pinned(std::marker::PhantomData))
    } => Expected::Value(json!(null));
}
