//! `agent traces`, and where the agent of `agent dev` exports to.

use std::fs;
use std::net::TcpListener;

use ppio_test_support::free_port;

use crate::support::dev::{Dev, PYTHON_AGENT, ask, python_project};
use crate::support::scaffold::edit;
use crate::support::{Sandbox, eventually};

/// The agent with a log line of the run `run/1`, which says where it exports to.
fn exporting_agent() -> String {
    PYTHON_AGENT.replace(
        "\"GREETING\"",
        "self.log()",
    ).replace(
        "    def log_message",
        r#"    def log(self):
        print(json.dumps({"level": "WARN", "message": "look here", "target": "my_agent", "n": 3, "request_id": "run/1"}), flush=True)
        names = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_LOGS_EXPORTER"]
        return ",".join(os.environ.get(name, "none") for name in names)

    def log_message"#,
    )
}

#[test]
fn the_agent_exports_to_agent_dev_unless_the_author_has_an_endpoint() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, &exporting_agent());
    let dev = Dev::start(&sandbox, &folder);
    let address = dev.address();
    let expected = format!("\r\n\r\nhttp://{address}/_ppio/dev/otlp,http/protobuf,none");
    let answer = ask(&address, "GET /");
    assert!(answer.ends_with(&expected), "{answer}");
    dev.says("look here");

    let port = address.rsplit(':').next().expect("a port");
    let traces = |arguments: &[&str]| {
        let command = sandbox.command(["agent", "traces"]).args(arguments);
        command.args(["--port", port]).run()
    };
    // The lines of a run, whose id is part of the path.
    let done = traces(&["get", "run/1"]).code(0);
    assert!(
        done.stdout.contains(" WARN my_agent: look here n=3"),
        "{}",
        done.stdout
    );
    let done = traces(&["get", "run/1", "--json"]).code(0);
    assert_eq!(done.json()["logs"][0]["message"], "look here");
    traces(&["get", "run/2"]).code(2).says("\"run/2\"");
    traces(&["list"])
        .code(0)
        .says("built with the feature `otel`");
    traces(&["list", "--since", "soon"])
        .code(2)
        .says("such as 10m");

    fs::write(
        folder.join(".env"),
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:9/v1/traces\n",
    )
    .expect("written");
    dev.says("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set: traces are sent there");
    eventually("the agent exports elsewhere", || {
        ask(&address, "GET /").ends_with("\r\n\r\nnone,none,none")
    });
    // What was kept is there over restarts.
    assert_eq!(
        traces(&["get", "run/1", "--json"]).code(0).json()["logs"][0]["message"],
        "look here"
    );
    edit(
        &folder.join(".env"),
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTHER",
    );
    eventually("the agent exports to `agent dev` again", || {
        ask(&address, "GET /").ends_with(&expected)
    });
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn without_agent_dev_the_error_says_how_to_start_it() {
    let sandbox = Sandbox::new();
    let port = free_port().to_string();
    for arguments in [&["list"][..], &["get", "0af7651916cd43dd8448eb211c80319c"]] {
        let command = sandbox.command(["agent", "traces"]).args(arguments);
        let done = command.args(["--port", &port]).run();
        done.code(3)
            .says(&format!("no `agent dev` listens on port {port}"))
            .says("help: start it with `ppio-sandbox-cli agent dev`");
    }
    // Another program, which closes every connection.
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in other.incoming() {
            drop(stream);
        }
    });
    let command = sandbox.command(["agent", "traces", "list", "--port", &port.to_string()]);
    let message = format!("port {port} does not answer as `agent dev`");
    command.run().code(3).says(&message);
}
