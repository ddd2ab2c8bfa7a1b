//! An `async` entrypoint that wrongly blocks its thread: `{"ms": 2000}`.

use std::process::ExitCode;

mod agent {
    use std::time::Duration;

    #[derive(serde::Deserialize)]
    struct Nap {
        ms: u64,
    }

    #[ppio::entrypoint]
    async fn agent(Nap { ms }: Nap) -> u64 {
        eprintln!("blocking");
        std::thread::sleep(Duration::from_millis(ms));
        ms
    }
}

/// With `AGENT_MAIN=app`, runs the agent with `AgentRuntimeApp::run`; otherwise with `ppio::run`.
fn main() -> ExitCode {
    if std::env::var_os("AGENT_MAIN").is_some_and(|main| main == "app") {
        let ran = ppio::AgentRuntimeApp::annotated().and_then(ppio::AgentRuntimeApp::run);
        return ran.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    ppio::run()
}
