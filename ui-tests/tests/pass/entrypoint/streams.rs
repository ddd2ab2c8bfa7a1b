//! Return types that are streams.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use ppio::{Error, json};
use serde::Serialize;

use crate::http::Expected;

type Boxed<T> = Pin<Box<dyn Stream<Item = T> + Send>>;
type BoxedInResult = Result<Boxed<String>, Error>;

#[derive(Serialize)]
struct Chunk {
    text: String,
}

/// A named stream type.
struct Words(std::vec::IntoIter<String>);

impl Stream for Words {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<String>> {
        Poll::Ready(self.0.next())
    }
}

agents! { |request, id|
    opaque: [impl Stream<Item = String>] { stream::iter([request, id]) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    opaque_in_result: [Result<impl Stream<Item = String>, Error>] {
        Ok(stream::iter([request, id]))
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    boxed: [Pin<Box<dyn Stream<Item = String> + Send>>] { Box::pin(stream::iter([request, id])) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    boxed_in_result: [Result<Pin<Box<dyn Stream<Item = String> + Send>>, Error>] {
        Ok(Box::pin(stream::iter([request, id])))
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    boxed_of_another_crate: [BoxStream<'static, String>] { stream::iter([request, id]).boxed() }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    boxed_without_pin: [Box<dyn Stream<Item = String> + Send + Unpin>] {
        Box::new(stream::iter([request, id]))
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    alias: [Boxed<String>] { Box::pin(stream::iter([request, id])) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    alias_of_result: [BoxedInResult] { Ok(Box::pin(stream::iter([request, id]))) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    named: [Words] { Words(vec![request, id].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    named_in_result: [Result<Words, Error>] { Ok(Words(vec![request, id].into_iter())) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    own_items: [impl Stream<Item = Chunk>] {
        stream::iter([request, id]).map(|text| Chunk { text })
    } => Expected::Items(vec![json!({ "text": "hi" }), json!({ "text": id })]);
    empty: [stream::Empty<String>] { drop(request); stream::empty() }
        => Expected::Items(vec![]);
    waits: [impl Stream<Item = String>] {
        stream::iter([request, id]).then(|text| async {
            tokio::task::yield_now().await;
            text
        })
    } => Expected::Items(vec![json!("hi"), json!(id)]);

    results: [impl Stream<Item = Result<String, Error>>] {
        stream::iter([Ok(request), Ok(id)])
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    results_that_fail: [impl Stream<Item = Result<String, String>>] {
        stream::iter([Ok(request), Ok(id), Err("over".to_owned()), Ok("never".to_owned())])
    } => Expected::ItemsThenError(vec![json!("hi"), json!(id)], "over");
    results_in_result: [Result<impl Stream<Item = Result<Chunk, Error>>, Error>] {
        Ok(stream::iter([Ok(Chunk { text: request }), Err(Error::internal("over"))]))
    } => Expected::ItemsThenError(vec![json!({ "text": "hi" })], "over");
    results_boxed: [Boxed<Result<String, Error>>] {
        Box::pin(stream::iter([Ok(request), Err(Error::internal("over"))]))
    } => Expected::ItemsThenError(vec![json!("hi")], "over");
    results_with_boxed_errors: [impl Stream<Item = Result<String, Box<dyn std::error::Error>>>] {
        stream::iter([request, id]).map(Ok).chain(stream::poll_fn({
            let mut once = Some(());
            move |_| Poll::Ready(once.take().map(|()| Err("over".into())))
        }))
    } => Expected::ItemsThenError(vec![json!("hi"), json!(id)], "over");
    results_with_anyhow_errors: [impl Stream<Item = anyhow::Result<String>>] {
        stream::iter([Ok(request), Err(anyhow::anyhow!("over"))])
    } => Expected::ItemsThenError(vec![json!("hi")], "over");

    future: [impl Future<Output = Boxed<String>>] {
        async move { stream::iter([request, id]).boxed() }
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    future_boxed: [Pin<Box<dyn Future<Output = BoxedInResult> + Send>>] {
        Box::pin(async move { Ok(stream::iter([request, id]).boxed()) })
    } => Expected::Items(vec![json!("hi"), json!(id)]);
}
