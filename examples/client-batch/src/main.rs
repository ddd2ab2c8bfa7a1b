//! Runs many invocations concurrently, each in a sandbox of its own, up to the account's limit.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error};

const USAGE: &str = "\
usage: client-batch <template> [questions, 50 by default] [at once, 16 by default]

<template> is the id or name of a deployed agent; PPIO_TEMPLATE_ID sets it as well.
PPIO_API_KEY sets the API key. `ppio-sandbox-cli local up` starts a platform on this machine;
`ppio-sandbox-cli local env` prints the variables that point to it.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let template = arguments
        .next()
        .or_else(|| env::var("PPIO_TEMPLATE_ID").ok())
        .filter(|template| !template.trim().is_empty());
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (Some(template), Ok(questions), Ok(at_once @ 1..)) = (template, number(50), number(16))
    else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };

    // Each running invocation uses one connection.
    let config = ClientConfig {
        max_connections: at_once.max(100),
        max_keepalive_connections: at_once * 2,
        ..ClientConfig::default()
    };
    let client = match AgentRuntimeClient::builder().config(config).build() {
        Ok(client) => client,
        Err(error) => {
            eprintln!("error: {}\n\n{USAGE}", error.report());
            return ExitCode::FAILURE;
        }
    };

    let started = Instant::now();
    // No task is spawned: dropping this stream would cancel the calls and kill their sandboxes.
    let outcomes: Vec<_> = stream::iter(0..questions)
        .map(|number| ask(&client, &template, number))
        .buffer_unordered(at_once)
        .collect()
        .await;
    let all = started.elapsed();

    let mut times = Vec::new();
    let mut failures = 0;
    for outcome in outcomes {
        match outcome {
            Ok(time) => times.push(time),
            Err(error) => {
                failures += 1;
                eprintln!("error: {}", error.report());
            }
        }
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!(
        "{} answered, {failures} failed, {all:.2?} in all",
        times.len()
    );
    println!("median of one invocation, with creating and killing its sandbox: {median:.2?}");
    match client.close().await {
        Ok(()) if failures == 0 => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", error.report());
            ExitCode::FAILURE
        }
    }
}

/// Invokes the agent in a session of its own, which is closed even after an error.
async fn ask(
    client: &AgentRuntimeClient,
    template: &str,
    number: usize,
) -> Result<Duration, Error> {
    let started = Instant::now();
    let session = client.create_session(template).await?;
    let outcome = session.invoke(format!("number {number}")).await;
    // A `?` before this line would also close the session, but in the background.
    session.close().await?;
    outcome.map(|_| started.elapsed())
}
