//! Several turns in one session.

async fn conversation_example() -> Result<(), Error> {
    AgentRuntimeClient::scope(async |client| {
        let session = client.create_session("conversation-agent");
        let session = session.timeout(Duration::from_secs(1800)).await?; // half an hour
        println!("session created, sandbox: {}", session.sandbox_id());

        let mut history = Vec::new();
        let questions = [
            "Hello, I am new here",
            "What can you do?",
            "Can you write a business plan?",
            "The plan needs a financial forecast",
        ];

        for (turn, question) in (1..).zip(questions) {
            println!("\nturn {turn}:");
            println!("user: {question}");

            let recent = &history[history.len().saturating_sub(3)..]; // the last 3 turns
            let metadata = json!({"conversation_turn": turn, "history": recent});
            let request = InvocationRequest::prompt(question).with_metadata(metadata);

            let answer = session.invoke(request).await?.result;

            println!("agent: {}", answer.clone().unwrap_or_default());
            println!("status: {}", session.get_status().await?);

            history.push(json!({"user": question, "agent": answer, "turn": turn}));
        }

        session.close().await // also after an error: the scope closes it
    })
    .await
}

// Not shown in docs/python.md.

use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, Error, InvocationRequest};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Error> {
    conversation_example().await
}
