//! The same agent as `tests/interop/agentcore_agent.py`, which runs on AgentCore's own runtime.

use futures_util::stream::{self, Stream, StreamExt as _};
use ppio::{
    AgentRuntimeApp, Error, PingStatus, Reply, RequestContext, StartError, Value, health, json,
    task,
};

fn main() -> Result<(), StartError> {
    let app = AgentRuntimeApp::builder()
        .entrypoint(async |request: Value, context: RequestContext| answer(&request, &context));
    match std::env::var("CHECK") {
        Err(_) => app.build()?.run(),
        Ok(check) => {
            let check = move || {
                let status = check.parse::<PingStatus>();
                async { status }
            };
            app.ping(check).build()?.run()
        }
    }
}

fn answer(
    request: &Value,
    context: &RequestContext,
) -> Result<Reply<Value, impl Stream<Item = Result<Value, Error>> + use<>>, Error> {
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    Ok(Reply::Value(match &*text("do") {
        "items" => return Ok(Reply::Stream(items(request))),
        "fail" => return Err(Error::internal("no luck").with_type("ValueError")),
        "not found" => return Err(Error::not_found("no such city")),
        "add" => json!(task::add(text("name"), None)),
        "complete" => json!(request["id"].as_u64().is_some_and(task::complete)),
        "force" => {
            let status: Result<PingStatus, _> = text("status").parse();
            health::force_status(status.map_err(|error| Error::bad_request(error.to_string()))?);
            Value::Null
        }
        "clear" => {
            health::clear_forced_status();
            Value::Null
        }
        "context" => {
            let names = request["names"].as_array().into_iter().flatten();
            let names = names.filter_map(Value::as_str);
            json!({
                "session": context.session_id(),
                "request": context.request_id(),
                "token": context.workload_access_token(),
                "callback": context.oauth2_callback_url(),
                "headers": names.filter(|name| context.headers().contains_key(*name)).collect::<Vec<_>>(),
            })
        }
        _ => request.clone(),
    }))
}

fn items(request: &Value) -> impl Stream<Item = Result<Value, Error>> + use<> {
    let count = request["count"].as_u64().unwrap_or_default();
    let failure = request["fail"]
        .as_str()
        .map(|text| Err(Error::internal(text)));
    let items = (0..count).map(|number| Ok(json!({"number": number})));
    stream::iter(items).chain(stream::iter(failure))
}
