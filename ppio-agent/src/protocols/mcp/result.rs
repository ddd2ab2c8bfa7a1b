//! Results of requests.

use serde_json::{Map, Value, json};

use super::generation::Generation;
use super::interrupt;
use super::message::{RpcRequest, object};
use crate::exchange::agent_info::AgentInfo;
use crate::exchange::failure::Failure;
use crate::protocols::whole::WholeAnswer;

/// Writes the response to one request.
pub(super) struct ResultWriter {
    agent: AgentInfo,
    generation: Generation,
    id: Value,
    /// The responses to interrupts in the call, if further interrupts can be sent to the client.
    responses: Option<Vec<Value>>,
}

impl ResultWriter {
    pub(super) fn new(agent: &AgentInfo, generation: Generation, request: &RpcRequest) -> Self {
        let can_ask = generation == Generation::Stateless && interrupt::can_ask(request);
        Self {
            agent: *agent,
            generation,
            id: request.id.clone(),
            responses: can_ask.then(|| interrupt::responses(&request.params).unwrap_or_default()),
        }
    }

    /// Returns the response with a result.
    pub(super) fn to_json(&self, mut result: Map<String, Value>) -> Value {
        if self.generation == Generation::Stateless {
            let kind = result.entry("resultType");
            kind.or_insert_with(|| "complete".into());
            let meta = json!({"io.modelcontextprotocol/serverInfo": server_info(&self.agent)});
            result.insert("_meta".to_owned(), meta);
        }
        json!({"jsonrpc": "2.0", "id": self.id, "result": result})
    }

    /// Returns the response to a call that succeeded: a request for the response to the interrupt
    /// of the answer, if the client can show a form for it, otherwise the content of the answer and
    /// the JSON of the interrupt, if there is one. If the answer is not a stream and has one value,
    /// which is an object, the value is also sent as structured content.
    pub(super) fn succeeded(&self, answer: WholeAnswer, is_stream: bool) -> Value {
        let mut content = vec![text(&answer.text)];
        if let Some(event) = answer.interrupt {
            if let Some(earlier) = &self.responses
                && let Some(form) = interrupt::input_required(&event, earlier)
            {
                return self.to_json(form);
            }
            content.push(text(&json!(event).to_string()));
        }
        let mut result = object(json!({"content": content}));
        let mut values = answer.values.into_iter();
        if !is_stream
            && let (Some(value), None) = (values.next(), values.next())
            && value.is_object()
        {
            result.insert("structuredContent".to_owned(), value);
        }
        self.to_json(result)
    }

    /// Returns the response to a call that failed, with the error for the model to read.
    pub(super) fn failed(&self, failure: &Failure) -> Value {
        let content = [text(&failure.message)];
        self.to_json(object(json!({"content": content, "isError": true})))
    }
}

/// Returns the name and the version of the server.
pub(super) fn server_info(agent: &AgentInfo) -> Value {
    json!({"name": agent.name, "version": agent.version})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}
