//! Invokes a deployed agent in a trace that continues in the agent.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SdkTracerProvider;
use ppio_agent_client::{AgentRuntimeClient, InvocationRequest};
use tracing::{Instrument as _, Level};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const USAGE: &str = "\
usage: client-traced <template> [question]

<template> is the id or name of a deployed agent, such as the example `traced`. PPIO_API_KEY is
the API key. The trace is exported to OTEL_EXPORTER_OTLP_ENDPOINT, by default to port 4318 of this
machine.";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(template) = arguments.next() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let question = arguments.next().unwrap_or_else(|| "Rome".to_owned());
    match run(&template, &question) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(template: &str, question: &str) -> Result<(), Box<dyn Error>> {
    // Created outside of a tokio runtime, which the exporter's blocking client would block.
    let exporter = SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("client-traced"));
    // Excludes the spans of the exporter's own requests.
    let targets = Targets::new()
        .with_target("client_traced", Level::INFO)
        .with_target("ppio_agent_client", Level::INFO);
    tracing_subscriber::registry()
        .with(spans.with_filter(targets))
        .init();

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asked = runtime.block_on(ask(template, question).instrument(tracing::info_span!("ask")));
    // Sends the remaining spans.
    provider.shutdown()?;
    asked
}

async fn ask(template: &str, question: &str) -> Result<(), Box<dyn Error>> {
    AgentRuntimeClient::scope(async |client| {
        let session = client.create_session(template).await?;
        let request = InvocationRequest::prompt(question).with_stream(true);
        let mut stream = session.invoke(request).stream().await?;
        while let Some(item) = stream.next().await {
            println!("{}", item?);
        }
        // Killing the sandbox immediately would lose the spans that its agent has not sent.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    })
    .await
}
