//! Prints an agent's answer item by item, and how the answer ended. Ctrl-C cancels the invocation.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use ppio_agent_client::{AgentRuntimeClient, Error};
use serde_json::Value;

const USAGE: &str = "\
usage: client-streaming <template> [prompt]

<template> is the id or name of a deployed agent; PPIO_TEMPLATE_ID sets it as well.
PPIO_API_KEY sets the API key. `ppio-sandbox-cli local up` starts a platform on this machine;
`ppio-sandbox-cli local env` prints the variables that point to it.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let template = arguments
        .next()
        .or_else(|| env::var("PPIO_TEMPLATE_ID").ok())
        .filter(|template| !template.trim().is_empty());
    let Some(template) = template else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let prompt = arguments
        .next()
        .unwrap_or_else(|| "once upon a time there was a crab".to_owned());

    let client = match AgentRuntimeClient::from_env() {
        Ok(client) => client,
        Err(error) => {
            eprintln!("error: {}\n\n{USAGE}", error.report());
            return ExitCode::FAILURE;
        }
    };
    let outcome = tokio::select! {
        printed = print_answer(&client, &template, &prompt) => printed,
        // Dropping the stream closes its connection, which cancels the invocation.
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\n(stopped)");
            Ok(())
        }
    };
    let closed = client.close().await;
    if let Err(error) = outcome.and(closed) {
        eprintln!("{}", how_it_ended(&error));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn print_answer(
    client: &AgentRuntimeClient,
    template: &str,
    prompt: &str,
) -> Result<(), Error> {
    let mut items = client.invoke_agent_stream(template, prompt).await?;
    while let Some(item) = items.next().await {
        match item? {
            Value::String(text) => print!("{text}"),
            other => println!("{other}"),
        }
        let _ = io::stdout().flush();
    }
    println!("\n(the end)");
    Ok(())
}

/// Explains the error that ended a stream.
fn how_it_ended(error: &Error) -> String {
    match error {
        Error::Invocation { message, .. } => format!("\nthe agent failed: {message}"),
        Error::StreamIdle { limit } => format!("\nno item within {limit:?}"),
        Error::Network { .. } => format!("\nthe connection broke: {}", error.report()),
        other => format!("error: {}", other.report()),
    }
}
