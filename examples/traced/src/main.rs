//! An agent whose trace shows its tool, its model, and the service that the tool calls.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT` sets where the trace is exported to, such as
//! `http://127.0.0.1:4318`.

use std::env;

use ppio::{BoxError, ChatEvent, FinishReason, InvocationRequest, Stream, json, trace, try_stream};

#[ppio::entrypoint]
async fn traced(request: InvocationRequest) -> impl Stream<Item = Result<ChatEvent, BoxError>> {
    let city = request.prompt.unwrap_or_else(|| "Rome".to_owned());
    try_stream! {
        // A model would choose the tool. The span of the model call ends with the token counts.
        for event in ChatEvent::tool_call("call-1", "weather", &json!({"city": city})) {
            yield event;
        }
        yield ChatEvent::Usage { input_tokens: 120, output_tokens: 15 };

        // The span of the tool ends with its result.
        match weather(&city).await {
            Ok(weather) => yield ChatEvent::tool_result("call-1", weather),
            Err(error) => yield ChatEvent::tool_error("call-1", error.to_string()),
        }

        yield ChatEvent::text(format!("That is all I know about the weather in {city}."));
        yield ChatEvent::Usage { input_tokens: 150, output_tokens: 12 };
        yield ChatEvent::Finish { reason: FinishReason::Stop };
    }
}

/// Calls the service at `WEATHER_URL`, whose spans belong to the same trace.
async fn weather(city: &str) -> Result<String, BoxError> {
    let Ok(url) = env::var("WEATHER_URL") else {
        return Ok(format!("{city}: sunny (WEATHER_URL is not set)"));
    };
    let mut headers = ppio::http::HeaderMap::new();
    trace::inject(&mut headers);
    let call = reqwest::Client::new().get(url).headers(headers).send();
    Ok(call.await?.error_for_status()?.text().await?)
}
