//! A chat for the playground that does what the first word of its prompt requests.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use ppio::{ChatEvent, Error, FinishReason, InvocationRequest, Reply, Value, json};

type Events = BoxStream<'static, Result<ChatEvent, Error>>;

/// Markup that an agent returns as text.
const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(1)</script>";

/// Does what the prompt says:
///
/// - `hello`: text and the tokens
/// - `value`: an object instead of a stream
/// - `echo`: the request, as data
/// - `weather`: thinks, calls a tool, answers, and returns the tokens
/// - `steps`: steps, a source, data and state
/// - `approve`, `ask`, `decide`: an interrupt for an approval, with a form, and without a schema
/// - `markup`: markup in every kind of event
/// - `fail-first`, `fail-later`
/// - `many N`: so many deltas at once
/// - `long N`: one delta of so many characters
/// - `objects N`: so many items of data
/// - `slow N MS`: a delta every so many milliseconds
#[ppio::entrypoint]
async fn agent(request: InvocationRequest) -> Result<Reply<Value, Events>, Error> {
    let prompt = request.prompt.clone().unwrap_or_default();
    let mut words = prompt.split_whitespace();
    let command = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(3);
    if !request.resume.is_empty() {
        return Ok(Reply::Stream(decided(&request)));
    }
    let events = match command {
        "value" => return Ok(Reply::Value(json!({"answer": 42}))),
        "hello" => ready([
            ChatEvent::text("Hello, "),
            ChatEvent::text("world!"),
            ChatEvent::Usage {
                input_tokens: 3,
                output_tokens: 4,
            },
        ]),
        "echo" => ready([ChatEvent::data("request", json!(request))]),
        "weather" => weather(),
        "steps" => steps(),
        "approve" | "ask" | "decide" => interrupt(command),
        "markup" => markup(),
        "fail-first" => return Err(Error::bad_request("no such model").with_type("ModelError")),
        "fail-later" => {
            let error = Error::unavailable("the model went away").with_type("ModelError");
            stream::iter([Ok(ChatEvent::text("Hello, ")), Err(error)]).boxed()
        }
        "many" => {
            let many: u64 = number();
            stream::iter((1..=many).map(|at| Ok(format!("{at} ").into()))).boxed()
        }
        "long" => {
            let length = usize::try_from(number()).unwrap_or_default();
            let text: String = "word ".chars().cycle().take(length).collect();
            ready([text.into()])
        }
        "objects" => {
            let many: u64 = number();
            let object = |at| Ok(ChatEvent::data("object", json!({"at": at})));
            stream::iter((1..=many).map(object)).boxed()
        }
        "slow" => {
            let (many, pause) = (number(), Duration::from_millis(number()));
            stream::iter(1..=many)
                .then(move |at| async move {
                    tokio::time::sleep(pause).await;
                    Ok(format!("{at} ").into())
                })
                .boxed()
        }
        _ => ready([format!("You said: {prompt}").into()]),
    };
    Ok(Reply::Stream(events))
}

fn ready<const N: usize>(events: [ChatEvent; N]) -> Events {
    stream::iter(events.map(Ok)).boxed()
}

fn weather() -> Events {
    let [start, arguments, end] = ChatEvent::tool_call("c1", "weather", &json!({"city": "Paris"}));
    ready([
        ChatEvent::reasoning("The user wants "),
        ChatEvent::reasoning("the weather."),
        ChatEvent::text("Let me look. "),
        start,
        arguments,
        end,
        ChatEvent::tool_result("c1", json!({"degrees": 20})),
        ChatEvent::text("It is 20 degrees."),
        ChatEvent::Usage {
            input_tokens: 12,
            output_tokens: 7,
        },
        ChatEvent::Finish {
            reason: FinishReason::Length,
        },
    ])
}

fn steps() -> Events {
    ready([
        ChatEvent::StepStart {
            name: "search".into(),
        },
        ChatEvent::Source {
            id: "s1".into(),
            url: "https://example.com/a".into(),
            title: Some("A page".into()),
        },
        ChatEvent::StepEnd {
            name: "search".into(),
        },
        ChatEvent::data("progress", json!({"percent": 50})),
        ChatEvent::StateSnapshot {
            state: json!({"seen": []}),
        },
        ChatEvent::StateDelta {
            patch: vec![json!({"op": "add", "path": "/seen/-", "value": "A page"})],
        },
        ChatEvent::text("Done."),
    ])
}

fn interrupt(kind: &str) -> Events {
    let (message, response_schema) = match kind {
        "approve" => (
            "May I send the mail?",
            Some(json!({
                "type": "object",
                "properties": {"approved": {"type": "boolean"}},
                "required": ["approved"],
            })),
        ),
        "ask" => (
            "Which room?",
            Some(json!({
                "type": "object",
                "properties": {
                    "size": {"enum": ["small", "large"]},
                    "nights": {"type": "integer", "minimum": 1},
                    "note": {"type": "string"},
                },
                "required": ["size", "nights"],
            })),
        ),
        _ => ("Go on?", None),
    };
    ready([
        ChatEvent::text("I have a question."),
        ChatEvent::Interrupt {
            id: format!("{kind}-1"),
            reason: kind.to_owned(),
            message: Some(message.to_owned()),
            tool_call_id: None,
            response_schema,
        },
    ])
}

/// Returns the responses to the interrupts, as data.
fn decided(request: &InvocationRequest) -> Events {
    let thread = request.thread_id.clone().unwrap_or_default();
    ready([
        ChatEvent::text("Decided."),
        ChatEvent::data(
            "decision",
            json!({"resume": request.resume, "thread_id": thread}),
        ),
    ])
}

fn markup() -> Events {
    let [start, arguments, end] = ChatEvent::tool_call("c1", MARKUP, &json!({ MARKUP: MARKUP }));
    ready([
        ChatEvent::reasoning(MARKUP),
        ChatEvent::text(MARKUP),
        start,
        arguments,
        end,
        ChatEvent::tool_error("c1", MARKUP),
        ChatEvent::data(MARKUP, MARKUP),
        ChatEvent::StepStart {
            name: MARKUP.into(),
        },
        ChatEvent::Source {
            id: "s1".into(),
            url: "javascript:alert(1)".into(),
            title: Some(MARKUP.into()),
        },
        ChatEvent::Interrupt {
            id: MARKUP.into(),
            reason: MARKUP.into(),
            message: Some(MARKUP.into()),
            tool_call_id: None,
            response_schema: Some(json!({
                "type": "object", "title": MARKUP, "description": MARKUP,
                "properties": { MARKUP: {"type": "string", "description": MARKUP} },
            })),
        },
    ])
}
