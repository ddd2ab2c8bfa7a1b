//! The playground page in a real browser, driven by `interop/playground.mjs`.
//!
//! Screenshots of each scenario are left in `target/tmp/playground`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ppio_test_support::{AgentProcess, browser, eventually_blocking, example_binary, node_modules};

/// An agent in debug mode, at an address that it can be started at again.
fn start(name: &str, address: Option<SocketAddr>) -> AgentProcess {
    let command = match name {
        "storyteller" => Command::new(env!("CARGO_BIN_EXE_storyteller")),
        example => Command::new(example_binary(example)),
    };
    let mut launcher = AgentProcess::command(command).env("PPIO_AGENT_DEBUG", "true");
    if let Some(address) = address {
        launcher = launcher.at(address);
    }
    launcher.start()
}

/// Kills the script when a test panics; the browser ends with it.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn play(scenario: &str, agent: &str) {
    let (modules, browser) = (node_modules(), browser());
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("playground");
    fs::create_dir_all(&screenshots).unwrap();
    let mut agent = Some(start(agent, None));
    let address = agent.as_ref().unwrap().addr();
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
        match request.split_whitespace().collect::<Vec<_>>()[..] {
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
            _ => panic!("the script says {request:?}"),
        }
        answers.write_all(b"done\n").unwrap();
    }
    let status = script.0.wait().unwrap();
    assert!(
        status.success(),
        "the scenario `{scenario}` failed: {status}"
    );
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
fn form_and_json_turn_into_each_other() {
    play("form", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn history_and_draft_are_kept_in_the_browser() {
    play("history", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_keyboard_is_enough() {
    play("keyboard", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_page_outlives_the_agent() {
    play("restart", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_light_tells_every_state() {
    play("health", "storyteller");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn it_looks_right_in_light_in_dark_and_on_phones() {
    play("looks", "storyteller");
}
