//! `agent traces`, and where the agent of `agent dev` exports to.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;

use ppio_test_support::free_port;
use serde_json::{Value, json};

use crate::support::dev::{Dev, PYTHON_AGENT, ask, python_project};
use crate::support::scaffold::edit;
use crate::support::{Sandbox, eventually};

/// Returns an agent that writes a log line of the run `run/1`, and answers with its export
/// settings.
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
    // Requests the lines of a run, whose id is part of the path.
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
    // Log lines are kept over restarts of the agent.
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
            .says("help: start the server with `ppio-sandbox-cli agent dev`");
    }
    // Another program on the port closes every connection.
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in other.incoming() {
            drop(stream);
        }
    });
    let command = sandbox.command(["agent", "traces", "list", "--port", &port.to_string()]);
    let message = format!("port {port} does not answer as `agent dev`");
    command.run().code(3).says(&message);
}

/// Starts a server that answers every request with `answer`, repeated `times` times. Returns its
/// port.
fn answering(answer: Vec<u8>, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut line = String::new();
            while request.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes());
            for _ in 0..times {
                // The command may have stopped reading after a part of the answer.
                if stream.write_all(&answer).is_err() {
                    break;
                }
            }
        }
    });
    port.to_string()
}

#[test]
fn an_answer_that_does_not_end_is_not_kept() {
    let sandbox = Sandbox::new();
    let port = answering(vec![b' '; 1024 * 1024], 256);
    for arguments in [&["list"][..], &["get", "run-1"]] {
        let command = sandbox.command(["agent", "traces"]).args(arguments);
        command
            .args(["--port", &port])
            .run()
            .code(3)
            .says("the answer has more than 128 MiB");
    }
}

/// The answers of `agent dev` for an agent with hostile exports and logs.
#[test]
fn hostile_traces_are_printed() {
    let sandbox = Sandbox::new();
    let traces = |arguments: &[&str], answer: &Value| {
        let port = answering(answer.to_string().into_bytes(), 1);
        let command = sandbox.command(["agent", "traces"]).args(arguments);
        command.args(["--port", &port]).run().code(0).stdout
    };
    let row = json!({
        "trace_id": "0af7", "name": "n", "started_at": "2026-11-26T10:00:00Z", "duration_ms": 1.0, "spans": 1,
        "errors": 0, "runs": [], "tokens": {"input": u64::MAX, "output": 1},
    });
    let list = traces(&["list"], &json!({ "traces": [row], "total": 1 }));
    assert!(list.contains(&u64::MAX.to_string()), "{list}");

    let span = |depth: usize| {
        json!({
            "depth": depth, "name": "span", "category": "other", "duration_ms": 1.0, "is_error": false,
            "outlives_answer": false, "attributes": {},
        })
    };
    let trace = json!({
        "trace_id": "0af7", "started_at": "2026-11-26T10:00:00Z", "duration_ms": 1.0, "dropped_spans": 0,
        "spans": [span(0), span(1), span(12), span(13), span(40_000), span(usize::MAX)],
    });
    let time = "2026-11-26T10:00:00.5Z";
    let fields = json!({"timestamp": 5, "level": 3, "message": "false", "target": "false", "n": 1});
    let logs = json!([
        {"timestamp": time, "level": "warn", "message": "true", "target": "my", "fields": fields},
        {"timestamp": time, "level": "info", "message": "plain", "fields": {"timestamp": 1_764_151_200}},
        {"level": "error", "message": "without a time"},
    ]);
    let run = json!({ "run_id": "r", "traces": [trace], "logs": logs });
    let printed = traces(&["get", "r"], &run);
    let indents: Vec<_> = printed
        .lines()
        .filter_map(|line| Some(line.split_once("1.00 ms")?.1.strip_suffix("span")?.len()))
        .collect();
    assert_eq!(indents, [2, 4, 26, 26, 26, 26], "{printed}");
    for line in [
        "10:00:00.5Z  WARN my: true fields.level=3 fields.message=\"false\" \
         fields.target=\"false\" fields.timestamp=5 n=1\n",
        "10:00:00.5Z  INFO plain fields.timestamp=1764151200\n",
        "{\"level\":\"error\",\"message\":\"without a time\"}\n",
    ] {
        assert!(printed.contains(line), "no {line:?} in {printed}");
    }
}
