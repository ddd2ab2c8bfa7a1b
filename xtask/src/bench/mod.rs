//! `cargo xtask bench`: measures the same agent on this framework, on raw hyper, on axum and on the
//! Python package; and a new session on the local platform with this project's client and the
//! Python one.
//!
//! Each round measures every server, in an order that is reversed from round to round. Ratios are
//! taken within a round, so that other load on the machine affects both sides.

mod programs;
mod samples;
mod threshold;

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use self::programs::Programs;
use self::samples::{Samples, number, table};
use self::threshold::{Threshold, check};
use crate::error::Error;
use crate::step::Step;
use crate::{interop, workspace};

/// The number of worker threads of every Rust server and of the load program.
const WORKER_THREADS: u32 = 2;
const UNARY_CONNECTIONS: usize = 64;
const STREAM_CONNECTIONS: usize = 4;
const UNARY_BODY: &str = r#"{"prompt":"reader"}"#;
const STREAM_BODY: &str = r#"{"stream":100000}"#;
/// How often each server is started in a round. A start is so short that other load on the machine
/// distorts it most.
const STARTS: usize = 5;
/// The delay before the memory of an idle server is read.
const IDLE_DELAY: Duration = Duration::from_millis(300);

/// The request for a chat completion of 20,000 words.
const COMPLETION_BODY: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"20000"}]}"#;
const INVOCATIONS: &str = "/invocations";
const COMPLETIONS: &str = "/v1/chat/completions";

const UNARY: [&str; 4] = ["raw-hyper", "axum", "ours", PYTHON];
/// The servers in the streaming comparison. This framework and `raw-hyper-coalesced` send ready
/// items in frames of up to about 32 KiB; the others send a frame per item.
const STREAM: [&str; 4] = ["raw-hyper", COALESCED, "axum", "ours-stream"];
/// The program `raw-hyper` with `--coalesce`.
const COALESCED: &str = "raw-hyper-coalesced";
const PYTHON: &str = "python";
/// The servers in the chat completion comparison.
const COMPLETION: [&str; 2] = ["axum", "ours-openai"];
/// The same agent without and with all protocols.
const PROTOCOLS: [&str; 2] = ["ours", "ours-protocols"];
/// The same agent without tracing, with tracing but without a receiver, and with a receiver.
const TRACED: [&str; 3] = ["ours", "ours-otel", "ours-exporting"];
const TRACED_STREAM: [&str; 3] = ["ours-stream", "ours-stream-otel", "ours-stream-exporting"];
/// The suffix after `ours` and `ours-stream` in the name of a server that exports to the receiver.
const EXPORTING: &str = "-exporting";
/// The suffix in the name of a program with tracing, such as that of a server with [`EXPORTING`].
const OTEL: &str = "-otel";
const CLIENTS: [&str; 2] = ["ours", PYTHON];
const FIRST_ANSWER: &str = "first answer";
/// The name of a sample: the number of complete responses in a run of the load program.
const RESPONSES: &str = "responses";
/// The name of a sample: the processor time that the server takes for a response, in microseconds.
const CPU: &str = "cpu";
/// The name of a sample: the responses per second if every server thread had a core of its own.
/// During a run the threads share the cores with the load program, which slows down a server with
/// cheap responses most.
const CAPACITY: &str = "capacity";

/// How much a benchmark measures, and whether its thresholds are enforced.
pub(crate) struct Plan {
    rounds: usize,
    seconds: f64,
    /// The number of new sessions of each client that are measured in a round.
    sessions: usize,
    /// Whether a missed threshold is an error.
    enforces_thresholds: bool,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            rounds: 9,
            seconds: 2.0,
            sessions: 10,
            enforces_thresholds: true,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            rounds: 3,
            seconds: 0.5,
            sessions: 2,
            enforces_thresholds: false,
        }
    }

    /// Returns a plan with three times the rounds, to measure a cost of a few percent: the ratio of
    /// one round varies by ten percent.
    fn precise(&self) -> Self {
        Self {
            rounds: 3 * self.rounds,
            ..*self
        }
    }
}

