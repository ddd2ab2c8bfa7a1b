//! The UI message stream of the Vercel AI SDK, version 1.

mod chat;
mod chunk;
mod message;
mod message_stream;
mod request;
mod restored;
mod tool_calls;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::RunStatus;

use self::chat::Chat;
use self::chunk::Chunk;
use self::message_stream::MessageStream;
use self::request::UiRequest;
use super::ProtocolAgent;
use super::call::{self, failed_events, no_content};
use super::path_table::{Methods, PathTable, ProtocolPath};
use crate::endpoints::runs::decoded;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::context::session_header;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::to_bytes;
use crate::exchange::rejection::Rejection;
use crate::runs::run::Run;
use crate::runs::tag::RunTag;

/// The name of the protocol in the tags of its runs.
const PROTOCOL: &str = "ui-stream";
/// The header that marks a response as a UI message stream.
const STREAM_VERSION: HeaderName = HeaderName::from_static("x-vercel-ai-ui-message-stream");

/// The route of a request to a path of the protocol.
#[derive(Clone, Copy)]
pub(super) enum ChatRoute {
    /// Sends the next message.
    Message,
    /// Reads the answer from its beginning, if the answer is being written or its end was not read.
    /// A cancelled answer is not read again.
    Stream,
    /// Cancels the answer.
    Stop,
}

/// The paths of the protocol. The parameter `{id}` is the id of a chat.
pub(super) static PATHS: PathTable<ChatRoute> = PathTable(&[
    ProtocolPath::new(
        "/api/chat",
        Methods::Post("Sends a message"),
        ChatRoute::Message,
    ),
    ProtocolPath::new(
        "/api/chat/{id}/stream",
        Methods::Get("Resumes the stream of a chat"),
        ChatRoute::Stream,
    ),
    ProtocolPath::new(
        "/api/chat/{id}/stop",
        Methods::Post("Stops the answer of a chat"),
        ChatRoute::Stop,
    ),
]);

/// Returns the body of an error response: the error chunk of a stream.
pub(super) fn error_body(failure: &Failure) -> Bytes {
    to_bytes(&Chunk::of_failure(failure))
}

/// Answers a request.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let (headers, path) = (request.headers(), request.uri().path());
    match PATHS.find(path) {
        None => Err(Rejection::no_route(path).into()),
        Some((ChatRoute::Message, _)) => send(agent, exchange, request).await,
        Some((ChatRoute::Stream, [id, _])) => match unread(agent, headers, id) {
            None => Ok(no_content()),
            Some(run) => {
                let chat = run.tag().map(|tag| serde_json::from_str(&tag.data));
                let chat: Chat = chat.and_then(Result::ok).unwrap_or_default();
                let answer = call::reattach(agent.invoker, exchange, &run).await;
                respond(exchange, answer, chat, true)
            }
        },
        Some((ChatRoute::Stop, [id, _])) => {
            if let Some(run) = newest(agent, headers, id) {
                run.cancel_recorded("its chat was stopped").await;
            }
            Ok(no_content())
        }
    }
}

/// Runs the agent. The run continues if the user leaves the page, and the page can resume the
/// stream.
async fn send(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let options = call::run_options(agent, request.headers())?;
    let (parts, body) = call::read(request).await?;
    let request: UiRequest = call::parse(&body)?;
    let thread = request.id.clone();
    let (request, chat) = request.into_request();
    let options = options.continuing(RunTag {
        protocol: PROTOCOL.to_owned(),
        thread: Some(thread),
        data: chat.to_kept(),
    });
    let answer = call::invoke(agent, exchange, parts, &request, options).await;
    respond(exchange, answer, chat, false)
}

fn respond(
    exchange: &Exchange,
    answer: Result<call::AgentAnswer, Error>,
    chat: Chat,
    is_replay: bool,
) -> Result<Response, Error> {
    let mut response = match answer {
        Ok(answer) => {
            let stream = MessageStream::new(chat, answer.request_id(exchange), is_replay);
            answer.into_events(exchange, stream)
        }
        // The run was stopped before its answer began.
        Err(error) if error.rejection().is_some_and(Rejection::is_cancellation) => {
            let request_id = exchange.request_id.as_str();
            let failure = Failure::of(&error, request_id);
            let stream = MessageStream::new(chat, request_id, is_replay);
            failed_events(exchange, failure, stream)
        }
        Err(error) => return Err(error),
    };
    let headers = response.headers_mut();
    headers.insert(STREAM_VERSION, HeaderValue::from_static("v1"));
    Ok(response)
}

/// Returns the newest run of a chat if it is running, or if it ended while the page was not reading
/// the answer, for example during a reload. A run that was stopped has nothing more to send.
fn unread(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
    chat_id: &str,
) -> Option<std::sync::Arc<Run>> {
    let newest = newest(agent, headers, chat_id);
    newest.filter(|run| match run.status() {
        RunStatus::Running => true,
        RunStatus::Cancelled => false,
        _ => run.is_awaited(),
    })
}

/// Returns the newest run of a chat.
fn newest(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
    chat_id: &str,
) -> Option<std::sync::Arc<Run>> {
    let chat_id = decoded(chat_id);
    let caller = agent.runs.caller(headers, session_header(headers));
    let is_of_chat =
        |tag: &RunTag| tag.protocol == PROTOCOL && tag.thread.as_deref() == Some(&chat_id);
    agent.runs.find_named(&caller, is_of_chat)
}
