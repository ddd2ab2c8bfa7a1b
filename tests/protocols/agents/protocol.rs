//! An agent that does what the first word of its prompt requests, so that clients of every protocol
//! receive every kind of answer from one process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use ppio::{
    ChatEvent, ChatRole, Error, FinishReason, InterruptStatus, InvocationRequest, Reply,
    RequestContext, Value, json,
};

type Events = BoxStream<'static, Result<ChatEvent, Error>>;

/// The number of invocations that were dropped before their end.
static CANCELLED: AtomicU64 = AtomicU64::new(0);

/// Does what the prompt says:
///
/// - `hello`: three deltas of text; a value if no stream is wanted
/// - `value`: an object
/// - `echo`: the request, as the JSON text of a value
/// - `weather`: thinks, runs a tool of its own, answers, and reports the tokens
/// - `tool`: calls the first tool of the caller, or answers with its result
/// - `approve`: asks for approval, or answers with what was decided
/// - `state`: changes the state of the caller
/// - `steps`: two steps, a source and data
/// - `fail-first`, `fail-later`, `missing` (a 404), `panic`, `empty`
/// - `slow-fail-later MS`: one delta, and the failure after so many milliseconds
/// - `late MS` and any of these: begins after so many milliseconds
/// - `many N`: so many deltas at once
/// - `slow N MS`: a delta every so many milliseconds
/// - `hang`: one delta, then nothing; `cancelled` answers how often that was cancelled
#[ppio::entrypoint]
async fn agent(
    request: InvocationRequest,
    context: RequestContext,
) -> Result<Reply<Value, Events>, Error> {
    let prompt = request.prompt.clone().unwrap_or_default();
    let mut words = prompt.split_whitespace().peekable();
    if words.next_if_eq(&"late").is_some() {
        let pause = words.next().and_then(|word| word.parse().ok());
        ppio::tokio::time::sleep(Duration::from_millis(pause.unwrap_or_default())).await;
    }
    let command = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(3);
    let events = match command {
        "value" => return Ok(Reply::Value(json!({"answer": 42}))),
        "echo" => return Ok(Reply::Value(json!(request))),
        "cancelled" => {
            let cancelled = CANCELLED.load(Ordering::Relaxed).to_string();
            return Ok(Reply::Value(cancelled.into()));
        }
        "hello" if !context.stream_requested() => return Ok(Reply::Value("Hello, world!".into())),
        "hello" => ready(["Hello", ", ", "world!"].map(ChatEvent::from)),
        "weather" => weather(),
        "tool" => tool(&request),
        "approve" => approve(&request),
        "state" => ready([
            ChatEvent::StateSnapshot {
                state: request.state.unwrap_or(json!({})),
            },
            ChatEvent::StateDelta {
                patch: vec![json!({"op": "add", "path": "/seen", "value": true})],
            },
            ChatEvent::text("changed"),
        ]),
        "steps" => ready([
            ChatEvent::StepStart {
                name: "search".into(),
            },
            ChatEvent::Source {
                id: "s1".into(),
                url: "https://example.com/a".into(),
                title: Some("A".into()),
            },
            ChatEvent::StepEnd {
                name: "search".into(),
            },
            ChatEvent::StepStart {
                name: "write".into(),
            },
            ChatEvent::data("progress", json!({"percent": 50})),
            ChatEvent::text("done"),
            ChatEvent::StepEnd {
                name: "write".into(),
            },
        ]),
        "fail-first" => {
            return Err(Error::bad_request("no such model").with_type("ModelError"));
        }
        "missing" => return Err(Error::not_found("no such document")),
        "fail-later" => {
            let error = Error::unavailable("the model went away").with_type("ModelError");
            let events = [Ok(ChatEvent::from("Hello")), Ok(", ".into()), Err(error)];
            stream::iter(events).boxed()
        }
        "slow-fail-later" => {
            let pause = Duration::from_millis(number());
            let error = Error::unavailable("the model went away").with_type("ModelError");
            let failing = stream::once(async move {
                ppio::tokio::time::sleep(pause).await;
                Err(error)
            });
            ready(["Hello".into()]).chain(failing).boxed()
        }
        "panic" => panic!("as the prompt requested"),
        "empty" => stream::empty().boxed(),
        "many" => {
            let many: u64 = number();
            stream::iter((0..many).map(|at| Ok(format!("{at} ").into()))).boxed()
        }
        "slow" => {
            let (many, pause) = (number(), Duration::from_millis(number()));
            stream::iter(0..many)
                .then(move |at| async move {
                    ppio::tokio::time::sleep(pause).await;
                    Ok(format!("{at} ").into())
                })
                .boxed()
        }
        "hang" => {
            let counted = CountOnDrop;
            ready(["waiting".into()])
                .chain(stream::pending().map(move |event| {
                    let _ = &counted;
                    event
                }))
                .boxed()
        }
        _ => ready([format!("You said: {prompt}").into()]),
    };
    Ok(Reply::Stream(events))
}

struct CountOnDrop;

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        CANCELLED.fetch_add(1, Ordering::Relaxed);
    }
}

fn ready<const N: usize>(events: [ChatEvent; N]) -> Events {
    stream::iter(events.map(Ok)).boxed()
}

/// Returns the events of a tool that the agent runs by itself.
fn weather() -> Events {
    let mut events = vec![
        ChatEvent::reasoning("The user wants "),
        ChatEvent::reasoning("the weather."),
    ];
    events.extend(ChatEvent::tool_call(
        "call-1",
        "get_weather",
        &json!({"city": "Paris"}),
    ));
    events.extend([
        ChatEvent::tool_result("call-1", json!({"degrees": 20})),
        ChatEvent::text("It is "),
        ChatEvent::text("20 degrees."),
        ChatEvent::Usage {
            input_tokens: 12,
            output_tokens: 7,
        },
        ChatEvent::Finish {
            reason: FinishReason::Stop,
        },
    ]);
    stream::iter(events.into_iter().map(Ok)).boxed()
}

/// Returns the events of a tool that the caller runs.
fn tool(request: &InvocationRequest) -> Events {
    if let Some(result) = request
        .messages
        .last()
        .filter(|last| last.role == ChatRole::Tool)
    {
        return ready([ChatEvent::text(format!("The tool said {}.", result.text()))]);
    }
    let Some(tool) = request.tools.first() else {
        return ready([ChatEvent::text("There is no tool.")]);
    };
    let call = ChatEvent::tool_call("call-2", &tool.name, &json!({"city": "Paris"}));
    stream::iter(call.map(Ok)).boxed()
}

fn approve(request: &InvocationRequest) -> Events {
    match request.resume.first() {
        None => ready([
            ChatEvent::text("May I?"),
            ChatEvent::Interrupt {
                id: "interrupt-1".into(),
                reason: "approval".into(),
                message: Some("May I send the mail?".into()),
                tool_call_id: None,
                response_schema: Some(json!({
                    "type": "object",
                    "properties": {"approved": {"type": "boolean"}},
                    "required": ["approved"],
                })),
            },
        ]),
        Some(response) if response.status == InterruptStatus::Resolved => {
            ready([ChatEvent::text(format!("Decided: {}.", response.payload))])
        }
        Some(_) => ready([ChatEvent::text("Nothing was decided.")]),
    }
}