pub(crate) fn run(plan: &Plan) -> Result<(), Error> {
    release_build("release build")
        .args(["--package", "hello"])
        .run()?;
    build_protocols()?;
    let programs = Programs::find()?;
    println!(
        "\nEvery Rust server has {WORKER_THREADS} worker threads, the load program too; the \
         Python package runs as it does by default, one process and one thread.\n{} rounds of {} \
         s for each server ({} for all protocols); medians; ratios are taken round by round.",
        plan.rounds,
        plan.seconds,
        plan.precise().rounds
    );

    let start = start_up(plan, &programs)?;
    let unary = load(plan, &programs, &UNARY, &ONE_VALUE)?;
    let stream = load(plan, &programs, &STREAM, &READY_ITEMS)?;
    let (completion, unary_protocols) = load_protocols(plan, &programs)?;
    let sessions = first_answers(plan, &programs)?;

    let items = [("items per second", "items_per_second")];
    table("start-up and idle memory", &UNARY, &start, &START_COLUMNS);
    table(
        &format!("one value, {UNARY_CONNECTIONS} connections"),
        &UNARY,
        &unary,
        &THROUGHPUT,
    );
    table(
        &format!("100,000 items ready at once, {STREAM_CONNECTIONS} connections"),
        &STREAM,
        &stream,
        &items,
    );
    print_protocols(&completion, &unary_protocols);
    print_sessions(&sessions);

    let [of_completion, of_protocols] = protocol_thresholds(&completion, &unary_protocols);
    let rate = "responses_per_second";
    check(
        plan,
        &[
            Threshold::at_least(
                "one value, ours ÷ raw hyper",
                &unary.ratios(rate, "ours", "raw-hyper"),
                0.95,
            ),
            Threshold::at_least(
                "one value, ours ÷ Python",
                &unary.ratios(rate, "ours", PYTHON),
                40.0,
            ),
            Threshold::at_least(
                "items, ours ÷ raw hyper with a frame each",
                &stream.ratios("items_per_second", "ours-stream", "raw-hyper"),
                1.5,
            ),
            Threshold::at_most("start to first ping, ms", start.of("ours", "ms"), 5.0),
            Threshold::at_most("idle memory, MB", start.of("ours", "mb"), 6.0),
            of_completion,
            of_protocols,
            session_threshold(&sessions),
        ],
    )
}

/// Measures only the protocols: a chat completion, and their cost per invocation.
pub(crate) fn protocols(plan: &Plan) -> Result<(), Error> {
    release_build("release build")
        .args(["--package", "hello", "--bin", "load", "--bin", "axum"])
        .args(["--bin", "ours"])
        .run()?;
    build_protocols()?;
    let (completion, unary) = load_protocols(plan, &Programs::find_without_python()?)?;
    print_protocols(&completion, &unary);
    check(plan, &protocol_thresholds(&completion, &unary))
}

/// Returns a release build of `ppio-benches`, to which arguments can be added.
fn release_build(name: &str) -> Step {
    Step::cargo(name).args(["build", "--release", "--package", "ppio-benches"])
}

/// Builds the servers of this framework that have all protocols. The framework's other servers have
/// none.
fn build_protocols() -> Result<(), Error> {
    release_build("release build with all protocols")
        .args(["--package", "hello"])
        .args(["--features", "ppio-benches/protocols"])
        .args(["--bin", "ours-openai", "--bin", "ours-protocols"])
        .run()
}

fn load_protocols(plan: &Plan, programs: &Programs) -> Result<(Samples, Samples), Error> {
    let completion = load(plan, programs, &COMPLETION, &COMPLETION_LOAD)?;
    let unary = load(&plan.precise(), programs, &PROTOCOLS, &ONE_VALUE)?;
    Ok((completion, unary))
}

fn print_protocols(completion: &Samples, unary: &Samples) {
    let title = format!("OpenAI chat completion of 20,000 words, {STREAM_CONNECTIONS} connections");
    let columns = [
        ("chunks per second", "items_per_second"),
        ("server µs", CPU),
    ];
    table(&title, &COMPLETION, completion, &columns);
    let title =
        format!("one value, {UNARY_CONNECTIONS} connections, without and with all protocols");
    table(&title, &PROTOCOLS, unary, &THROUGHPUT);
}

