//! `cargo xtask bench`: the same agent on this framework, on raw hyper, on axum and on the Python package; and a new
//! session on the local platform through this project's client and through the Python one.
//!
//! Servers take turns within each round, in an order that is reversed from round to round, and a ratio is
//! taken within a round: what disturbs the machine disturbs both sides.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::measure::Server;
use crate::step::Step;
use crate::{Failure, interop, workspace};

/// Worker threads of every Rust server, and of the load program.
const WORKER_THREADS: u32 = 2;
const UNARY_CONNECTIONS: usize = 64;
const STREAM_CONNECTIONS: usize = 4;
const UNARY_BODY: &str = r#"{"prompt":"reader"}"#;
const STREAM_BODY: &str = r#"{"stream":100000}"#;
/// Starts of each server in a round. A start takes so little that what else the machine does shows in most of them.
const STARTS: usize = 5;
/// How long a server is left alone before its idle memory is read.
const SETTLE: Duration = Duration::from_millis(300);

const UNARY: [&str; 4] = ["raw-hyper", "axum", "ours", PYTHON];
const STREAM: [&str; 3] = ["raw-hyper", "axum", "ours-stream"];
const PYTHON: &str = "python";
const CLIENTS: [&str; 2] = ["ours", PYTHON];
const FIRST_ANSWER: &str = "first answer";
/// Whole responses of one run, as the load program counts them.
const RESPONSES: &str = "responses";
/// What a response costs the server, in microseconds on a core.
const CPU: &str = "cpu";
/// Responses a second if all threads of the server had cores of their own. Here they share them with the load program, which
/// holds back a server more the less a response costs it.
const CAPACITY: &str = "capacity";

/// How many rounds of how long.
pub(crate) struct Plan {
    rounds: usize,
    seconds: f64,
    /// New sessions of each client in a round.
    sessions: usize,
    /// Whether a missed bar fails the command.
    bars_count: bool,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            rounds: 9,
            seconds: 2.0,
            sessions: 10,
            bars_count: true,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            rounds: 3,
            seconds: 0.5,
            sessions: 2,
            bars_count: false,
        }
    }
}

pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    Step::cargo("release build")
        .args(["build", "--release", "--package", "ppio-benches"])
        .args(["--package", "hello"])
        .run()?;
    let programs = Programs::find()?;
    println!(
        "\nEvery Rust server has {WORKER_THREADS} worker threads, the load program too; the Python \
         package runs as it does by default, one process and one thread.\n{} rounds of {} s for each server; \
         medians; ratios are taken round by round.",
        plan.rounds, plan.seconds
    );

    let start = start_up(plan, &programs)?;
    let unary = load(plan, &programs, &UNARY, UNARY_CONNECTIONS, UNARY_BODY)?;
    let stream = load(plan, &programs, &STREAM, STREAM_CONNECTIONS, STREAM_BODY)?;
    let sessions = first_answers(plan, &programs)?;

    let throughput = [
        ("per second", "responses_per_second"),
        ("p50 µs", "p50_us"),
        ("p99 µs", "p99_us"),
        ("server µs", CPU),
        ("on cores of its own", CAPACITY),
    ];
    let items = [("items per second", "items_per_second")];
    table("start-up and idle memory", &UNARY, &start, &START_COLUMNS);
    table(
        &format!("one value, {UNARY_CONNECTIONS} connections"),
        &UNARY,
        &unary,
        &throughput,
    );
    table(
        &format!("100,000 items ready at once, {STREAM_CONNECTIONS} connections"),
        &STREAM,
        &stream,
        &items,
    );
    show(&sessions);

    let rate = "responses_per_second";
    judge(
        plan,
        &[
            Bar::at_least(
                "one value, ours ÷ raw hyper",
                &unary.ratios(rate, "ours", "raw-hyper"),
                0.95,
            ),
            Bar::at_least(
                "one value, ours ÷ Python",
                &unary.ratios(rate, "ours", PYTHON),
                40.0,
            ),
            Bar::at_least(
                "items, ours ÷ raw hyper with a frame each",
                &stream.ratios("items_per_second", "ours-stream", "raw-hyper"),
                1.5,
            ),
            Bar::at_most("start to first ping, ms", start.of("ours", "ms"), 5.0),
            Bar::at_most("idle memory, MB", start.of("ours", "mb"), 6.0),
            session_bar(&sessions),
        ],
    )
}

