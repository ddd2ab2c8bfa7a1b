//! Runs a platform until standard input closes, and prints the variables that point SDKs at it.
//!
//! `cargo run -p ppio-sandbox-local --example serve -- [--tls] [--port N] [--home PATH] [--expose PATH]... [--process-group | --bubblewrap]`

use ppio_sandbox_local::{IsolationKind, LocalPlatform};
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = LocalPlatform::builder();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        builder = match argument.as_str() {
            "--tls" => builder.tls(true),
            "--process-group" => builder.isolation(IsolationKind::ProcessGroup),
            "--bubblewrap" => builder.isolation(IsolationKind::Bubblewrap),
            "--port" => builder.port(value()?.parse()?),
            "--home" => builder.home(value()?),
            "--expose" => builder.expose(value()?),
            other => return Err(format!("unknown argument {other}").into()),
        };
    }
    let platform = builder.start().await?;
    eprintln!("isolation: {}", platform.isolation());
    for (name, value) in platform.environment() {
        println!("export {name}={value}");
    }
    let mut ignored = Vec::new();
    tokio::io::stdin().read_to_end(&mut ignored).await?;
    platform.shutdown().await?;
    Ok(())
}