/// Returns thresholds for ratios of the processor time per response.
fn protocol_thresholds(completion: &Samples, unary: &Samples) -> [Threshold; 2] {
    [
        Threshold::at_least(
            "chat completion per processor, ours ÷ axum's Sse",
            &completion.ratios(CPU, "axum", "ours-openai"),
            5.0,
        ),
        Threshold::at_least(
            "one value per processor, all protocols ÷ none",
            &unary.ratios(CPU, "ours", "ours-protocols"),
            0.98,
        ),
    ]
}

/// Measures only tracing: the cost per invocation and per stream while tracing is off, and while
/// spans, metrics and log lines are exported.
pub(crate) fn tracing(plan: &Plan) -> Result<(), Error> {
    release_build("release build")
        .args(["--bin", "load", "--bin", "otlp-receiver"])
        .args(["--bin", "ours", "--bin", "ours-stream"])
        .run()?;
    release_build("release build with tracing")
        .args(["--features", "ppio-benches/otel"])
        .args(["--bin", "ours-otel", "--bin", "ours-stream-otel"])
        .run()?;
    let programs = Programs::find_with_receiver()?;
    let unary = load(&plan.precise(), &programs, &TRACED, &ONE_VALUE)?;
    let stream = load(&plan.precise(), &programs, &TRACED_STREAM, &READY_ITEMS)?;
    let title = format!("one value, {UNARY_CONNECTIONS} connections, tracing");
    table(&title, &TRACED, &unary, &THROUGHPUT);
    let title = format!("100,000 items ready at once, {STREAM_CONNECTIONS} connections, tracing");
    let items = [("items per second", "items_per_second"), ("server µs", CPU)];
    table(&title, &TRACED_STREAM, &stream, &items);
    let [none, off, on] = TRACED;
    let [no_stream, stream_off, stream_on] = TRACED_STREAM;
    check(
        plan,
        &[
            Threshold::at_least(
                "one value per processor, off ÷ none",
                &unary.ratios(CPU, none, off),
                0.98,
            ),
            Threshold::at_least(
                "one value per processor, on ÷ off",
                &unary.ratios(CPU, off, on),
                0.95,
            ),
            Threshold::at_least(
                "items per processor, off ÷ none",
                &stream.ratios(CPU, no_stream, stream_off),
                0.98,
            ),
            Threshold::at_least(
                "items per processor, on ÷ off",
                &stream.ratios(CPU, stream_off, stream_on),
                0.97,
            ),
        ],
    )
}

/// Measures only the local platform: the time from a new session to its first answer, with both
/// clients.
pub(crate) fn platform(plan: &Plan) -> Result<(), Error> {
    release_build("release build")
        .args(["--package", "hello"])
        .args(["--bin", "first-answer", "--bin", "hello"])
        .run()?;
    let sessions = first_answers(plan, &Programs::find()?)?;
    print_sessions(&sessions);
    check(plan, &[session_threshold(&sessions)])
}

fn print_sessions(sessions: &Samples) {
    let title = "create_session to first answer, local platform";
    table(title, &CLIENTS, sessions, &[("ms", FIRST_ANSWER)]);
}

fn session_threshold(sessions: &Samples) -> Threshold {
    let samples = sessions.of("ours", FIRST_ANSWER);
    Threshold::at_most("create_session to first answer, ms", samples, 15.0)
}

const THROUGHPUT: [(&str, &str); 5] = [
    ("per second", "responses_per_second"),
    ("p50 µs", "p50_us"),
    ("p99 µs", "p99_us"),
    ("server µs", CPU),
    ("on its own cores", CAPACITY),
];

/// The requests that the load program sends.
struct Load {
    connections: usize,
    body: &'static str,
    path: &'static str,
}