/// The local platform alone: a new session to its first answer, by both clients.
pub(crate) fn platform(plan: &Plan) -> Result<(), Failure> {
    Step::cargo("release build")
        .args(["build", "--release", "--package", "hello"])
        .args(["--package", "ppio-benches", "--bin", "first-answer"])
        .args(["--bin", "hello"])
        .run()?;
    let sessions = first_answers(plan, &Programs::find()?)?;
    show(&sessions);
    judge(plan, &[session_bar(&sessions)])
}

fn show(sessions: &Samples) {
    let title = "create_session to first answer, local platform";
    table(title, &CLIENTS, sessions, &[("ms", FIRST_ANSWER)]);
}

fn session_bar(sessions: &Samples) -> Bar {
    let samples = sessions.of("ours", FIRST_ANSWER);
    Bar::at_most("create_session to first answer, ms", samples, 30.0)
}

const START_COLUMNS: [(&str, &str); 2] = [("first ping, ms", "ms"), ("idle memory, MB", "mb")];

/// Starts each server some times a round, alone; the last one is left alone and its memory read.
fn start_up(plan: &Plan, programs: &Programs) -> Result<Samples, Failure> {
    let mut samples = Samples::default();
    for round in 0..plan.rounds {
        for name in turns(&UNARY, round) {
            let mut server = programs.start(name)?;
            for _ in 1..STARTS {
                samples.add(name, "ms", server.start_up.as_secs_f64() * 1e3);
                // The old one first: two do not run at once.
                drop(server);
                server = programs.start(name)?;
            }
            thread::sleep(SETTLE);
            #[expect(clippy::cast_precision_loss, reason = "memory stays below 2^52 bytes")]
            let megabytes = server.resident_memory()? as f64 / 1e6;
            samples.add(name, "ms", server.start_up.as_secs_f64() * 1e3);
            samples.add(name, "mb", megabytes);
        }
    }
    Ok(samples)
}

