//! A chat with a tool and an approval, for the front ends and agents of every protocol.
//!
//! It uses no model, so that it shows only the protocols; see `llm-chat` for a model.

use std::time::{SystemTime, UNIX_EPOCH};

use ppio::{ChatEvent, FinishReason, InterruptStatus, InvocationRequest, Stream, json, stream};

/// Answers a chat: it tells the time with a tool, and sends mail once a person approves.
#[ppio::entrypoint]
async fn agent(request: InvocationRequest) -> impl Stream<Item = ChatEvent> {
    let prompt = request.prompt.unwrap_or_default();
    stream! {
        if let Some(response) = request.resume.first() {
            let is_approved = response.status == InterruptStatus::Resolved
                && response.payload["approved"] == true;
            yield ChatEvent::text(if is_approved { "The mail is sent." } else { "I sent nothing." });
        } else if prompt.contains("time") {
            for event in ChatEvent::tool_call("call-1", "clock", &json!({"zone": "UTC"})) {
                yield event;
            }
            let seconds = seconds_of_today();
            yield ChatEvent::tool_result("call-1", json!({ "seconds": seconds }));
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            yield ChatEvent::text(format!("It is {hours:02}:{minutes:02} UTC."));
        } else if prompt.contains("mail") {
            yield ChatEvent::text("I have written a mail.");
            yield ChatEvent::Interrupt {
                id: "send-mail".into(),
                reason: "approval".into(),
                message: Some("May I send the mail?".into()),
                tool_call_id: None,
                response_schema: Some(json!({
                    "type": "object",
                    "properties": {"approved": {"type": "boolean"}},
                    "required": ["approved"],
                })),
            };
        } else {
            yield ChatEvent::reasoning("This is neither about the time nor about mail.");
            for word in format!("You said: {prompt}").split_inclusive(' ') {
                yield ChatEvent::text(word);
            }
            yield ChatEvent::Finish { reason: FinishReason::Stop };
        }
    }
}

fn seconds_of_today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() % (24 * 3600))
}

#[cfg(test)]
mod tests {
    use ppio::testing::TestAgent;
    use ppio::{ChatEvent, InterruptResponse, InvocationRequest, json};

    #[tokio::test]
    async fn it_tells_the_time_with_a_tool() {
        let agent = TestAgent::annotated().unwrap();
        let reply = agent.invoke(&json!({ "prompt": "What time is it?" })).await;
        let events = reply.items::<ChatEvent>().await;
        assert!(matches!(&events[0], ChatEvent::ToolCallStart { name, .. } if name == "clock"));
    }

    #[tokio::test]
    async fn it_sends_nothing_without_an_approval() {
        let agent = TestAgent::annotated().unwrap();
        let request = InvocationRequest::prompt("Send a mail.");
        let events = agent.invoke(&request).await.items::<ChatEvent>().await;
        assert!(matches!(&events[1], ChatEvent::Interrupt { id, .. } if id == "send-mail"));

        for (approved, text) in [(true, "The mail is sent."), (false, "I sent nothing.")] {
            let response =
                InterruptResponse::resolved("send-mail", json!({ "approved": approved }));
            let request = request.clone().with_resume(vec![response]);
            let events = agent.invoke(&request).await.items::<ChatEvent>().await;
            assert_eq!(events, [ChatEvent::text(text)]);
        }
    }
}