const ONE_VALUE: Load = Load {
    connections: UNARY_CONNECTIONS,
    body: UNARY_BODY,
    path: INVOCATIONS,
};
const READY_ITEMS: Load = Load {
    connections: STREAM_CONNECTIONS,
    body: STREAM_BODY,
    path: INVOCATIONS,
};
const COMPLETION_LOAD: Load = Load {
    connections: STREAM_CONNECTIONS,
    body: COMPLETION_BODY,
    path: COMPLETIONS,
};

const START_COLUMNS: [(&str, &str); 2] = [("first ping, ms", "ms"), ("idle memory, MB", "mb")];

/// Starts each server several times per round, and reads the idle memory after the last start.
fn start_up(plan: &Plan, programs: &Programs) -> Result<Samples, Error> {
    let mut samples = Samples::default();
    for round in 0..plan.rounds {
        for name in round_order(&UNARY, round) {
            let mut server = programs.start(name)?;
            for _ in 1..STARTS {
                samples.add(name, "ms", server.start_up.as_secs_f64() * 1e3);
                // Two servers must not run at the same time, so this one ends first.
                drop(server);
                server = programs.start(name)?;
            }
            thread::sleep(IDLE_DELAY);
            #[expect(clippy::cast_precision_loss, reason = "memory stays below 2^52 bytes")]
            let megabytes = server.resident_memory()? as f64 / 1e6;
            samples.add(name, "ms", server.start_up.as_secs_f64() * 1e3);
            samples.add(name, "mb", megabytes);
        }
    }
    Ok(samples)
}

/// Puts each server under load once per round while the other servers are idle.
fn load(
    plan: &Plan,
    programs: &Programs,
    names: &[&'static str],
    load: &Load,
) -> Result<Samples, Error> {
    let mut servers = HashMap::new();
    for &name in names {
        servers.insert(name, programs.start(name)?);
    }
    let mut samples = Samples::default();
    // Round 0 is a warm-up and is not counted.
    for round in 0..=plan.rounds {
        for name in round_order(names, round) {
            let Some(server) = servers.get(name) else {
                continue;
            };
            let before = server.cpu_time()?;
            let report = Step::new(&format!("load on {name}"), programs.path("load"))
                .args([server.address.to_string(), load.connections.to_string()])
                .args([plan.seconds.to_string()])
                .args([load.body, load.path])
                .env("TOKIO_WORKER_THREADS", WORKER_THREADS.to_string())
                .output()?;
            let spent = server.cpu_time()?.saturating_sub(before);
            if round > 0 {
                samples.add_report(name, &report)?;
                let responses = samples.last(name, RESPONSES);
                let cost = spent.as_secs_f64() * 1e6 / responses;
                samples.add(name, CPU, cost);
                samples.add(name, CAPACITY, threads(name) * 1e6 / cost);
            }
        }
    }
    Ok(samples)
}

/// Creates sessions on one local platform, alternating between the two clients.
fn first_answers(plan: &Plan, programs: &Programs) -> Result<Samples, Error> {
    let script = workspace::root().join("benches/python/first_answer.py");
    let report = Step::new("new sessions", programs.path("first-answer"))
        .args([
            programs.path("hello"),
            interop::agent_client_python()?,
            script,
        ])
        .args([plan.rounds.to_string(), plan.sessions.to_string()])
        .output()?;
    let mut samples = Samples::default();
    for line in report.lines() {
        let (client, value) = number(line)?;
        samples.add(client, FIRST_ANSWER, value);
    }
    Ok(samples)
}

/// Returns the number of threads that answer requests in a server.
fn threads(name: &str) -> f64 {
    if name == PYTHON {
        1.0
    } else {
        f64::from(WORKER_THREADS)
    }
}

/// Returns the names, reversed in every second round.
fn round_order(names: &[&'static str], round: usize) -> Vec<&'static str> {
    let mut names = names.to_vec();
    if round % 2 == 1 {
        names.reverse();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_round_is_reversed() {
        assert_eq!(round_order(&["a", "b"], 0), ["a", "b"]);
        assert_eq!(round_order(&["a", "b"], 1), ["b", "a"]);
    }
}
