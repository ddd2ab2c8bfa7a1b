//! An agent that asks for approval before it runs a tool of its own.

use futures_util::stream::{self, Stream};
use ppio::{ChatEvent, InvocationRequest, json};

pub(crate) const MODULE: &str = module_path!();

#[ppio::entrypoint(config = crate::support::config())]
async fn agent(request: InvocationRequest) -> impl Stream<Item = ChatEvent> {
    let mut events = Vec::new();
    if request.resume.is_empty() {
        events.extend(ChatEvent::tool_call("mail-1", "mail", &json!({})));
        events.push(ChatEvent::Interrupt {
            id: "i1".into(),
            reason: "approval".into(),
            message: None,
            tool_call_id: Some("mail-1".into()),
            response_schema: None,
        });
    } else {
        events.push(ChatEvent::tool_result("mail-1", "sent"));
    }
    stream::iter(events)
}
