//! Tests the playground page in a real browser, driven by `interop/playground.mjs`.
//!
//! Screenshots of each scenario are stored in `target/tmp/playground`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ppio_test_support::{
    AgentDev, AgentProcess, browser, eventually_blocking, example_binary, example_program,
    node_modules,
};

/// Starts an agent in debug mode, at the given address or on a free port.
fn start(name: &str, address: Option<SocketAddr>) -> AgentProcess {
    let command = match name {
        "storyteller" => Command::new(env!("CARGO_BIN_EXE_storyteller")),
        "chatting" => Command::new(env!("CARGO_BIN_EXE_chatting-agent")),
        example => Command::new(example_binary(example)),
    };
    let mut launcher = AgentProcess::command(command)
        .env("PPIO_AGENT_DEBUG", "true")
        .env("PPIO_AGENT_INSPECT_RUNS", "true")
        .env("PPIO_AGENT_MAX_RUNS", "6000")
        .env("PPIO_AGENT_RECONNECT_GRACE", "60")
        .env("PPIO_AGENT_SHUTDOWN_GRACE", "1");
    if let Some(address) = address {
        launcher = launcher.at(address);
    }
    launcher.start()
}

/// Kills the script if a test panics; the browser ends with the script.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn play(scenario: &str, agent: &str) {
    let mut agent = Some(start(agent, None));
    let address = agent.as_ref().unwrap().addr();
    run_script(scenario, address, |request| match *request {
        ["stop"] => {
            assert!(agent.take().unwrap().stop_gracefully().success());
        }
        ["start", name] => agent = Some(start(name, Some(address))),
        ["cut", "short", times] => {
            let times: usize = times.parse().unwrap();
            eventually_blocking("stories are cut short", || {
                let log = agent.as_ref().unwrap().stderr();
                log.matches("the story was cut short").count() == times
            });
        }
        _ => panic!("unknown request {request:?}"),
    });
}

/// Plays a scenario with an agent that `agent dev` runs.
fn play_dev(scenario: &str, agent: &Path) {
    let variables = [
        ("PPIO_AGENT_MAX_RUNS", "6000"),
        ("PPIO_AGENT_RECONNECT_GRACE", "60"),
    ];
    let dev = AgentDev::start(agent, &variables);
    run_script(scenario, dev.address(), |request| match *request {
        ["restart"] => dev.restart_agent(),
        _ => panic!("unknown request {request:?}"),
    });
}

/// Runs a scenario of `interop/playground.mjs`; calls `perform` with each request of the script.
fn run_script(scenario: &str, address: SocketAddr, mut perform: impl FnMut(&[&str])) {
    let (modules, browser) = (node_modules(), browser());
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("playground");
    fs::create_dir_all(&screenshots).unwrap();
    let script = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/playground.mjs"))
        .arg(scenario)
        .arg(format!("http://{address}/"))
        .arg(&screenshots)
        .env("PPIO_INTEROP_NODE_MODULES", modules)
        .env("PPIO_INTEROP_BROWSER", browser)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut script = Script(script);
    let mut answers = script.0.stdin.take().unwrap();
    let requests = BufReader::new(script.0.stdout.take().unwrap());
    for request in requests.lines() {
        let request = request.unwrap();
        perform(&request.split_whitespace().collect::<Vec<_>>());
        answers.write_all(b"done\n").unwrap();
    }
    let status = script.0.wait().unwrap();
    assert!(
        status.success(),
        "the scenario `{scenario}` failed: {status}"
    );
}

fn telemetry_agent(name: &str) -> PathBuf {
    example_program("telemetry-tests", name)
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_value_is_shown_with_its_figures() {
    play("value", "hello");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_stream_is_shown_item_by_item() {
    play("stream", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn cancelling_ends_the_agents_work() {
    play("cancel", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn errors_are_shown_and_markup_stays_text() {
    play("errors", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn form_and_json_are_kept_in_sync() {
    play("form", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn history_and_draft_are_kept_in_the_browser() {
    play("history", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_page_is_usable_by_keyboard() {
    play("keyboard", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_page_survives_restarts_of_the_agent() {
    play("restart", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_health_light_shows_every_state() {
    play("health", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_chat_shows_text_reasoning_and_tools() {
    play("chat", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn interrupts_are_forms_and_their_responses_continue_the_chat() {
    play("chat_interrupts", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_chat_shows_failures_and_can_be_stopped() {
    play("chat_ends", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_reloaded_chat_resumes_its_answer() {
    play("chat_reload", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn hostile_answers_are_shown_as_text() {
    play("chat_hostile", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_chat_continues_after_any_item() {
    play("malformed_items", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn patches_change_only_the_state() {
    play("malformed_patches", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn deeply_nested_items_are_shown() {
    play("malformed_nesting", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_chat_looks_right_in_light_in_dark_and_on_phones() {
    play("chat_looks", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn runs_are_listed_opened_and_sent_again() {
    play("runs", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_running_run_is_read_and_cancelled() {
    play("runs_running", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_page_handles_thousands_of_runs_items_and_spans() {
    play_dev("runs_many", Path::new(env!("CARGO_BIN_EXE_chatting-agent")));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_run_has_a_timeline_and_a_log() {
    play_dev("runs_traced", &telemetry_agent("traced-agent"));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_timeline_looks_right_in_light_in_dark_and_on_phones() {
    play_dev("runs_traced_looks", &telemetry_agent("traced-agent"));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_function_that_blocks_is_found() {
    play_dev("walk_slow", &telemetry_agent("slow-agent"));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_tool_that_fails_is_found() {
    play_dev("walk_broken_tool", &telemetry_agent("broken-tool-agent"));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_task_that_leaks_is_found() {
    play_dev("walk_leaking", &telemetry_agent("leaking-agent"));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn runs_look_right_in_light_in_dark_and_on_phones() {
    play("runs_looks", "chatting");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_page_looks_right_in_light_in_dark_and_on_phones() {
    play("looks", "storyteller");
}
