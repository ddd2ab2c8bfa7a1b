//! A web service that calls an agent for its users.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use ppio_agent_client::{AgentRuntimeClient, Error, InvocationRequest};
use serde_json::{Value, json};

#[derive(Clone)]
struct AgentService {
    client: AgentRuntimeClient,
}

impl AgentService {
    async fn process_user_request(&self, user_id: &str, query: &str) -> Result<Value, Error> {
        let request = InvocationRequest::prompt(query)
            .with_metadata(json!({"user_id": user_id}))
            .with_timeout(60);

        let call = self.client.invoke_agent("customer-service-agent", request);
        let response = call.await?;

        Ok(json!({"success": true, "result": response.result, "duration": response.duration}))
    }
}

#[derive(serde::Deserialize)]
struct ChatRequest {
    query: String,
}

async fn chat(
    State(service): State<AgentService>,
    headers: HeaderMap,
    Json(request): Json<ChatRequest>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let user_id = headers.get("user-id").and_then(|id| id.to_str().ok());
    let user_id = user_id.ok_or((StatusCode::UNPROCESSABLE_ENTITY, "no user-id".to_owned()))?;
    let result = service.process_user_request(user_id, &request.query).await;
    result.map(Json).map_err(|error| {
        tracing::error!("the agent failed: {}", error.report());
        (StatusCode::INTERNAL_SERVER_ERROR, error.code().to_owned())
    })
}

fn routes() -> Result<Router, Error> {
    let client = AgentRuntimeClient::from_env()?;
    let service = AgentService { client };
    Ok(Router::new().route("/chat", post(chat)).with_state(service))
}

// Not shown in docs/python.md.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes()?).await?;
    Ok(())
}
