//! Return types that are iterators.

use std::collections::btree_map;
use std::ops::RangeInclusive;

use ppio::{Error, Value, json};
use serde::Serialize;

use crate::http::Expected;

type Boxed<T> = Box<dyn Iterator<Item = T> + Send>;
type BoxedInResult = Result<Boxed<String>, Error>;

#[derive(Serialize)]
struct Chunk {
    text: String,
}

/// A named iterator type.
struct Words(std::vec::IntoIter<String>);

impl Iterator for Words {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.0.next()
    }
}

agents! { |request, id|
    opaque: [impl Iterator<Item = String>] { [request, id].into_iter() }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    opaque_in_result: [Result<impl Iterator<Item = String>, Error>] {
        Ok([request, id].into_iter())
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    boxed: [Box<dyn Iterator<Item = String> + Send>] { Box::new([request, id].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    boxed_in_result: [Result<Box<dyn Iterator<Item = String> + Send>, Error>] {
        Ok(Box::new([request, id].into_iter()))
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    alias: [Boxed<String>] { Box::new([request, id].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    alias_of_result: [BoxedInResult] { Ok(Box::new([request, id].into_iter())) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    named: [Words] { Words(vec![request, id].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    named_in_result: [Result<Words, Error>] { Ok(Words(vec![request, id].into_iter())) }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    standard: [std::vec::IntoIter<String>] { vec![request, id].into_iter() }
        => Expected::Items(vec![json!("hi"), json!(id)]);
    own_items: [impl Iterator<Item = Chunk>] {
        [request, id].into_iter().map(|text| Chunk { text })
    } => Expected::Items(vec![json!({ "text": "hi" }), json!({ "text": id })]);
    pairs: [btree_map::IntoIter<String, String>] {
        btree_map::BTreeMap::from([(request, id)]).into_iter()
    } => Expected::Items(vec![json!(["hi", id])]);
    // A range implements `Serialize` as well; iterators take precedence.
    range: [RangeInclusive<usize>] { 1..=request.len() }
        => Expected::Items(vec![json!(1), json!(2)]);
    empty: [std::iter::Empty<Value>] { drop(request); std::iter::empty() }
        => Expected::Items(vec![]);

    results: [impl Iterator<Item = Result<String, Error>>] {
        [Ok(request), Ok(id)].into_iter()
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    results_that_fail: [impl Iterator<Item = Result<String, String>>] {
        [Ok(request), Ok(id), Err("over".to_owned()), Ok("never".to_owned())].into_iter()
    } => Expected::ItemsThenError(vec![json!("hi"), json!(id)], "over");
    results_in_result: [Result<impl Iterator<Item = Result<Chunk, Error>>, Error>] {
        Ok([Ok(Chunk { text: request }), Err(Error::internal("over"))].into_iter())
    } => Expected::ItemsThenError(vec![json!({ "text": "hi" })], "over");
    results_boxed: [Boxed<Result<String, Error>>] {
        Box::new([Ok(request), Err(Error::internal("over"))].into_iter())
    } => Expected::ItemsThenError(vec![json!("hi")], "over");
    results_with_boxed_errors: [impl Iterator<Item = Result<String, Box<dyn std::error::Error>>>] {
        [request, id].into_iter().map(Ok).chain(std::iter::once_with(|| Err("over".into())))
    } => Expected::ItemsThenError(vec![json!("hi"), json!(id)], "over");
    results_with_anyhow_errors: [impl Iterator<Item = anyhow::Result<String>>] {
        [Ok(request), Err(anyhow::anyhow!("over"))].into_iter()
    } => Expected::ItemsThenError(vec![json!("hi")], "over");

    future: [impl Future<Output = Boxed<String>>] {
        async move { Box::new([request, id].into_iter()) as Boxed<String> }
    } => Expected::Items(vec![json!("hi"), json!(id)]);
    future_boxed: [std::pin::Pin<Box<dyn Future<Output = BoxedInResult> + Send>>] {
        Box::pin(async move { Ok(Box::new([request, id].into_iter()) as Boxed<String>) })
    } => Expected::Items(vec![json!("hi"), json!(id)]);
}
