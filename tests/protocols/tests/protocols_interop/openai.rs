//! `OpenAI`'s published clients, and other vendors' clients of its API.

use std::path::Path;
use std::process::Command;

use ppio_test_support::{AgentProcess, protocols_interpreter, protocols_node_modules};

/// Each script asserts the results that its client gets for every kind of answer.
#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_clients_call_the_agent() {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent"))).start();
    let (python, node) = (protocols_interpreter(), "node".into());
    for (program, script) in [
        (&python, "openai_sdk.py"),
        (&python, "openai_langchain.py"),
        (&node, "openai_sdk.mjs"),
        (&node, "openai_ai_sdk.mjs"),
    ] {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
        let output = Command::new(program)
            .arg(scripts.join(script))
            .arg(agent.url())
            .env(
                "PPIO_INTEROP_PROTOCOLS_NODE_MODULES",
                protocols_node_modules(),
            )
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{script}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
