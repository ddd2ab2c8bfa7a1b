//! Accepts every OTLP export over HTTP and discards it.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(ppio_benches::listen_address()?).await?;
    // The `Bytes` extractor reads the whole body.
    let receiver = Router::new()
        .fallback(async |_: Bytes| ())
        .layer(DefaultBodyLimit::disable());
    axum::serve(listener, receiver).await?;
    Ok(())
}
