//! Control sequences in logs, answers, errors and names are escaped.

use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::dev::{Dev, python_project};
use crate::support::{Invocation, Sandbox, eventually};

/// A text that sets the clipboard, conceals text, sets the title, overwrites a line, and has an
/// 8-bit control sequence and a change of direction.
const HOSTILE: &str =
    "\u{1b}]52;c;aGk=\u{7} \u{1b}[8mx \u{1b}]0;t\u{1b}\\ b\rg \u{9b}31my \u{202e}z \u{7f}";
const SHOWN: &str =
    "\\x1b]52;c;aGk=\\x07 \\x1b[8mx \\x1b]0;t\\x1b\\ b\\rg \\u{9b}31my \\u{202e}z \\x7f";

/// Asserts that [`HOSTILE`] is escaped and readable.
#[track_caller]
fn is_harmless(seen: &str) {
    let pieces = [
        "\u{1b}]",
        "\u{1b}[8m",
        "\u{1b}\\",
        "b\rg",
        "\u{7}",
        "\u{9b}",
        "\u{202e}",
        "\u{7f}",
    ];
    for piece in pieces {
        assert!(!seen.contains(piece), "{piece:?} in {seen:?}");
    }
    // The terminal is wide enough for every line.
    assert!(seen.contains(SHOWN), "no {SHOWN:?} in {seen:?}");
}

/// A platform whose answers are set by the test.
struct Scripted {
    sandbox: Sandbox,
    // Runs the platform.
    _runtime: Runtime,
    platform: ScriptedPlatform,
}

impl Scripted {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let platform = runtime.block_on(ScriptedPlatform::start());
        Self {
            sandbox: Sandbox::new(),
            _runtime: runtime,
            platform,
        }
    }

    fn command(&self, arguments: &[&str]) -> Invocation {
        self.sandbox
            .command(arguments)
            .env("PPIO_API_KEY", "any")
            .env("PPIO_API_URL", self.platform.url())
            .env("PPIO_DOMAIN", self.platform.domain())
            .env("TERM", "xterm")
    }

    /// Sets the answer of each invocation.
    fn answers(&self, result: &Value) {
        let answer =
            json!({ "result": result, "status": "success", "duration": 0.1, "metadata": {} });
        let reply = Reply::json(200, &answer);
        self.platform.always("agent POST /invocations", reply);
    }
}

const INVOKE: [&str; 6] = ["agent", "invoke", "--template-id", "tmpl_1", "--input", "x"];

#[test]
fn answers_are_escaped_only_on_a_terminal() {
    let scripted = Scripted::start();
    scripted.answers(&json!(HOSTILE));
    is_harmless(&scripted.command(&INVOKE).output_on_pty());
    let done = scripted.command(&INVOKE).run().code(0);
    assert_eq!(done.stdout, format!("{HOSTILE}\n"));

    // JSON output has the same values, with the control characters escaped.
    scripted.answers(&json!({ "text": HOSTILE }));
    for options in [&["--json"][..], &[]] {
        let done = scripted.command(&INVOKE).args(options).run().code(0);
        assert!(!done.stdout.contains(['\u{9b}', '\u{202e}', '\u{7f}']));
        let answer: Value = serde_json::from_str(&done.stdout).expect("JSON");
        let text = answer["result"]["text"]
            .as_str()
            .or(answer["text"].as_str());
        assert_eq!(text, Some(HOSTILE));
    }
}

#[test]
fn streams_are_escaped_piece_by_piece() {
    let scripted = Scripted::start();
    let (first, rest) = HOSTILE.split_at(1);
    let events: Vec<_> = [first, rest, "\n"]
        .into_iter()
        .map(|item| format!("data: {}\n\n", json!(item)))
        .collect();
    let events = events.concat();
    let reply = Reply::body(200, "text/event-stream", &events);
    scripted.platform.always("agent POST /invocations", reply);
    is_harmless(&scripted.command(&INVOKE).output_on_pty());
    let done = scripted.command(&INVOKE).run().code(0);
    assert_eq!(done.stdout, format!("{HOSTILE}\n"));
}

