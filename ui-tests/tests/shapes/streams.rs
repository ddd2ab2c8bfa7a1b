//! Answers item by item, from code that waits.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use ppio::{Error, json};
use serde::Serialize;

use crate::answer::Expected;

type Boxed<T> = Pin<Box<dyn Stream<Item = T> + Send>>;
type BoxedInResult = Result<Boxed<String>, Error>;

#[derive(Serialize)]
struct Chunk {
    text: String,
}

/// A stream under a name of its own.
struct Words(std::vec::IntoIter<String>);

impl Stream for Words {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<String>> {
        Poll::Ready(self.0.next())
    }
}

agents! { |request, who|
    opaque: [impl Stream<Item = String>] { stream::iter([request, who]) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    opaque_in_result: [Result<impl Stream<Item = String>, Error>] {
        Ok(stream::iter([request, who]))
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    boxed: [Pin<Box<dyn Stream<Item = String> + Send>>] { Box::pin(stream::iter([request, who])) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    boxed_in_result: [Result<Pin<Box<dyn Stream<Item = String> + Send>>, Error>] {
        Ok(Box::pin(stream::iter([request, who])))
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    boxed_of_another_crate: [BoxStream<'static, String>] { stream::iter([request, who]).boxed() }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    boxed_without_pin: [Box<dyn Stream<Item = String> + Send + Unpin>] {
        Box::new(stream::iter([request, who]))
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    alias: [Boxed<String>] { Box::pin(stream::iter([request, who])) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    alias_of_result: [BoxedInResult] { Ok(Box::pin(stream::iter([request, who]))) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    named: [Words] { Words(vec![request, who].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    named_in_result: [Result<Words, Error>] { Ok(Words(vec![request, who].into_iter())) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    own_items: [impl Stream<Item = Chunk>] {
        stream::iter([request, who]).map(|text| Chunk { text })
    } => Expected::Items(vec![json!({ "text": "hi" }), json!({ "text": who })]);
    empty: [stream::Empty<String>] { drop(request); stream::empty() }
        => Expected::Items(vec![]);
    waits: [impl Stream<Item = String>] {
        stream::iter([request, who]).then(|text| async {
            tokio::task::yield_now().await;
            text
        })
    } => Expected::Items(vec![json!("hi"), json!(who)]);

    results: [impl Stream<Item = Result<String, Error>>] {
        stream::iter([Ok(request), Ok(who)])
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    results_that_fail: [impl Stream<Item = Result<String, String>>] {
        stream::iter([Ok(request), Ok(who), Err("over".to_owned()), Ok("never".to_owned())])
    } => Expected::ItemsThenError(vec![json!("hi"), json!(who)], "over");
    results_in_result: [Result<impl Stream<Item = Result<Chunk, Error>>, Error>] {
        Ok(stream::iter([Ok(Chunk { text: request }), Err(Error::internal("over"))]))
    } => Expected::ItemsThenError(vec![json!({ "text": "hi" })], "over");
    results_boxed: [Boxed<Result<String, Error>>] {
        Box::pin(stream::iter([Ok(request), Err(Error::internal("over"))]))
    } => Expected::ItemsThenError(vec![json!("hi")], "over");
    results_with_boxed_errors: [impl Stream<Item = Result<String, Box<dyn std::error::Error>>>] {
        stream::iter([request, who]).map(Ok).chain(stream::poll_fn({
            let mut once = Some(());
            move |_| Poll::Ready(once.take().map(|()| Err("over".into())))
        }))
    } => Expected::ItemsThenError(vec![json!("hi"), json!(who)], "over");
    results_with_errors_of_their_own: [impl Stream<Item = anyhow::Result<String>>] {
        stream::iter([Ok(request), Err(anyhow::anyhow!("over"))])
    } => Expected::ItemsThenError(vec![json!("hi")], "over");

    future: [impl Future<Output = Boxed<String>>] {
        async move { stream::iter([request, who]).boxed() }
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    future_boxed: [Pin<Box<dyn Future<Output = BoxedInResult> + Send>>] {
        Box::pin(async move { Ok(stream::iter([request, who]).boxed()) })
    } => Expected::Items(vec![json!("hi"), json!(who)]);
}
