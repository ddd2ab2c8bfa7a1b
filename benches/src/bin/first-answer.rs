//! Measures the time from `create_session` to the first response of an agent on the local platform,
//! with `ppio-agent-client` and with the published Python client. `cargo xtask bench` runs it.
//!
//! ```text
//! first-answer AGENT PYTHON SCRIPT ROUNDS SESSIONS
//! ```
//!
//! In each round, both clients create SESSIONS + 1 sessions, one client after the other. Prints the
//! milliseconds of each session after the client's first, as `ours=…` and `python=…`.

use std::error::Error;
use std::ffi::OsString;
use std::time::Instant;

use ppio_agent_client::AgentRuntimeClient;
use ppio_sandbox_local::{LocalPlatform, TemplateSpec};
use serde_json::json;
use tokio::process::Command;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [agent, python, script, rounds, sessions] = arguments.as_slice() else {
        return Err("usage: first-answer AGENT PYTHON SCRIPT ROUNDS SESSIONS".into());
    };
    let number = |text: &OsString| text.to_string_lossy().parse::<u32>();
    let (rounds, sessions) = (number(rounds)?, number(sessions)?);

    let home = std::env::temp_dir().join(format!("first-answer-{}", std::process::id()));
    let platform = LocalPlatform::builder()
        .home(&home)
        .tls(true)
        .start()
        .await?;
    let spec = TemplateSpec::new("first-answer").binary(agent);
    let template = platform.build_template(spec).await?;
    for _ in 0..rounds {
        measure_client(&platform, &template.id, sessions).await?;
        let status = Command::new(python)
            .arg(script)
            .args([&template.id, &sessions.to_string()])
            .envs(platform.environment())
            .status()
            .await?;
        if !status.success() {
            return Err(format!("the Python client failed: {status}").into());
        }
    }
    platform.shutdown().await?;
    std::fs::remove_dir_all(home)?;
    Ok(())
}

async fn measure_client(
    platform: &LocalPlatform,
    template: &str,
    sessions: u32,
) -> Result<(), Box<dyn Error>> {
    let client = AgentRuntimeClient::builder()
        .base_url(platform.url())
        .domain(platform.domain())
        .api_key(platform.api_key())
        .build()?;
    // The first session fills the caches of templates and is not counted.
    for number in 0..=sessions {
        let started = Instant::now();
        let session = client.create_session(template).await?;
        let response = session.invoke(json!({"prompt": "Ada"})).await?;
        let elapsed = started.elapsed();
        assert_eq!(response.result, Some(json!({"message": "Hello, Ada!"})));
        if number > 0 {
            println!("ours={:.3}", elapsed.as_secs_f64() * 1e3);
        }
        session.close().await?;
    }
    client.close().await?;
    Ok(())
}
