//! The commands of a sandbox: their streams, readers, terminals and timeouts.

use std::sync::Arc;
use std::time::Duration;

use ppio_agent_client::platform::{Command, ProcessEvent, ProcessSelector, Signal, TerminalSize};
use ppio_test_support::{eventually_some, processes_running as running, with_timeout};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{DEADLINE, TestSandbox, create, isolations};
use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

/// Returns the body of a call that starts a shell command and streams its events.
fn start_body(line: &str) -> Vec<u8> {
    let message = json!({"process": {"cmd": "/bin/sh", "args": ["-c", line]}}).to_string();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message.as_bytes());
    body
}

const STREAM: (&str, &str) = ("content-type", "application/connect+json");
const START: &str = "/process.Process/Start";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_ends_commands_that_are_being_started() {
    for (number, mode) in IsolationMode::all().into_iter().enumerate() {
        let platform = TestPlatform::start(mode).await;
        let client = platform.client();
        let seconds = format!("32{number}{}", std::process::id());
        for _ in 0..8 {
            let (sandbox, envd) = create(&client).await;
            let started = Arc::new(tokio::sync::Notify::new());
            let starts = (0..6).map(|_| {
                let (envd, started) = (envd.clone(), Arc::clone(&started));
                let mut command = Command::new("/bin/sleep");
                command.args = vec![seconds.clone()];
                tokio::spawn(async move {
                    // Starts commands until the sandbox is gone.
                    while let Ok(events) = envd.start(&command).await {
                        started.notify_one();
                        drop(events);
                    }
                })
            });
            let starts: Vec<_> = starts.collect();
            started.notified().await;
            let killed = client.platform().kill_sandbox(&sandbox.sandbox_id).await;
            assert!(killed.unwrap(), "{mode:?}");
            for start in starts {
                start.await.unwrap();
            }
            assert_eq!(platform.directories(), [""; 0], "{mode:?}");
            eventually_some("an end of the started processes", async || {
                running(&seconds).is_empty().then_some(())
            })
            .await;
        }
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_of_a_command_kills_it_with_its_children() {
    for (number, mode) in IsolationMode::all().into_iter().enumerate() {
        let inside = TestSandbox::start(mode).await;
        let seconds = format!("33{number}{}", std::process::id());
        let line = format!(
            "trap '' TERM HUP; sleep {seconds} & setsid sleep {seconds} & \
             sh -c 'trap \"\" TERM; sleep {seconds}; true' & echo started; wait"
        );
        let headers = [STREAM, ("connect-timeout-ms", "3000")];
        let answer = inside
            .request("POST", START, &headers, &start_body(&line))
            .await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("c3RhcnRlZAo="), "{mode:?}: {text}");
        assert!(text.contains("deadline_exceeded"), "{mode:?}: {text}");
        eventually_some("an end of the command", async || {
            running(&seconds).is_empty().then_some(())
        })
        .await;
        // The timeout does not affect a command that ends before it.
        let body = start_body("echo short");
        let answer = inside.request("POST", START, &headers, &body).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("\"exitCode\":0"), "{mode:?}: {text}");
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sandbox_breaks_its_streams() {
    for mode in IsolationMode::all() {
        let inside = TestSandbox::start(mode).await;
        let body = start_body("echo started; sleep 600");
        let command = inside.request("POST", START, &[STREAM], &body);
        // The events of the watch begin when the daemon has answered.
        let mut watch = inside.envd.watch_dir("/tmp", false).await.unwrap();
        let kill = async {
            let is_started = || async {
                let listed = inside.envd.list_processes().await.unwrap();
                !listed.is_empty()
            };
            while !is_started().await {}
            inside.kill().await;
        };
        let (command, ()) = tokio::join!(command, kill);
        let text = String::from_utf8_lossy(&command.body).into_owned();
        // The body is cut off: it lacks the final chunk.
        let is_whole = command.status == 200 && text.ends_with("0\r\n\r\n");
        assert!(!is_whole, "{mode:?}: the body is whole: {text}");
        assert!(!text.contains("exitCode"), "{mode:?}: {text}");
        let watched = async {
            loop {
                match watch.next().await {
                    Ok(Some(_)) => {}
                    end => return end,
                }
            }
        };
        let end = with_timeout("the end of the watch", watched).await;
        let error = end.unwrap_err().report().to_string();
        // SDKs distinguish a broken connection from a protocol error by the reset.
        assert!(error.contains("Connection reset"), "{mode:?}: {error}");
        inside.platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_does_not_block_other_readers() {
    let mode = isolations().await[0];
    let inside = TestSandbox::start(mode).await;
    // The reader of this command reads nothing after the response headers.
    let body = start_body("echo $$ > ~/pid; exec yes");
    let mut stopped = TcpStream::connect(inside.platform.platform.address())
        .await
        .unwrap();
    let [(id, sandbox), (token, secret)] = inside.headers();
    let head = format!(
        "POST {START} HTTP/1.1\r\nhost: {}\r\n{id}: {sandbox}\r\n{token}: {secret}\r\n\
         {}: {}\r\ncontent-length: {}\r\n\r\n",
        inside.platform.platform.address(),
        STREAM.0,
        STREAM.1,
        body.len()
    );
    stopped.write_all(head.as_bytes()).await.unwrap();
    stopped.write_all(&body).await.unwrap();
    let mut first = [0; 12];
    stopped.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");

    let listed = inside.envd.list_processes().await.unwrap();
    let yes = ProcessSelector::Pid(listed[0].pid);
    // The other readers read more bytes than all buffers between the command and the stopped reader
    // can hold.
    for (reader, wanted) in [("a second", 20_000_000), ("a third", 1_000_000)] {
        let read = async {
            let mut events = inside.envd.connect(&yes).await.unwrap();
            let mut count = 0;
            while count < wanted {
                match events.next().await.unwrap().expect("the output continues") {
                    ProcessEvent::Stdout(bytes) => count += bytes.len(),
                    ProcessEvent::Started { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        let read = tokio::time::timeout(DEADLINE, read).await;
        assert!(read.is_ok(), "{reader} reader waits for the first reader");
    }
    inside.envd.send_signal(&yes, Signal::Kill).await.unwrap();
    drop(stopped);
    inside.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_receives_all_output() {
    const LENGTH: usize = 40_000_000;
    let inside = TestSandbox::start(isolations().await[0]).await;
    let mut command = Command::new("/bin/sh");
    command.args = vec!["-c".into(), format!("head -c {LENGTH} /dev/zero; echo end")];
    let mut events = inside.envd.start(&command).await.unwrap();
    let (mut count, mut pause_at, mut last) = (0, 0, Vec::new());
    loop {
        match events.next().await.unwrap() {
            Some(ProcessEvent::Stdout(bytes)) => {
                count += bytes.len();
                last = bytes;
                // The pause is longer than the platform waits for the output of a process that has
                // ended, so the process ends while every buffer is full.
                if count >= pause_at {
                    pause_at += LENGTH / 10;
                    tokio::time::sleep(Duration::from_millis(600)).await;
                }
            }
            Some(ProcessEvent::Ended(_)) | None => break,
            Some(_) => {}
        }
    }
    assert_eq!(count, LENGTH + "end\n".len());
    assert!(last.ends_with(b"end\n"));
    inside.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_a_device_in_the_sandbox() {
    for mode in isolations().await {
        let inside = TestSandbox::start(mode).await;
        let line = "tty; test -c \"$(tty)\" && echo device; stat -c %u \"$(tty)\"; id -u; \
                    script -qec 'stty size; tty' /dev/null; \
                    trap 'echo interrupted; stty size; exit 7' INT; echo ready; \
                    while :; do read x; done";
        let command = Command {
            terminal: Some(TerminalSize {
                columns: 80,
                rows: 24,
            }),
            tag: Some("terminal".into()),
            ..Command::shell(line)
        };
        let mut events = inside.envd.start(&command).await.unwrap();
        let mut text = String::new();
        while !text.contains("ready") {
            let next = tokio::time::timeout(DEADLINE, events.next()).await;
            match next.unwrap_or_else(|_| panic!("{text}")).unwrap().unwrap() {
                ProcessEvent::Stdout(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                ProcessEvent::Started { .. } => {}
                other => panic!("{mode:?}: {other:?}: {text}"),
            }
        }
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("/dev/pts/"), "{mode:?}: {text}");
        assert_eq!(lines[1], "device", "{mode:?}: {text}");
        assert_eq!(lines[2], lines[3], "{mode:?}: another user's: {text}");
        // A program in the terminal opens another terminal.
        assert!(lines[5].starts_with("/dev/pts/"), "{mode:?}: {text}");
        assert_ne!(lines[5], lines[0], "{mode:?}: {text}");

        let terminal = ProcessSelector::Tag("terminal".into());
        let size = TerminalSize {
            columns: 132,
            rows: 43,
        };
        inside.envd.resize_terminal(&terminal, size).await.unwrap();
        inside.envd.send_terminal(&terminal, b"\x03").await.unwrap();
        let output = tokio::time::timeout(DEADLINE, events.output()).await;
        let output = output.expect("Ctrl-C reaches the program").unwrap();
        let text = output.stdout_text();
        assert!(text.contains("interrupted\r\n43 132"), "{mode:?}: {text}");
        assert_eq!(output.status.exit_code, 7, "{mode:?}");
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_timeout_passes_during_a_pause_ends_after_it() {
    for mode in IsolationMode::all() {
        let inside = TestSandbox::start(mode).await;
        let headers = [STREAM, ("connect-timeout-ms", "1500")];
        let body = start_body("echo started; while :; do sleep 0.01; done");
        let stream = inside.request("POST", START, &headers, &body);
        let pause = async {
            while inside.envd.list_processes().await.unwrap().is_empty() {}
            let platform = inside.client.platform();
            assert!(
                platform
                    .pause_sandbox(&inside.sandbox.sandbox_id)
                    .await
                    .unwrap()
            );
        };
        let (answer, ()) = tokio::join!(stream, pause);
        // The deadline of the stream has passed although the sandbox is paused.
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("deadline_exceeded"), "{mode:?}: {text}");
        let path = format!("/sandboxes/{}/connect", inside.sandbox.sandbox_id);
        let resumed = inside
            .platform
            .request("POST", &path, &[], b"{\"timeout\": 60}")
            .await;
        assert_eq!(resumed.status, 201, "{resumed:?}");
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !inside.envd.list_processes().await.unwrap().is_empty() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{mode:?}: the program still runs"
            );
        }
        inside.stop().await;
    }
}
