//! The schemas of the values that functions return.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;

use futures_util::stream::{self, Stream};
use ppio_agent_protocol::InvocationResponse;
use ppio_agent_schema::{EitherReply, ReplySchema, Schema, reply_schema, schemars};
use serde::Serialize;
use serde_json::json;

struct Context;

#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Described {
    /// The answer in words.
    message_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<u8>,
}

#[derive(Serialize)]
struct Plain {
    message: String,
}

fn described() -> Described {
    Described {
        message_text: String::new(),
        rest: None,
    }
}

fn value(schema: ReplySchema) -> Schema {
    match schema {
        ReplySchema::Value(schema) => schema,
        other => panic!("expected a value, found {other:?}"),
    }
}

fn item(schema: ReplySchema) -> Schema {
    match schema {
        ReplySchema::Items(schema) => schema,
        other => panic!("expected items, found {other:?}"),
    }
}

#[test]
fn values_in_every_wrapping_are_described() {
    fn plain(_: u8) -> Described {
        described()
    }
    async fn future(_: u8) -> Described {
        described()
    }
    async fn fallible(_: String, _: Context) -> Result<Described, Infallible> {
        Ok(described())
    }
    async fn borrowing(_: String, _: &Context) -> Result<Described, Infallible> {
        Ok(described())
    }
    fn boxed() -> Pin<Box<dyn Future<Output = Result<Described, String>> + Send>> {
        Box::pin(ready(Ok(described())))
    }
    let expected = value(reply_schema!(plain));
    let properties = &expected.as_value()["properties"];
    assert_eq!(
        properties["messageText"]["description"],
        "The answer in words."
    );
    assert_eq!(expected.as_value()["required"], json!(["messageText"]));
    fn enveloped() -> InvocationResponse<Described> {
        InvocationResponse::success(described())
    }
    async fn fallibly_enveloped(_: u8) -> Result<InvocationResponse<Described>, String> {
        Ok(InvocationResponse::success(described()))
    }
    for schema in [
        reply_schema!(future),
        reply_schema!(fallible),
        reply_schema!(borrowing),
        reply_schema!(boxed),
        reply_schema!(enveloped),
        reply_schema!(fallibly_enveloped),
    ] {
        assert_eq!(value(schema), expected);
    }
}

#[test]
fn items_of_streams_and_iterators_are_described() {
    async fn texts(_: u8) -> Result<impl Stream<Item = String>, Infallible> {
        Ok(stream::iter(vec![String::new()]))
    }
    async fn borrowing(_: u8, context: &Context) -> impl Stream<Item = String> {
        let _ = context;
        stream::iter(vec![String::new()])
    }
    fn fallible(_: u8) -> impl Stream<Item = Result<String, Infallible>> {
        stream::iter(vec![Ok(String::new())])
    }
    fn iterator(_: u8) -> Box<dyn Iterator<Item = Result<String, String>> + Send> {
        Box::new(std::iter::once(Ok(String::new())))
    }
    for schema in [
        reply_schema!(texts),
        reply_schema!(borrowing),
        reply_schema!(fallible),
        reply_schema!(iterator),
    ] {
        assert_eq!(item(schema).into_value(), json!({"type": "string"}));
    }
    fn range(count: u8) -> std::ops::Range<u8> {
        0..count
    }
    assert_eq!(item(reply_schema!(range)).as_value()["maximum"], 255);
}

#[test]
fn both_types_of_a_value_or_a_stream_are_described() {
    struct Reply<T, S>(Option<T>, Option<S>);
    impl<T, S> EitherReply for Reply<T, S> {
        type Value = T;
        type Items = S;
    }
    async fn stream(_: u8) -> Result<Reply<String, impl Stream<Item = Described>>, Infallible> {
        Ok(Reply(None, Some(stream::empty())))
    }
    fn iterator(_: u8) -> Reply<String, std::vec::IntoIter<Result<Described, String>>> {
        Reply(None, None)
    }
    let item = value(reply_schema!(described));
    for schema in [reply_schema!(stream), reply_schema!(iterator)] {
        let expected = json!({"value": {"type": "string"}, "items": item.as_value()});
        assert_eq!(serde_json::to_value(&schema).unwrap(), expected);
    }
}

#[test]
fn a_reply_without_a_schema_is_any_json() {
    fn plain(_: u8) -> Plain {
        Plain {
            message: String::new(),
        }
    }
    async fn opaque() -> Result<impl Serialize, Infallible> {
        Ok(1)
    }
    fn items(_: u8) -> impl Iterator<Item = Plain> {
        std::iter::empty()
    }
    assert!(value(reply_schema!(plain)).is_any());
    assert!(value(reply_schema!(opaque)).is_any());
    assert!(item(reply_schema!(items)).is_any());
}

#[test]
fn a_method_and_a_path_can_be_named() {
    struct Agent;
    impl Agent {
        fn answer(_: u8) -> bool {
            true
        }
    }
    assert_eq!(
        value(reply_schema!(Agent::answer)).into_value(),
        json!({"type": "boolean"})
    );
    assert_eq!(
        value(reply_schema!(std::thread::yield_now)).into_value(),
        json!({"type": "null"})
    );
}
