//! The request types of entrypoints.

use ppio::{Value, json};

use crate::http::{Expected, invoke};

type Alias = Option<Question>;

#[derive(serde::Deserialize)]
struct Question {
    prompt: String,
    #[serde(default)]
    temperature: f64,
}

/// Makes one agent of each row and sends it one body.
macro_rules! requests {
    ($($name:ident: $request:ty, $body:literal, |$it:ident| $value:expr => $expected:expr;)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            // The type is wrapped in the invisible group of a `$request:ty`.
            #[ppio::entrypoint]
            async fn agent($it: $request) -> Value {
                json!($value)
            }

            #[tokio::test]
            async fn is_received() {
                let response = invoke(module_path!(), $body).await;
                response.assert(&$expected);
            }
        }
    )+};
}

requests! {
    value: Value, r#"{"a":[1,null]}"#, |it| it => Expected::Value(json!({ "a": [1, null] }));
    own_struct: Question, r#"{"prompt":"hi","temperature":0.5}"#,
        |it| [json!(it.prompt), json!(it.temperature)] => Expected::Value(json!(["hi", 0.5]));
    alias: Alias, r#"{"prompt":"hi"}"#, |it| it.map(|it| it.prompt) => Expected::Value(json!("hi"));
    alias_absent: Alias, "null", |it| it.is_none() => Expected::Value(json!(true));
    string: String, r#""hi""#, |it| it => Expected::Value(json!("hi"));
    vec: Vec<Question>, r#"[{"prompt":"a"},{"prompt":"b"}]"#, |it| it.len()
        => Expected::Value(json!(2));
    number: u64, "7", |it| it + 1 => Expected::Value(json!(8));
    tuple: (u8, String), r#"[1,"a"]"#, |it| it.1 => Expected::Value(json!("a"));
    boxed: Box<str>, r#""hi""#, |it| it.len() => Expected::Value(json!(2));
    invocation: ppio::InvocationRequest, r#"{"prompt":"hi","sandbox_id":"s-1"}"#,
        |it| [it.prompt, it.sandbox_id] => Expected::Value(json!(["hi", "s-1"]));
    does_not_fit: Question, r#"{"prompt":1}"#, |it| it.prompt => Expected::Error(
        422,
        "ValidationError",
        "the request does not fit: invalid type: integer `1`, expected a string (at `prompt`)",
    );
}

mod pattern {
    use super::{Question, Value, json};

    /// The parameter may be a pattern.
    #[ppio::entrypoint]
    fn agent(Question { prompt, .. }: Question, _: &ppio::RequestContext) -> Value {
        json!(prompt)
    }

    #[tokio::test]
    async fn is_received() {
        let response = super::invoke(module_path!(), r#"{"prompt":"hi"}"#).await;
        response.assert(&super::Expected::Value(json!("hi")));
    }
}
