//! Looks up facts with a tool over MCP and lets another agent answer over A2A.

mod a2a;
mod mcp;

use std::time::Duration;

use ppio::http::StatusCode;
use ppio::{ChatEvent, Error, InvocationRequest, RequestContext, State, Stream, try_stream};

/// The tool and the agent that the environment names.
struct Peers {
    tool: mcp::Tool,
    agent: a2a::Agent,
}

#[ppio::startup]
fn configure() -> Result<Peers, Error> {
    let variable = |name: &str, example: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.ok_or_else(|| Error::internal(format!("{name} is not set; example: {example}")))
    };
    // The call fails only if a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        // The MCP client does not cancel the opening of a connection.
        .read_timeout(Duration::from_secs(120))
        .build();
    let http = http.map_err(|error| {
        Error::internal("cannot build the HTTP client; install `ca-certificates`")
            .with_source(error)
    })?;
    Ok(Peers {
        tool: mcp::Tool {
            http: http.clone(),
            url: variable("MCP_URL", "http://localhost:8081/mcp")?,
        },
        agent: a2a::Agent {
            http,
            url: variable("AGENT_URL", "http://localhost:8081")?,
        },
    })
}

/// Answers with the help of a tool and of another agent.
#[ppio::entrypoint]
async fn agent(
    request: InvocationRequest,
    peers: State<Peers>,
    context: RequestContext,
) -> Result<impl Stream<Item = Result<ChatEvent, Error>> + use<>, Error> {
    let prompt = request.prompt.filter(|prompt| !prompt.trim().is_empty());
    let prompt = prompt.ok_or_else(|| Error::bad_request("`prompt` is empty; send a question"))?;
    Ok(try_stream! {
        let tool = peers.tool.connect().await?;
        let arguments = mcp::arguments(&prompt);
        for event in ChatEvent::tool_call("facts", tool.name(), &arguments.clone().into()) {
            yield event;
        }
        let facts = match tool.call(arguments).await? {
            Ok(facts) => {
                yield ChatEvent::tool_result("facts", &*facts);
                facts
            }
            // The other agent can answer without the facts.
            Err(failure) => {
                yield ChatEvent::tool_error("facts", &*failure);
                format!("none, because the tool failed: {failure}")
            }
        };
        let step = "ask the agent";
        yield ChatEvent::StepStart { name: step.into() };
        let answer = {
            let question = format!("{prompt}\n\nFacts: {facts}");
            peers.agent.ask(context.request_id(), &question).await?
        };
        yield ChatEvent::StepEnd { name: step.into() };
        yield ChatEvent::text(answer);
    })
}

/// Returns the error of a peer that failed, with status 502.
fn failure(text: impl Into<String>) -> Error {
    Error::new(StatusCode::BAD_GATEWAY, text).with_type("PeerError")
}
