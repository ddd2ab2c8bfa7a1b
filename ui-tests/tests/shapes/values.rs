//! Answers in one piece.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;

use ppio::{Error, PingResponse, PingStatus, Response, Value, json};
use serde::{Serialize, Serializer};

use crate::answer::{Expected, teapot};

type Alias = Value;
type Answered<T> = Result<T, Error>;
type AliasOfResult = Answered<Greeting>;
type BoxedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[derive(Serialize)]
struct Greeting {
    said: String,
    by: String,
}

/// A value that cannot leave its thread.
struct Local(Rc<str>);

impl Serialize for Local {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

agents! { |request, who|
    value: [Value] { json!([request, who]) } => Expected::Value(json!(["hi", who]));
    value_in_result: [Result<Value, Error>] { Ok(json!([request, who])) }
        => Expected::Value(json!(["hi", who]));
    value_alias: [Alias] { json!([request, who]) } => Expected::Value(json!(["hi", who]));
    value_boxed: [Box<Value>] { Box::new(json!([request, who])) }
        => Expected::Value(json!(["hi", who]));
    value_boxed_in_result: [Result<Box<Value>, Error>] { Ok(Box::new(json!([request, who]))) }
        => Expected::Value(json!(["hi", who]));
    value_opaque: [impl Serialize] { (request, who) } => Expected::Value(json!(["hi", who]));
    value_opaque_in_result: [Result<impl Serialize, impl std::error::Error + Send + Sync + use<>>] {
        Ok::<_, std::io::Error>((request, who))
    } => Expected::Value(json!(["hi", who]));

    own_struct: [Greeting] { Greeting { said: request, by: who } }
        => Expected::Value(json!({ "said": "hi", "by": who }));
    own_struct_in_result_alias: [AliasOfResult] { Ok(Greeting { said: request, by: who }) }
        => Expected::Value(json!({ "said": "hi", "by": who }));
    result_alias_with_argument: [Answered<String>] { Ok(request + &who) }
        => Expected::Value(json!(format!("hi{who}")));

    string: [String] { request + &who } => Expected::Value(json!(format!("hi{who}")));
    string_in_result: [Result<String, Error>] { Ok(request + &who) }
        => Expected::Value(json!(format!("hi{who}")));
    vec: [Vec<String>] { vec![request, who] } => Expected::Value(json!(["hi", who]));
    vec_in_result: [Result<Vec<String>, Error>] { Ok(vec![request, who]) }
        => Expected::Value(json!(["hi", who]));
    some: [Option<String>] { Some(request + &who) } => Expected::Value(json!(format!("hi{who}")));
    none: [Option<String>] { drop(request); None } => Expected::Value(Value::Null);
    option_in_result: [Result<Option<String>, Error>] { Ok(Some(request + &who)) }
        => Expected::Value(json!(format!("hi{who}")));

    response: [Response] { teapot(request + &who) } => Expected::Text(format!("hi{who}"));
    response_in_result: [Result<Response, Error>] { Ok(teapot(request + &who)) }
        => Expected::Text(format!("hi{who}"));
    response_path: [hyper::Response<ppio::Body>] { teapot(request + &who) }
        => Expected::Text(format!("hi{who}"));

    map: [BTreeMap<String, String>] { [(request, who)].into() }
        => Expected::Value(json!({ "hi": who }));
    number: [usize] { request.len() } => Expected::Value(json!(2));
    unit: [()] { drop(request) } => Expected::Value(Value::Null);
    text: [&'static str] { drop(request); "static" } => Expected::Value(json!("static"));
    cow: [Cow<'static, str>] { Cow::Owned(request) } => Expected::Value(json!("hi"));
    array_of_results: [[Result<String, String>; 2]] { [Ok(request), Err(who)] }
        => Expected::Value(json!([{ "Ok": "hi" }, { "Err": who }]));
    health: [PingResponse] { drop(request); PingResponse::new(PingStatus::Healthy) }
        => Expected::Value(json!(PingResponse::new(PingStatus::Healthy)));
    not_send: [Local] { Local(Rc::from(request + &who)) }
        => Expected::Value(json!(format!("hi{who}")));

    result_in_result: [Result<Result<Value, Error>, std::fmt::Error>] {
        Ok(Ok(json!([request, who])))
    } => Expected::Value(json!(["hi", who]));

    future: [impl Future<Output = Value>] { async move { json!([request, who]) } }
        => Expected::Value(json!(["hi", who]));
    future_of_result: [impl Future<Output = Result<Greeting, Error>>] {
        async move { Ok(Greeting { said: request, by: who }) }
    } => Expected::Value(json!({ "said": "hi", "by": who }));
    future_boxed: [Pin<Box<dyn Future<Output = Value> + Send>>] {
        Box::pin(async move { json!([request, who]) })
    } => Expected::Value(json!(["hi", who]));
    future_alias: [BoxedFuture<Answered<Response>>] {
        Box::pin(async move { Ok(teapot(request + &who)) })
    } => Expected::Text(format!("hi{who}"));
    future_of_what_is_not_send: [impl Future<Output = Local>] {
        async move { Local(Rc::from(request + &who)) }
    } => Expected::Value(json!(format!("hi{who}")));
}
