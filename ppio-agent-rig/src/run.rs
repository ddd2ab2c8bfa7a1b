//! Starts a run from a request.

use ppio::{ChatMessage, ChatRole, Error, InvocationRequest};
use rig::agent::{Agent, AgentRunner};
use rig::message::Message;

use crate::messages::messages;

/// Creates a run of `agent` that answers `request`. Call [`stream`](AgentRunner::stream) for its
/// items, after options such as [`max_turns`](AgentRunner::max_turns).
///
/// The [`messages`](InvocationRequest::messages) are the conversation. A prompt that is not the
/// text of the user's last message follows the messages, so a caller may send earlier messages and
/// a prompt. The `temperature` and `max_tokens` of the request override those of the agent.
///
/// The [`tools`](InvocationRequest::tools) of the caller are not given to the model, because the
/// tools of a rig agent are fixed when it is built, and rig calls them itself.
///
/// # Errors
/// A 400 if there is nothing to answer, or if the last message is neither a user message nor the
/// result of a tool and there is no other prompt; otherwise the errors of [`messages`].
///
/// ```
/// use ppio::{Error, InvocationRequest};
/// use ppio_rig::rig::agent::{Agent, StreamingResult};
///
/// fn answer(agent: &Agent, request: &InvocationRequest) -> Result<StreamingResult, Error> {
///     Ok(ppio_rig::run(agent, request)?.max_turns(8).stream())
/// }
/// ```
pub fn run(agent: &Agent, request: &InvocationRequest) -> Result<AgentRunner, Error> {
    let (history, prompt) = conversation(request)?;
    let mut run = agent.prompt(prompt).history(history);
    if let Some(temperature) = request.temperature {
        run = run.temperature(temperature);
    }
    if let Some(max_tokens) = request.max_tokens {
        run = run.max_tokens(max_tokens);
    }
    Ok(run)
}

/// Returns the earlier messages, and the message to answer.
fn conversation(request: &InvocationRequest) -> Result<(Vec<Message>, Message), Error> {
    let mut history = messages(&request.messages)?;
    if let Some(prompt) = new_prompt(request) {
        return Ok((history, Message::user(prompt)));
    }
    match history.pop() {
        Some(prompt @ Message::User { .. }) => Ok((history, prompt)),
        Some(_) => Err(Error::bad_request(
            "the last message is not a user message or a tool result; end `messages` with one, or \
             send a `prompt`",
        )),
        None => Err(Error::bad_request(
            "there is nothing to answer; send a `prompt` or `messages`",
        )),
    }
}

/// Returns the prompt, unless it is the text of the user's last message.
fn new_prompt(request: &InvocationRequest) -> Option<&str> {
    let prompt = request
        .prompt
        .as_deref()
        .filter(|prompt| !prompt.is_empty())?;
    let mut newest_first = request.messages.iter().rev();
    let last = newest_first.find(|message| message.role == ChatRole::User);
    (last.map(ChatMessage::text).as_deref() != Some(prompt)).then_some(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_the_last_message_or_follows_them() {
        let chat = || vec![ChatMessage::user("1 + 1?"), ChatMessage::assistant("2")];
        let mut asked = chat();
        asked.push(ChatMessage::user("and now?"));
        let mut followed_up = InvocationRequest::of_messages(chat());
        followed_up.prompt = Some("and now?".into());
        let earlier = vec![Message::user("1 + 1?"), Message::assistant("2")];
        for (request, history) in [
            (InvocationRequest::prompt("and now?"), Vec::new()),
            (InvocationRequest::of_messages(asked), earlier.clone()),
            (followed_up, earlier),
        ] {
            let expected = (history, Message::user("and now?"));
            assert_eq!(conversation(&request).unwrap(), expected);
        }
    }

    #[test]
    fn a_request_without_a_question_is_refused() {
        for (request, part) in [
            (InvocationRequest::default(), "nothing to answer"),
            (InvocationRequest::prompt(""), "nothing to answer"),
            (
                InvocationRequest::of_messages(vec![
                    ChatMessage::user("hi"),
                    ChatMessage::assistant("hello"),
                ]),
                "end `messages` with",
            ),
        ] {
            let error = conversation(&request).unwrap_err();
            assert_eq!(error.status(), 400);
            assert!(error.message().contains(part), "{}", error.message());
        }
    }
}
