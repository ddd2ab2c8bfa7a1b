//! A web backend whose chat endpoint streams a deployed agent's answers to browsers.
//!
//! `POST /chat` with `{"prompt": "…", "conversation": "…"}` answers with an event stream. Each
//! conversation has its own sandbox, created with its first question. An invocation is cancelled
//! when its browser disconnects or stops the answer.

mod app_error;
mod chat;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use ppio_agent_client::{AgentRuntimeClient, Error};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
usage: backend-axum <template> [address, 127.0.0.1:8000 by default]

<template> is the id of a deployed agent; PPIO_TEMPLATE_ID sets it as well.
PPIO_API_KEY sets the API key. `ppio-sandbox-cli local up` starts a platform on this machine;
`ppio-sandbox-cli local env` prints the variables that point to it.";

/// The state that every request needs.
struct Backend {
    client: AgentRuntimeClient,
    template: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    let mut arguments = env::args().skip(1);
    let template = arguments
        .next()
        .or_else(|| env::var("PPIO_TEMPLATE_ID").ok())
        .filter(|template| !template.trim().is_empty());
    let Some(template) = template else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    match serve(template, &address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<Error>() {
                Some(error) => eprintln!("error: {}", error.report()),
                None => eprintln!("error: {error}"),
            }
            if let Some(Error::Authentication { status: None, .. }) = error.downcast_ref() {
                eprintln!("\n{USAGE}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn serve(template: String, address: &str) -> Result<(), Box<dyn std::error::Error>> {
    // One client for the whole process: its connections and conversations are shared.
    let client = AgentRuntimeClient::from_env()?;
    let backend = Backend {
        client: client.clone(),
        template,
    };
    let routes = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/chat", post(chat::answer))
        .with_state(Arc::new(backend));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes)
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    // Ends the conversations' sandboxes, and waits until they have ended.
    client.close().await?;
    Ok(())
}

async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}
