//! Invokes a deployed agent once.

use std::env;
use std::process::ExitCode;

use ppio_agent_client::{AgentRuntimeClient, Error, InvocationRequest};

const USAGE: &str = "\
usage: client-basic <template> [question]

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
    let question = arguments.next().unwrap_or_else(|| "Rust".to_owned());

    match ask(&template, &question).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.report());
            match error {
                // No API key was set, so nothing was sent.
                Error::Authentication { status: None, .. } => eprintln!("\n{USAGE}"),
                // The client has already retried if a retry could not invoke the agent twice.
                error if error.is_retryable() => eprintln!("try again later"),
                _ => {}
            }
            ExitCode::FAILURE
        }
    }
}

async fn ask(template: &str, question: &str) -> Result<(), Error> {
    // The sandbox is killed when the scope returns, even after an error.
    AgentRuntimeClient::scope(async |client| {
        // The request may be any `Serialize` type; PPIO's agents usually take `InvocationRequest`.
        let request = InvocationRequest::prompt(question).with_user_id("example");
        let answer = client.invoke_agent(template, request).await?;

        println!("result: {}", answer.result.unwrap_or_default());
        println!("took:   {:.3} s", answer.duration);
        Ok(())
    })
    .await
}
