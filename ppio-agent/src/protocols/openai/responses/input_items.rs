//! `GET /v1/responses/{id}/input_items`.

use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::kept::{self, PREFIX};
use crate::endpoints::runs::{decoded, invalid, number, parameter};
use crate::exchange::body::Response;
use crate::exchange::error::Error;
use crate::exchange::json::{response, to_bytes};
use crate::protocols::ProtocolAgent;
use crate::runs;

/// The number of items in a list, unless the caller sends a `limit`.
const DEFAULT_LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 100;

/// Lists the input items of a response, the last one first unless the caller requests another
/// order.
pub(in crate::protocols::openai) fn list(
    agent: &ProtocolAgent<'_>,
    request: &Parts,
    id: &str,
) -> Result<Response, Error> {
    let query = |name: &str| parameter(&request.uri, name);
    let limit = match query("limit") {
        None => DEFAULT_LIMIT,
        Some(text) => number(text)
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| invalid("limit", text, "a number from 1 to 100"))?,
    };
    let is_ascending = match query("order") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(text) => return Err(invalid("order", text, "`asc` or `desc`").into()),
    };
    let (_, kept) = kept::find(agent, &request.headers, id)?;
    let Some(items) = kept.items else {
        let message = format!("the input of response {id:?} was too large to keep");
        return Err(Error::not_found(message).with_type("InputItemsNotKept"));
    };
    let run_id = id.strip_prefix(PREFIX).unwrap_or(id);
    let items = items.into_iter().enumerate();
    let mut items: Vec<Value> = items.map(|(at, item)| listed(item, run_id, at)).collect();
    if !is_ascending {
        items.reverse();
    }
    let start = match query("after") {
        None => 0,
        Some(after) => {
            let after = decoded(after);
            let found = items.iter().position(|item| item["id"] == *after);
            let expected = "the `id` of an item of the list";
            found.ok_or_else(|| invalid("after", &after, expected))? + 1
        }
    };
    let rest = &items[start..];
    let page = &rest[..rest.len().min(usize::try_from(limit).unwrap_or(usize::MAX))];
    let id_of = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let list = json!({
        "object": "list",
        "data": page,
        "first_id": id_of(page.first()),
        "last_id": id_of(page.last()),
        "has_more": page.len() < rest.len(),
    });
    Ok(runs::no_store(response(StatusCode::OK, to_bytes(&list))))
}

/// Returns an item in the form of the list: with an id, with a status if the item is a message, a
/// call or a result, and with the content of a message as a list of parts.
fn listed(mut item: Value, run_id: &str, at: usize) -> Value {
    let Value::Object(members) = &mut item else {
        return item;
    };
    let kind = members.entry("type").or_insert_with(|| "message".into());
    let kind = kind.as_str().unwrap_or_default().to_owned();
    let prefix = match kind.as_str() {
        "message" => "msg",
        "function_call" => "fc",
        "function_call_output" => "fco",
        "reasoning" => "rs",
        _ => "item",
    };
    if !members.get("id").is_some_and(Value::is_string) {
        members.insert("id".to_owned(), format!("{prefix}_{run_id}_{at}").into());
    }
    if matches!(
        kind.as_str(),
        "message" | "function_call" | "function_call_output"
    ) {
        members
            .entry("status")
            .or_insert_with(|| "completed".into());
    }
    if kind == "message"
        && let Some(Value::String(text)) = members.get("content")
    {
        let content = if members.get("role").is_some_and(|role| role == "assistant") {
            json!([{"type": "output_text", "text": text, "annotations": []}])
        } else {
            json!([{"type": "input_text", "text": text}])
        };
        members.insert("content".to_owned(), content);
    }
    item
}
