//! An agent that is one of the tools of MCP's conformance suite, selected by the argument.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use ppio::{
    AgentRuntimeApp, ChatEvent, Error, InterruptStatus, InvocationRequest, Reply, StartError,
    Value, json,
};

type Events = BoxStream<'static, Result<ChatEvent, Error>>;

/// The names of the tools.
const TOOLS: [&str; 7] = [
    "test_simple_text",
    "test_error_handling",
    "test_tool_with_progress",
    "test_input_required_result_elicitation",
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
    "test_input_required_result_multi_round",
];

fn main() -> Result<(), StartError> {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let found = TOOLS.into_iter().find(|tool| *tool == argument);
    let Some(tool) = found else {
        panic!("there is no tool {argument:?}");
    };
    AgentRuntimeApp::builder()
        .name(tool)
        .description("One of the tools of the conformance suite.")
        .version("1.0.0")
        .entrypoint(move |request: InvocationRequest| async move { call(tool, &request) })
        .build()?
        .run()
}

fn call(tool: &str, request: &InvocationRequest) -> Result<Reply<Value, Events>, Error> {
    Ok(match tool {
        "test_error_handling" => {
            let text = "This tool intentionally returns an error for testing";
            return Err(Error::internal(text));
        }
        "test_tool_with_progress" => events(["0", "50", "100"].map(ChatEvent::from)),
        "test_input_required_result_elicitation" => match answer(request, "user_name") {
            Some(answer) => text(&format!("Hello, {}!", answer["name"])),
            None => ask("user_name", "What is your name?", "name", "string"),
        },
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => match answer(request, "confirm") {
            Some(_) => text("state-ok"),
            None => ask("confirm", "Please confirm", "ok", "boolean"),
        },
        "test_input_required_result_multi_round" => {
            match (answer(request, "step1"), answer(request, "step2")) {
                (None, _) => ask("step1", "Step 1: What is your name?", "name", "string"),
                (_, None) => ask("step2", "Step 2: What is your color?", "color", "string"),
                (Some(name), Some(color)) => text(&format!("{name} likes {color}")),
            }
        }
        _ => text("This is a simple text response for testing."),
    })
}

fn text(text: &str) -> Reply<Value, Events> {
    Reply::Value(text.into())
}

fn events<const N: usize>(events: [ChatEvent; N]) -> Reply<Value, Events> {
    Reply::Stream(stream::iter(events.map(Ok)).boxed())
}

/// Returns the payload of the response to an interrupt, if the interrupt was resolved.
fn answer<'a>(request: &'a InvocationRequest, id: &str) -> Option<&'a Value> {
    let mut responses = request.resume.iter();
    let found = responses.find(|response| response.interrupt_id == id)?;
    (found.status == InterruptStatus::Resolved).then_some(&found.payload)
}

fn ask(id: &str, message: &str, field: &str, kind: &str) -> Reply<Value, Events> {
    events([ChatEvent::Interrupt {
        id: id.to_owned(),
        reason: "input".to_owned(),
        message: Some(message.to_owned()),
        tool_call_id: None,
        response_schema: Some(json!({
            "type": "object",
            "properties": {field: {"type": kind}},
            "required": [field],
        })),
    }])
}