/// Puts each server under load once a round; the others are idle meanwhile.
fn load(
    plan: &Plan,
    programs: &Programs,
    names: &[&'static str],
    connections: usize,
    body: &str,
) -> Result<Samples, Failure> {
    let mut servers = HashMap::new();
    for &name in names {
        servers.insert(name, programs.start(name)?);
    }
    let mut samples = Samples::default();
    // Round 0 warms up and is not counted.
    for round in 0..=plan.rounds {
        for name in turns(names, round) {
            let Some(server) = servers.get(name) else {
                continue;
            };
            let before = server.cpu_time()?;
            let report = Step::new(&format!("load on {name}"), programs.path("load"))
                .args([server.address.to_string(), connections.to_string()])
                .args([plan.seconds.to_string(), body.to_owned()])
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

/// Makes sessions on one local platform with both clients in turn; one value a session.
fn first_answers(plan: &Plan, programs: &Programs) -> Result<Samples, Failure> {
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

/// A `name=value` line of a program that measures.
fn number(line: &str) -> Result<(&str, f64), Failure> {
    line.split_once('=')
        .and_then(|(name, value)| Some((name, value.parse().ok()?)))
        .ok_or_else(|| format!("the program that measures printed `{line}`"))
}

/// How many threads of a server answer.
fn threads(name: &str) -> f64 {
    if name == PYTHON {
        1.0
    } else {
        f64::from(WORKER_THREADS)
    }
}

/// `names`, backwards in every second round.
fn turns(names: &[&'static str], round: usize) -> Vec<&'static str> {
    let mut names = names.to_vec();
    if round % 2 == 1 {
        names.reverse();
    }
    names
}

/// Where the programs are.
struct Programs {
    release: PathBuf,
    logs: PathBuf,
    python: PathBuf,
}

impl Programs {
    fn find() -> Result<Self, Failure> {
        let logs = workspace::target().join("bench");
        fs::create_dir_all(&logs)
            .map_err(|error| format!("cannot create {}: {error}", logs.display()))?;
        Ok(Self {
            release: workspace::target().join("release"),
            logs,
            python: interop::python()?,
        })
    }

    fn path(&self, program: &str) -> PathBuf {
        self.release.join(program)
    }

    fn start(&self, name: &str) -> Result<Server, Failure> {
        let command = if name == PYTHON {
            let mut python = Command::new(&self.python);
            python.arg(workspace::root().join("benches/python/agent.py"));
            python
        } else {
            Command::new(self.path(name))
        };
        let log = self.logs.join(format!("{name}.log"));
        Server::start(command, &log, WORKER_THREADS).map_err(|failure| format!("{name}: {failure}"))
    }
}

/// Every measured number, by server and by what was measured, in the order of the rounds.
#[derive(Default)]
struct Samples(HashMap<(String, String), Vec<f64>>);

impl Samples {
    fn add(&mut self, name: &str, what: &str, value: f64) {
        let key = (name.to_owned(), what.to_owned());
        self.0.entry(key).or_default().push(value);
    }

    /// Adds the `name=value` lines that the load program prints.
    fn add_report(&mut self, name: &str, report: &str) -> Result<(), Failure> {
        for line in report.lines() {
            let (what, value) = number(line)?;
            self.add(name, what, value);
        }
        Ok(())
    }

    /// What was added last; not a number when nothing was.
    fn last(&self, name: &str, what: &str) -> f64 {
        self.of(name, what).last().copied().unwrap_or(f64::NAN)
    }

    fn of(&self, name: &str, what: &str) -> &[f64] {
        self.0
            .get(&(name.to_owned(), what.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    fn median(&self, name: &str, what: &str) -> f64 {
        median(self.of(name, what))
    }

    /// The ratio within each round.
    fn ratios(&self, what: &str, numerator: &str, denominator: &str) -> Vec<f64> {
        let below = self.of(denominator, what);
        let pairs = self.of(numerator, what).iter().zip(below);
        pairs.map(|(above, below)| above / below).collect()
    }
}

/// The middle value; not a number when there is none, which passes no bar.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn table(title: &str, names: &[&str], samples: &Samples, columns: &[(&str, &str)]) {
    println!("\n{title}");
    let heads = columns.iter().map(|(head, _)| format!("{head:>20}"));
    println!("  {:<12}{}", "", heads.collect::<String>());
    for name in names {
        let cells = columns
            .iter()
            .map(|(_, what)| format!("{:>20.1}", samples.median(name, what)));
        println!("  {name:<12}{}", cells.collect::<String>());
    }
}

/// What a measured number has to reach.
struct Bar {
    name: &'static str,
    /// One value a round, or a session; their median is judged.
    values: Vec<f64>,
    bound: f64,
    sign: char,
    met: bool,
}

impl Bar {
    fn at_least(name: &'static str, values: &[f64], bound: f64) -> Self {
        Self {
            name,
            met: median(values) >= bound,
            values: values.to_vec(),
            bound,
            sign: '≥',
        }
    }

    fn at_most(name: &'static str, values: &[f64], bound: f64) -> Self {
        Self {
            name,
            met: median(values) <= bound,
            values: values.to_vec(),
            bound,
            sign: '≤',
        }
    }
}

fn judge(plan: &Plan, bars: &[Bar]) -> Result<(), Failure> {
    println!("\nbars");
    for bar in bars {
        let lowest = bar.values.iter().copied().fold(f64::NAN, f64::min);
        let highest = bar.values.iter().copied().fold(f64::NAN, f64::max);
        println!(
            "  {}  {:<44}{:>9.2}  {} {:<5}({lowest:.2} to {highest:.2})",
            if bar.met { "pass" } else { "FAIL" },
            bar.name,
            median(&bar.values),
            bar.sign,
            bar.bound,
        );
    }
    let missed = bars.iter().filter(|bar| !bar.met).count();
    if missed > 0 && plan.bars_count {
        return Err(format!("{missed} of {} bars missed", bars.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let mut samples = Samples::default();
        // The machine slows down fourfold, the ratio stays.
        for slowness in [1.0, 2.0, 4.0] {
            samples
                .add_report("a", &format!("rate={}\np50_us=3", 300.0 / slowness))
                .unwrap();
            samples
                .add_report("b", &format!("rate={}\np50_us=5", 200.0 / slowness))
                .unwrap();
        }
        assert_eq!(samples.ratios("rate", "a", "b"), [1.5, 1.5, 1.5]);
        assert_eq!(samples.median("a", "rate").to_string(), "150");
    }

    #[test]
    fn nothing_measured_meets_no_bar() {
        let samples = Samples::default();
        assert!(!Bar::at_least("x", &samples.ratios("rate", "a", "b"), 0.0).met);
        assert!(!Bar::at_most("x", samples.of("a", "rate"), 1e9).met);
    }

    #[test]
    fn every_second_round_runs_backwards() {
        assert_eq!(turns(&["a", "b"], 0), ["a", "b"]);
        assert_eq!(turns(&["a", "b"], 1), ["b", "a"]);
    }
}
