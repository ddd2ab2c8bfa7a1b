//! Answers item by item, from code that may block.

use std::collections::btree_map;
use std::ops::RangeInclusive;

use ppio::{Error, Value, json};
use serde::Serialize;

use crate::answer::Expected;

type Boxed<T> = Box<dyn Iterator<Item = T> + Send>;
type BoxedInResult = Result<Boxed<String>, Error>;

#[derive(Serialize)]
struct Chunk {
    text: String,
}

/// An iterator under a name of its own.
struct Words(std::vec::IntoIter<String>);

impl Iterator for Words {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.0.next()
    }
}

agents! { |request, who|
    opaque: [impl Iterator<Item = String>] { [request, who].into_iter() }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    opaque_in_result: [Result<impl Iterator<Item = String>, Error>] {
        Ok([request, who].into_iter())
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    boxed: [Box<dyn Iterator<Item = String> + Send>] { Box::new([request, who].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    boxed_in_result: [Result<Box<dyn Iterator<Item = String> + Send>, Error>] {
        Ok(Box::new([request, who].into_iter()))
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    alias: [Boxed<String>] { Box::new([request, who].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    alias_of_result: [BoxedInResult] { Ok(Box::new([request, who].into_iter())) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    named: [Words] { Words(vec![request, who].into_iter()) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    named_in_result: [Result<Words, Error>] { Ok(Words(vec![request, who].into_iter())) }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    standard: [std::vec::IntoIter<String>] { vec![request, who].into_iter() }
        => Expected::Items(vec![json!("hi"), json!(who)]);
    own_items: [impl Iterator<Item = Chunk>] {
        [request, who].into_iter().map(|text| Chunk { text })
    } => Expected::Items(vec![json!({ "text": "hi" }), json!({ "text": who })]);
    pairs: [btree_map::IntoIter<String, String>] {
        btree_map::BTreeMap::from([(request, who)]).into_iter()
    } => Expected::Items(vec![json!(["hi", who])]);
    // A range can be written as JSON, but is an iterator first.
    range: [RangeInclusive<usize>] { 1..=request.len() }
        => Expected::Items(vec![json!(1), json!(2)]);
    empty: [std::iter::Empty<Value>] { drop(request); std::iter::empty() }
        => Expected::Items(vec![]);

    results: [impl Iterator<Item = Result<String, Error>>] {
        [Ok(request), Ok(who)].into_iter()
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    results_that_fail: [impl Iterator<Item = Result<String, String>>] {
        [Ok(request), Ok(who), Err("over".to_owned()), Ok("never".to_owned())].into_iter()
    } => Expected::ItemsThenError(vec![json!("hi"), json!(who)], "over");
    results_in_result: [Result<impl Iterator<Item = Result<Chunk, Error>>, Error>] {
        Ok([Ok(Chunk { text: request }), Err(Error::internal("over"))].into_iter())
    } => Expected::ItemsThenError(vec![json!({ "text": "hi" })], "over");
    results_boxed: [Boxed<Result<String, Error>>] {
        Box::new([Ok(request), Err(Error::internal("over"))].into_iter())
    } => Expected::ItemsThenError(vec![json!("hi")], "over");
    results_with_boxed_errors: [impl Iterator<Item = Result<String, Box<dyn std::error::Error>>>] {
        [request, who].into_iter().map(Ok).chain(std::iter::once_with(|| Err("over".into())))
    } => Expected::ItemsThenError(vec![json!("hi"), json!(who)], "over");
    results_with_errors_of_their_own: [impl Iterator<Item = anyhow::Result<String>>] {
        [Ok(request), Err(anyhow::anyhow!("over"))].into_iter()
    } => Expected::ItemsThenError(vec![json!("hi")], "over");

    future: [impl Future<Output = Boxed<String>>] {
        async move { Box::new([request, who].into_iter()) as Boxed<String> }
    } => Expected::Items(vec![json!("hi"), json!(who)]);
    future_boxed: [std::pin::Pin<Box<dyn Future<Output = BoxedInResult> + Send>>] {
        Box::pin(async move { Ok(Box::new([request, who].into_iter()) as Boxed<String>) })
    } => Expected::Items(vec![json!("hi"), json!(who)]);
}
