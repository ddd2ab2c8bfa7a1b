//! Return types that become one JSON value, or a response.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;

use ppio::{Error, PingResponse, PingStatus, Response, Value, json};
use serde::{Serialize, Serializer};

use crate::http::{Expected, teapot};

type Alias = Value;
type AgentResult<T> = Result<T, Error>;
type AliasOfResult = AgentResult<Greeting>;
type BoxedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[derive(Serialize)]
struct Greeting {
    said: String,
    by: String,
}

/// A value that is not `Send`.
struct Local(Rc<str>);

impl Serialize for Local {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

agents! { |request, id|
    value: [Value] { json!([request, id]) } => Expected::Value(json!(["hi", id]));
    value_in_result: [Result<Value, Error>] { Ok(json!([request, id])) }
        => Expected::Value(json!(["hi", id]));
    value_alias: [Alias] { json!([request, id]) } => Expected::Value(json!(["hi", id]));
    value_boxed: [Box<Value>] { Box::new(json!([request, id])) }
        => Expected::Value(json!(["hi", id]));
    value_boxed_in_result: [Result<Box<Value>, Error>] { Ok(Box::new(json!([request, id]))) }
        => Expected::Value(json!(["hi", id]));
    value_opaque: [impl Serialize] { (request, id) } => Expected::Value(json!(["hi", id]));
    value_opaque_in_result: [Result<impl Serialize, impl std::error::Error + Send + Sync + use<>>] {
        Ok::<_, std::io::Error>((request, id))
    } => Expected::Value(json!(["hi", id]));

    own_struct: [Greeting] { Greeting { said: request, by: id } }
        => Expected::Value(json!({ "said": "hi", "by": id }));
    own_struct_in_result_alias: [AliasOfResult] { Ok(Greeting { said: request, by: id }) }
        => Expected::Value(json!({ "said": "hi", "by": id }));
    result_alias_with_argument: [AgentResult<String>] { Ok(request + &id) }
        => Expected::Value(json!(format!("hi{id}")));

    string: [String] { request + &id } => Expected::Value(json!(format!("hi{id}")));
    string_in_result: [Result<String, Error>] { Ok(request + &id) }
        => Expected::Value(json!(format!("hi{id}")));
    vec: [Vec<String>] { vec![request, id] } => Expected::Value(json!(["hi", id]));
    vec_in_result: [Result<Vec<String>, Error>] { Ok(vec![request, id]) }
        => Expected::Value(json!(["hi", id]));
    some: [Option<String>] { Some(request + &id) } => Expected::Value(json!(format!("hi{id}")));
    none: [Option<String>] { drop(request); None } => Expected::Value(Value::Null);
    option_in_result: [Result<Option<String>, Error>] { Ok(Some(request + &id)) }
        => Expected::Value(json!(format!("hi{id}")));

    response: [Response] { teapot(request + &id) } => Expected::Text(format!("hi{id}"));
    response_in_result: [Result<Response, Error>] { Ok(teapot(request + &id)) }
        => Expected::Text(format!("hi{id}"));
    response_path: [hyper::Response<ppio::Body>] { teapot(request + &id) }
        => Expected::Text(format!("hi{id}"));

    map: [BTreeMap<String, String>] { [(request, id)].into() }
        => Expected::Value(json!({ "hi": id }));
    number: [usize] { request.len() } => Expected::Value(json!(2));
    unit: [()] { drop(request) } => Expected::Value(Value::Null);
    text: [&'static str] { drop(request); "static" } => Expected::Value(json!("static"));
    cow: [Cow<'static, str>] { Cow::Owned(request) } => Expected::Value(json!("hi"));
    array_of_results: [[Result<String, String>; 2]] { [Ok(request), Err(id)] }
        => Expected::Value(json!([{ "Ok": "hi" }, { "Err": id }]));
    health: [PingResponse] { drop(request); PingResponse::new(PingStatus::Healthy) }
        => Expected::Value(json!(PingResponse::new(PingStatus::Healthy)));
    not_send: [Local] { Local(Rc::from(request + &id)) }
        => Expected::Value(json!(format!("hi{id}")));

    result_in_result: [Result<Result<Value, Error>, std::fmt::Error>] {
        Ok(Ok(json!([request, id])))
    } => Expected::Value(json!(["hi", id]));

    future: [impl Future<Output = Value>] { async move { json!([request, id]) } }
        => Expected::Value(json!(["hi", id]));
    future_of_result: [impl Future<Output = Result<Greeting, Error>>] {
        async move { Ok(Greeting { said: request, by: id }) }
    } => Expected::Value(json!({ "said": "hi", "by": id }));
    future_boxed: [Pin<Box<dyn Future<Output = Value> + Send>>] {
        Box::pin(async move { json!([request, id]) })
    } => Expected::Value(json!(["hi", id]));
    future_alias: [BoxedFuture<AgentResult<Response>>] {
        Box::pin(async move { Ok(teapot(request + &id)) })
    } => Expected::Text(format!("hi{id}"));
    future_of_what_is_not_send: [impl Future<Output = Local>] {
        async move { Local(Rc::from(request + &id)) }
    } => Expected::Value(json!(format!("hi{id}")));
}
