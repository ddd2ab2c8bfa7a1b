//! The REST binding, at the paths below `/a2a`.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::failure::A2aError;
use super::operation::{Operation, OperationResult, perform};
use super::push::PushOperation;
use super::stream::Framing;
use super::version;
use super::wire::Version;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::to_bytes;
use crate::protocols::{ProtocolAgent, call};

/// Answers a request of the REST binding.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
    operation: Operation<'_>,
) -> Result<Response, Error> {
    let operation = operation.with_method(request.method());
    let (parts, params) = match operation {
        Operation::Send | Operation::Stream | Operation::Push(PushOperation::Create(_)) => {
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
    version::stated(&parts)
        .and_then(|stated| version::check(stated, Version::V1, "REST"))
        .map_err(A2aError::into_rest)?;
    let outcome = perform(agent, exchange, parts, operation, params, Framing::rest()).await;
    let outcome = outcome.map_err(A2aError::into_rest)?;
    let is_json = matches!(outcome, OperationResult::Json(..));
    let mut response = outcome.respond(to_bytes);
    if is_json {
        let media_type = HeaderValue::from_static("application/a2a+json");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    Ok(response)
}

/// Converts the error of an unreadable request body to an error of the REST binding.
fn in_rest(error: &Error) -> Error {
    A2aError::of(&Failure::of(error, "")).into_rest()
}

/// Query parameters that are a number or a boolean; all other parameters are strings.
const NON_STRING_PARAMETERS: [&str; 3] = ["historyLength", "includeArtifacts", "pageSize"];

/// Parses the parameters of a query.
fn query(query: &str) -> Value {
    let decoded = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let members = pairs.map(|(name, value)| {
        let (name, text) = (decoded(name).into_owned(), decoded(value));
        let other = NON_STRING_PARAMETERS
            .contains(&&*name)
            .then(|| text.parse().ok());
        let value = other.flatten().unwrap_or_else(|| Value::from(&*text));
        (name, value)
    });
    Value::Object(members.collect())
}
