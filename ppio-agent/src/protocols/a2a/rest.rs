//! REST below `/a2a`.

use serde_json::Value;

use super::failure::A2aError;
use super::operation::{Operation, check_version, perform};
use super::stream::Framing;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::to_bytes;
use crate::protocols::{ProtocolAgent, call};

/// Answers a request in REST.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
    operation: Operation<'_>,
) -> Result<Response, Error> {
    check_version(request.headers()).map_err(A2aError::into_rest)?;
    let (parts, params) = match operation {
        Operation::Send | Operation::Stream => {
            let (parts, body) = call::read(request).await.map_err(|error| in_rest(&error))?;
            let params: Value = call::parse(&body).map_err(|error| in_rest(&error))?;
            (parts, params)
        }
        _ => {
            let (parts, _) = request.into_parts();
            let params = query(parts.uri.query().unwrap_or_default());
            (parts, params)
        }
    };
    let outcome = perform(agent, exchange, parts, operation, params, Framing::rest()).await;
    let outcome = outcome.map_err(A2aError::into_rest)?;
    Ok(outcome.respond(to_bytes))
}

/// The error of a body that cannot be read, with the status that it has.
fn in_rest(error: &Error) -> Error {
    A2aError::of(&Failure::of(error, "")).into_rest()
}

/// The parameters of a query; a number is one.
fn query(query: &str) -> Value {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = pairs.map(|(name, value)| {
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        let json = match value.parse::<u64>() {
            Ok(number) => number.into(),
            Err(_) => match &*value {
                "true" => true.into(),
                "false" => false.into(),
                text => text.into(),
            },
        };
        (name.to_owned(), json)
    });
    Value::Object(decoded.collect())
}
