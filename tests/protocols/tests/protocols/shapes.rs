//! Entrypoints of every shape: what they return and how they end. Each protocol has to answer with
//! each of them.

use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use ppio::{ChatEvent, Error, Platform, Value};
use serde::Serialize;

use crate::support::Agent;

/// A shape, and the answer that its callers receive.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The text of the answer up to its end or failure.
    pub(crate) text: &'static str,
    /// How the entrypoint fails, if it does.
    pub(crate) fails: Option<Fails>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    /// Before the answer begins, with this status and text.
    First(u16, &'static str),
    /// After some items, with this text.
    Later(&'static str),
}

/// All shapes. The text of `ten_thousand` is not written here; `Shape::text` returns it.
pub(crate) const SHAPES: [Shape; 12] = [
    Shape::ending("value", "Hello, world!"),
    Shape::ending("typed_value", r#"{"city":"Paris","degrees":20}"#),
    Shape::ending("text_stream", "Hello, world!"),
    Shape::ending(
        "struct_stream",
        "{\"city\":\"Paris\",\"degrees\":20}\n{\"city\":\"Rome\",\"degrees\":25}",
    ),
    Shape::ending("chat_stream", "Hello, world!"),
    Shape::ending("iterator", "Hello, world!"),
    Shape::failing("failing_first", "", Fails::First(400, "no such model")),
    Shape::failing(
        "failing_later",
        "Hello, ",
        Fails::Later("the model went away"),
    ),
    Shape::failing("panicking", "", Fails::First(500, "the agent panicked")),
    Shape::ending("empty_stream", ""),
    Shape::ending("ten_thousand", ""),
    Shape::ending("slow", "Hello, world!"),
];

impl Shape {
    const fn ending(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            text,
            fails: None,
        }
    }

    const fn failing(name: &'static str, text: &'static str, fails: Fails) -> Self {
        Self {
            name,
            text,
            fails: Some(fails),
        }
    }

    /// Starts an agent whose entrypoint has this shape.
    pub(crate) async fn start(&self) -> Agent {
        Agent::start_module(&self.module()).await
    }

    /// Starts an agent whose entrypoint has this shape, configured for a platform.
    pub(crate) async fn start_on(&self, platform: Platform) -> Agent {
        Agent::start_module_on(platform, &self.module()).await
    }

    fn module(&self) -> String {
        format!("{}::{}", module_path!(), self.name)
    }

    /// Returns the text of the answer up to its end or failure.
    pub(crate) fn text(&self) -> String {
        if self.name == "ten_thousand" {
            return (0..10_000).map(|number| number.to_string() + " ").collect();
        }
        self.text.to_owned()
    }
}

#[derive(Serialize)]
struct Weather {
    city: &'static str,
    degrees: i32,
}

const WORDS: [&str; 3] = ["Hello", ", ", "world!"];

macro_rules! shapes {
    ($($name:ident: $($asyncness:ident)? -> $output:ty = $body:expr;)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a shape uses some")]
            use super::*;

            #[ppio::entrypoint(config = crate::support::config())]
            $($asyncness)? fn agent(_request: Value) -> $output {
                $body
            }
        }
    )*};
}

shapes! {
    value: async -> String = WORDS.concat();
    typed_value: async -> Weather = Weather { city: "Paris", degrees: 20 };
    text_stream: async -> impl Stream<Item = String> = stream::iter(WORDS.map(str::to_owned));
    struct_stream: async -> impl Stream<Item = Weather> = stream::iter([
        Weather { city: "Paris", degrees: 20 },
        Weather { city: "Rome", degrees: 25 },
    ]);
    chat_stream: async -> impl Stream<Item = ChatEvent> = stream::iter(WORDS.map(ChatEvent::from));
    iterator: -> impl Iterator<Item = &'static str> = WORDS.into_iter();
    failing_first: async -> Result<String, Error> = Err(Error::bad_request("no such model"));
    failing_later: async -> impl Stream<Item = Result<&'static str, Error>> = stream::iter([
        Ok("Hello"),
        Ok(", "),
        Err(Error::unavailable("the model went away")),
    ]);
    panicking: async -> String = panic!("as the test requires");
    empty_stream: async -> impl Stream<Item = String> = stream::empty();
    ten_thousand: async -> impl Stream<Item = String> =
        stream::iter((0..10_000).map(|number| format!("{number} ")));
    slow: async -> impl Stream<Item = &'static str> = stream::iter(WORDS).then(|word| async move {
        ppio::tokio::time::sleep(Duration::from_millis(30)).await;
        word
    });
}
