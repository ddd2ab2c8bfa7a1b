//! An agent that acts once a person approves, by an interrupt that the next request answers.
//!
//! Booking a table needs no state: the id of the interrupt contains the question. A refund needs
//! state, because the caller must not choose the amount.

mod refunds;

use ppio::{
    ChatEvent, InterruptResponse, InterruptStatus, InvocationRequest, RequestContext, State,
    Stream, json, stream,
};

use crate::refunds::{Refund, Refunds};

#[ppio::startup]
fn open() -> Refunds {
    Refunds::default()
}

/// Books a table or refunds an order, once a person approves.
#[ppio::entrypoint]
async fn agent(
    request: InvocationRequest,
    context: RequestContext,
    refunds: State<Refunds>,
) -> impl Stream<Item = ChatEvent> {
    stream! {
        if let Some(response) = request.resume.first() {
            if let Some(guests) = response.interrupt_id.strip_prefix("table-") {
                yield ChatEvent::text(if is_approved(response) {
                    format!("A table for {guests} is booked.")
                } else {
                    "I booked nothing.".to_owned()
                });
                return;
            }
            let Some(refund) = refunds.take(&response.interrupt_id, &request) else {
                yield ChatEvent::text("There is no such refund to decide about.");
                return;
            };
            if is_approved(response) {
                yield ChatEvent::tool_result(&*response.interrupt_id, json!({ "refunded": refund.cents }));
                yield ChatEvent::text(format!("Order {} is refunded.", refund.order));
            } else {
                yield ChatEvent::tool_error(&*response.interrupt_id, "the person refused");
                yield ChatEvent::text("I refunded nothing.");
            }
            return;
        }
        let prompt = request.prompt.as_deref().unwrap_or_default();
        let mut words = prompt.split(|c: char| !c.is_ascii_digit());
        let number: Option<u32> = words.find_map(|word| word.parse().ok());
        match number {
            Some(guests) if prompt.contains("table") => {
                yield ask(format!("table-{guests}"), format!("Book a table for {guests}?"), None);
            }
            Some(order) if prompt.contains("refund") => {
                let refund = Refund { order, cents: 4_500 };
                let question = format!("Refund 45.00 for order {order}?");
                let id = format!("refund-{}", context.request_id());
                refunds.add(&id, refund, &request);
                // The tool call that waits for approval; a front end shows it with its arguments.
                for event in ChatEvent::tool_call(&*id, "refund", &refund.arguments()) {
                    yield event;
                }
                yield ask(id.clone(), question, Some(id));
            }
            _ => yield ChatEvent::text("Say `book a table for 4`, or `refund order 17`."),
        }
    }
}

/// Returns the interrupt that requests an approval; the answer ends with it.
fn ask(id: String, message: String, tool_call_id: Option<String>) -> ChatEvent {
    ChatEvent::Interrupt {
        id,
        reason: "approval".into(),
        message: Some(message),
        tool_call_id,
        response_schema: Some(json!({
            "type": "object",
            "properties": {"approved": {"type": "boolean"}},
            "required": ["approved"],
        })),
    }
}

/// Whether the response is a clear approval; anything else is a refusal.
fn is_approved(response: &InterruptResponse) -> bool {
    response.status == InterruptStatus::Resolved && response.payload["approved"] == true
}

#[cfg(test)]
mod tests {
    use ppio::testing::TestAgent;

    use super::*;

    async fn events(agent: &TestAgent, request: &InvocationRequest) -> Vec<ChatEvent> {
        agent.invoke(request).await.items().await
    }

    fn response(id: &str, approved: bool) -> InvocationRequest {
        let response = InterruptResponse::resolved(id, json!({ "approved": approved }));
        InvocationRequest::default().with_resume(vec![response])
    }

    #[tokio::test]
    async fn a_table_is_booked_without_state() {
        let agent = TestAgent::annotated().unwrap();
        let asked = events(&agent, &InvocationRequest::prompt("book a table for 4")).await;
        assert!(matches!(&asked[0], ChatEvent::Interrupt { id, .. } if id == "table-4"));
        // Another process of the agent may receive the response.
        let agent = TestAgent::annotated().unwrap();
        for (request, text) in [
            (response("table-4", true), "A table for 4 is booked."),
            (response("table-4", false), "I booked nothing."),
            (
                InvocationRequest::default()
                    .with_resume(vec![InterruptResponse::cancelled("table-4")]),
                "I booked nothing.",
            ),
        ] {
            assert_eq!(events(&agent, &request).await, [ChatEvent::text(text)]);
        }
    }

    #[tokio::test]
    async fn a_refund_is_decided_once_and_in_its_own_chat() {
        let agent = TestAgent::new(
            ppio::AgentRuntimeApp::annotated()
                .unwrap()
                .with_state(Refunds::default())
                .unwrap(),
        );
        let request = InvocationRequest::prompt("refund order 17").with_thread_id("t1");
        let asked = events(&agent, &request).await;
        let Some(ChatEvent::Interrupt {
            id, tool_call_id, ..
        }) = asked.last()
        else {
            panic!("{asked:?}");
        };
        assert_eq!(tool_call_id.as_ref(), Some(id));
        let unknown = [ChatEvent::text("There is no such refund to decide about.")];
        for (request, expected) in [
            (response(id, true).with_thread_id("t2"), &unknown[..]),
            (response("made up", true).with_thread_id("t1"), &unknown),
            (
                response(id, true).with_thread_id("t1"),
                &[
                    ChatEvent::tool_result(&**id, json!({ "refunded": 4_500 })),
                    ChatEvent::text("Order 17 is refunded."),
                ],
            ),
            (response(id, true).with_thread_id("t1"), &unknown),
        ] {
            assert_eq!(events(&agent, &request).await, expected);
        }
    }
}