#[test]
fn log_lines_are_escaped_whether_they_are_the_runtimes_or_not() {
    let scripted = Scripted::start();
    scripted.platform.add_sandbox("sbx1", "tmpl_1");
    let runtimes = json!({
        "timestamp": "2026-01-01T00:00:00Z", "level": "INFO", "message": HOSTILE,
        "target": HOSTILE, "field": { HOSTILE: [HOSTILE] }, "request_id": HOSTILE, HOSTILE: HOSTILE,
    });
    for message in [HOSTILE.to_owned(), runtimes.to_string()] {
        let logs = json!({ "logs": [{
            "timestamp": "2026-01-01T00:00:00Z", "level": "info", "message": message, "fields": {},
        }] });
        let route = "GET /v2/sandboxes/{id}/logs";
        scripted.platform.always(route, Reply::json(200, &logs));
        let command = || scripted.command(&["agent", "logs", "--session", "sbx1"]);
        is_harmless(&command().output_on_pty());
        let done = command().arg("--json").run().code(0);
        assert_eq!(done.json_lines()[0]["message"], HOSTILE);
    }
}

#[test]
fn errors_names_and_questions_are_escaped() {
    let scripted = Scripted::start();
    let document = json!({
        "apiVersion": "v1", "kind": "Agent",
        "metadata": { "name": "a", "version": HOSTILE, "author": "dev@example.com" },
        "spec": {},
    });
    scripted.platform.add_raw_template(json!({
        "templateID": "tmpl_2", "buildID": "b", "names": [HOSTILE], "aliases": [HOSTILE],
        "public": false, "buildStatus": HOSTILE,
        "metadata": { "agent_runtime": document.to_string() },
    }));
    is_harmless(&scripted.command(&["agent", "list"]).output_on_pty());
    let status = ["agent", "status", "--template-id", "tmpl_2"];
    is_harmless(&scripted.command(&status).output_on_pty());
    scripted.platform.add_raw_template(json!({
        "templateID": "tmpl_3", "buildID": "b", "names": [HOSTILE], "aliases": [],
        "public": false, "buildStatus": "ready", "metadata": {},
    }));
    let delete = scripted.command(&["agent", "delete", "--template-id", "tmpl_3"]);
    is_harmless(&delete.answer("[y/N]", "n\n"));

    let refused = Reply::error(400, HOSTILE);
    scripted.platform.always("GET /templates", refused);
    is_harmless(&scripted.command(&["agent", "list"]).output_on_pty());
    let done = scripted.command(&["agent", "list", "--json"]).run();
    assert!(!done.stderr.contains(['\u{9b}', '\u{202e}', '\u{7f}']));
    let error: Value = serde_json::from_str(&done.stderr).expect("JSON");
    assert!(error.to_string().contains("aGk="), "{error}");
}

/// An agent that writes two hostile lines, one of them a log line of the runtime.
const AGENT: &str = r#"
import http.server, json, os, sys

class Agent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass

hostile = json.loads(os.environ["HOSTILE"])
print("plain " + hostile, file=sys.stderr)
line = {"timestamp": "2026-01-01T00:00:00Z", "level": "INFO", "message": hostile}
print(json.dumps(line), file=sys.stderr)
port = int(os.environ["PPIO_AGENT_PORT"])
http.server.ThreadingHTTPServer((os.environ["PPIO_AGENT_HOST"], port), Agent).serve_forever()
"#;

