//! An agent that calls two tools, the second of which fails.

use ppio::{BoxError, ChatEvent, FinishReason, InvocationRequest, Stream, json, try_stream};

#[ppio::entrypoint]
async fn plan(request: InvocationRequest) -> impl Stream<Item = Result<ChatEvent, BoxError>> {
    let city = request.prompt.unwrap_or_default();
    try_stream! {
        for tool in ["weather", "trains"] {
            for event in ChatEvent::tool_call(tool, tool, &json!({"city": city})) {
                yield event;
            }
            yield ChatEvent::Usage { input_tokens: 100, output_tokens: 10 };
            match call(tool, &city) {
                Ok(result) => yield ChatEvent::tool_result(tool, result),
                Err(error) => {
                    tracing::warn!(tool, %error, "the tool failed");
                    yield ChatEvent::tool_error(tool, error.to_string());
                }
            }
        }
        yield ChatEvent::text("I cannot find a train.");
        yield ChatEvent::Usage { input_tokens: 150, output_tokens: 12 };
        yield ChatEvent::Finish { reason: FinishReason::Stop };
    }
}

fn call(tool: &str, city: &str) -> Result<String, BoxError> {
    match tool {
        "weather" => Ok(format!("{city}: sunny")),
        _ => Err(format!("no station in {city:?}").into()),
    }
}
