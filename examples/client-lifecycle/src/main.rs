//! The life of a session: create, invoke, pause, resume with its memory, extend, find, close.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, Error, SandboxSession, SessionStatus};

const USAGE: &str = "\
usage: client-lifecycle <template>

<template> is the id or name of a deployed agent; PPIO_TEMPLATE_ID sets it as well.
PPIO_API_KEY sets the API key. `ppio-sandbox-cli local up` starts a platform on this machine;
`ppio-sandbox-cli local env` prints the variables that point to it.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let template = env::args()
        .nth(1)
        .or_else(|| env::var("PPIO_TEMPLATE_ID").ok())
        .filter(|template| !template.trim().is_empty());
    let Some(template) = template else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&template).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.report());
            if matches!(error, Error::Authentication { status: None, .. }) {
                eprintln!("\n{USAGE}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(template: &str) -> Result<(), Error> {
    let client = AgentRuntimeClient::from_env()?;
    let session = client
        .create_session(template)
        .timeout(Duration::from_secs(1800))
        .metadata("purpose", "example")
        .await?;
    println!("created {} at {}", session.sandbox_id(), session.host_url());
    ask(&session, "start processing").await?;

    // A paused sandbox uses no processor time and keeps its memory.
    session.pause().await?;
    println!("paused: {}", session.is_paused().await?);
    match session.invoke("are you there?").await {
        Err(error) => println!("invoked while paused: {}", error.report()),
        Ok(_) => println!("invoked while paused: the platform resumed the sandbox"),
    }

    // The sandbox's memory is kept, and its timeout of 30 minutes restarts.
    session.resume().await?;
    println!("status: {}", session.get_status().await?);
    ask(&session, "go on").await?;

    // Restart the timeout before long work.
    session.refresh().await?;
    println!(
        "ends at {}",
        session.info().await?.end_at.unwrap_or_default()
    );

    // Any process with the API key can find a session by its id.
    let elsewhere = AgentRuntimeClient::from_env()?;
    if let Some(found) = elsewhere.get_session(session.sandbox_id()).await? {
        ask(&found, "do you know me from elsewhere?").await?;
    }

    session.close().await?;
    assert_eq!(session.get_status().await?, SessionStatus::Closed);
    println!("closed after {:.1} s", session.age().as_secs_f64());

    // To start without the agent's memory, create a new session instead of restarting one.
    let fresh = client.create_session(template).await?;
    ask(&fresh, "start over").await?;
    client.close().await
}

async fn ask(session: &SandboxSession, prompt: &str) -> Result<(), Error> {
    let answer = session.invoke(prompt).await?;
    println!("{prompt:?} -> {}", answer.result.unwrap_or_default());
    Ok(())
}