#[test]
fn lines_of_an_agent_under_development_are_escaped() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, AGENT);
    let dev = sandbox
        .command(["agent", "dev", "--port", "0"])
        .in_folder(&folder)
        .env("HOSTILE", json!(HOSTILE).to_string())
        .env("PYTHONIOENCODING", "utf-8")
        .env("TERM", "xterm");
    let (seen, _) = dev.run_on_pty(|terminal| {
        terminal.expect_output("my-agent is serving on ");
        terminal.send_keys("\u{3}");
    });
    is_harmless(&seen);
    // A line of text ends at `\r`, which is escaped in a log line.
    let (first, second) = SHOWN.split_once("\\r").expect("a return");
    assert!(
        seen.contains(&format!("plain {first}\r\n{second}")),
        "{seen:?}"
    );
    assert_eq!(seen.matches(SHOWN).count(), 1, "{seen:?}");
}

/// An agent that writes progress, which only returns to the beginning of its line, and a line that
/// does not end.
const ENDLESS_AGENT: &str = r#"
import http.server, os, sys

class Agent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass

for percent in range(0, 60, 10):
    sys.stderr.write("\r%d %% loaded" % percent)
sys.stderr.flush()
sys.stdout.write("x" * 600 * 1024)
sys.stdout.flush()
port = int(os.environ["PPIO_AGENT_PORT"])
http.server.ThreadingHTTPServer((os.environ["PPIO_AGENT_HOST"], port), Agent).serve_forever()
"#;

#[test]
fn lines_that_do_not_end_are_shown_in_pieces() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, ENDLESS_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    dev.address();
    // The last progress line has not ended yet.
    dev.says("40 % loaded\n");
    let piece = format!("{}\n", "x".repeat(256 * 1024));
    dev.says(&format!("{piece}{piece}"));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

/// Returns a page of the log with a line in each of these milliseconds.
fn page(milliseconds: std::ops::Range<u32>) -> Reply {
    let lines = milliseconds.map(|number| {
        let (second, millisecond) = (number / 1000, number % 1000);
        let timestamp = format!("2026-01-01T00:00:{second:02}.{millisecond:03}Z");
        json!({"timestamp": timestamp, "level": "info", "message": format!("line {number}"), "fields": {}})
    });
    Reply::json(200, &json!({ "logs": lines.collect::<Vec<_>>() }))
}

#[test]
fn a_platform_that_returns_the_same_lines_again_is_not_printed_again() {
    const ROUTE: &str = "GET /v2/sandboxes/{id}/logs";
    let is_complete = |text: &str, lines: u32| {
        let expected = (0..lines).map(|number| format!("line {number}"));
        assert!(text.lines().eq(expected), "{text}");
    };
    let scripted = Scripted::start();
    scripted.platform.add_sandbox("sbx1", "tmpl_1");
    let logs = |options: &[&str]| {
        let command = scripted.command(&["agent", "logs", "--session", "sbx1"]);
        command.args(options)
    };
    for _ in 0..5 {
        scripted.platform.script(ROUTE, page(0..1000));
    }
    scripted.platform.always(ROUTE, page(0..0));
    let done = logs(&[]).run().code(0);
    is_complete(&done.stdout, 1000);
    done.says("the platform returns the same 1000 lines again");

    let scripted = Scripted::start();
    scripted.platform.add_sandbox("sbx1", "tmpl_1");
    let logs = scripted.command(&["agent", "logs", "--session", "sbx1"]);
    scripted.platform.always(ROUTE, page(0..1000));
    let following = logs.arg("--follow").spawn();
    let before = scripted.platform.count(ROUTE);
    eventually("the command reads the log several times", || {
        scripted.platform.count(ROUTE) > before + 5
    });
    // The platform returns its newest lines.
    scripted.platform.always(ROUTE, page(1..1001));
    eventually("the new line is shown", || {
        following.stdout().contains("line 1000")
    });
    following.interrupt();
    let done = following.wait().code(130);
    is_complete(&done.stdout, 1001);
    assert_eq!(
        done.stderr.matches("the same 1000 lines").count(),
        1,
        "{done:?}"
    );
}
