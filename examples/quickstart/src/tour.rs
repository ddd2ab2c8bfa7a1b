//! Shows how a backend uses agents: sessions, invocations, streams, pause and resume.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ppio_agent_client::{AgentRuntimeClient, ClientConfig, SandboxSession};
use ppio_sandbox_local::LocalPlatform;
use serde_json::json;

use crate::{Outcome, templates};

const STORY: &str = "Each word arrives as the agent says it.";
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) async fn take(platform: &LocalPlatform, programs: &[PathBuf]) -> Outcome<()> {
    let templates = templates::build(platform, programs).await?;
    let [hello, stream, counter] = templates.as_slice() else {
        return Err("there are three agents".into());
    };

    // With the variables of `platform.environment()` set, `AgentRuntimeClient::from_env()` does the
    // same.
    let client = AgentRuntimeClient::builder()
        .config(ClientConfig {
            base_url: Some(platform.url()),
            sandbox_url: Some(platform.url()),
            domain: Some(platform.domain()),
            session_timeout: SESSION_TIMEOUT,
            ..ClientConfig::default()
        })
        .api_key(platform.api_key())
        .build()?;

    println!("\n# A value");
    let session = create(&client, &hello.id).await?;
    let asked = Instant::now();
    let answer = session.invoke(json!({"prompt": "Ada"})).await?;
    println!(
        "  {}   ({:.1} ms)",
        answer.result.unwrap_or_default(),
        asked.elapsed().as_secs_f64() * 1e3
    );

    println!("\n# A stream");
    let session_of_stream = create(&client, &stream.id).await?;
    let mut tokens = session_of_stream.invoke(STORY).stream().await?;
    print!("  ");
    while let Some(token) = tokens.next().await {
        print!("{}", token?.as_str().unwrap_or_default());
        std::io::stdout().flush()?;
    }
    println!();

    println!("\n# A pause");
    let session_of_counter = create(&client, &counter.id).await?;
    for _ in 0..2 {
        count(&session_of_counter).await?;
    }
    session_of_counter.pause().await?;
    println!("  paused: {}", session_of_counter.get_status().await?);
    session_of_counter.resume().await?;
    println!("  resumed: {}", session_of_counter.get_status().await?);
    let kept = count(&session_of_counter).await?;
    if kept != 3 {
        return Err(format!("the agent counted {kept} invocations, not 3").into());
    }
    println!("  memory was kept");

    println!("\n# The platform's list");
    for session in client.list_sessions().await? {
        println!("  {}", session.sandbox_id());
    }
    for session in [&session, &session_of_stream, &session_of_counter] {
        session.close().await?;
    }
    client.close().await?;
    println!(
        "  all closed, {} sandboxes left",
        client.list_sessions().await?.len()
    );
    Ok(())
}

async fn create(client: &AgentRuntimeClient, template_id: &str) -> Outcome<SandboxSession> {
    let started = Instant::now();
    let session = client.create_session(template_id).await?;
    println!(
        "  session {} is ready after {:.1} ms",
        session.sandbox_id(),
        started.elapsed().as_secs_f64() * 1e3
    );
    Ok(session)
}

async fn count(session: &SandboxSession) -> Outcome<u64> {
    let answer = session.invoke(json!({})).await?;
    let count = answer
        .result
        .and_then(|result| result["count"].as_u64())
        .unwrap_or(0);
    println!("  the agent counts {count}");
    Ok(count)
}
