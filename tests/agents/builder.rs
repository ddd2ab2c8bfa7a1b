//! An agent built from closures, started in the way that the variable `START` names.

use std::process::ExitCode;

use ppio::{AgentRuntimeApp, Body, Error, Response, StartError, Value};

fn app() -> Result<AgentRuntimeApp, StartError> {
    AgentRuntimeApp::builder()
        .entrypoint(|request: Value| async move {
            match request["fail"].as_str() {
                Some("panic") => panic!("password=1"),
                Some(text) => Err(Error::internal(text)),
                None => {
                    let status = request["status"].as_u64().unwrap_or(200);
                    let mut response = Response::new(Body::from("{}"));
                    *response.status_mut() = u16::try_from(status)
                        .ok()
                        .and_then(|status| status.try_into().ok())
                        .ok_or_else(|| Error::bad_request("not a status"))?;
                    Ok(response)
                }
            }
        })
        .build()
}

#[tokio::main]
async fn main() -> Result<ExitCode, StartError> {
    match std::env::var("START").as_deref() {
        // Called inside a tokio runtime, which is a mistake.
        Ok("run inside") => app()?.run()?,
        Ok("annotated inside") => return Ok(ppio::run()),
        // Without starting the runtime's log.
        Ok("serve") => app()?.bind().await?.serve().await?,
        Ok("serve with a log") => {
            let app = app()?;
            app.start_logging();
            app.bind().await?.serve().await?;
        }
        _ => {
            let run = || app()?.run();
            std::thread::spawn(run).join().expect("no panic")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The annotated agent that `ppio::run` finds.
mod annotated {
    #[ppio::entrypoint]
    async fn agent(request: ppio::Value) -> ppio::Value {
        request
    }
}
