//! Limits on what is read into memory: responses of agents and of the control plane, files, the
//! output of processes, and error texts. A response that never ends is cut off, and the call
//! returns an error with the limit and, if there is one, its setting.

use std::process::Stdio;
use std::time::Duration;

use ppio_agent_client::platform::{Command, ProcessEvent};
use ppio_agent_client::{AgentRuntimeClient, ByteSize, ClientConfig, Error, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::{Value, json};

use crate::clients::{client_basic, client_with};

const INVOKE: &str = "agent POST /invocations";
const CREATE: &str = "POST /sandboxes";
const LIST: &str = "GET /v2/sandboxes";
const LIMIT: usize = 1 << 20;
/// The bytes that the buffers of a connection may hold beyond those that the client has read.
const BUFFERS: u64 = 16 << 20;

fn client(platform: &ScriptedPlatform) -> AgentRuntimeClient {
    let config = ClientConfig {
        max_response_size: Some(ByteSize::new(LIMIT as u64)),
        max_retries: 0,
        // Without idle connections, an open connection is one whose response is being read.
        max_keepalive_connections: 0,
        ..ClientConfig::default()
    };
    client_with(platform, config)
}

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    client(platform).create_session("tmpl_1").await.unwrap()
}

/// Returns a response that never ends, in chunks of `x`.
fn endless(status: u16, content_type: &str, start: &str) -> Reply {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    let head = Reply::chunked_with(status, content_type);
    match start {
        // An empty chunk would end the body.
        "" => head.repeat(chunk),
        _ => head.chunk(start).repeat(chunk),
    }
}

/// Returns the bytes of a Connect message.
fn message(message: &Value) -> Vec<u8> {
    let text = message.to_string();
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Asserts that the error names the limit and the settings that change it.
fn names_the_limit(error: &Error) {
    assert_eq!(innermost(error).code(), "response_too_large", "{error}");
    let text = error.report().to_string();
    for part in [
        "larger than 1Mi",
        "max_response_size",
        "PPIO_MAX_RESPONSE_SIZE",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!error.is_retryable());
}

fn innermost(error: &Error) -> &Error {
    match error {
        Error::SandboxOperation { source, .. } | Error::SandboxCreation { source, .. } => {
            innermost(source)
        }
        other => other,
    }
}

/// Asserts that the server could send at most the limit and the buffers of `most` responses before
/// it was cut off.
async fn was_cut_off(platform: &ScriptedPlatform, most: u64) {
    let written = platform.repeated();
    assert!(
        written <= most * (LIMIT as u64 + BUFFERS),
        "{written} bytes"
    );
    platform
        .eventually("the connections are closed", |platform| {
            platform.open_connections() == 0
        })
        .await;
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.always(INVOKE, endless(200, "application/json", "\""));
    names_the_limit(&session.invoke("a").await.unwrap_err());
    names_the_limit(&session.invoke("b").json::<String>().await.unwrap_err());
    names_the_limit(&session.invoke("c").output().await.unwrap_err());
    names_the_limit(&session.invoke("d").stream().await.unwrap_err());
    was_cut_off(&platform, 4).await;

    // A response whose `content-length` exceeds the limit is rejected before its body is read.
    let before = platform.repeated();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000000000\r\n\r\n\"";
    platform.always(INVOKE, Reply::raw(head).hang());
    names_the_limit(&session.invoke("e").await.unwrap_err());
    assert_eq!(platform.repeated(), before);
    was_cut_off(&platform, 4).await;
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_read() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let text = "x".repeat(LIMIT - 2);
    let whole = json!(text).to_string();
    assert_eq!(whole.len(), LIMIT);
    let (start, end) = whole.split_at(LIMIT / 3);
    for (most, chunked) in [
        (
            true,
            Reply::chunked("application/json")
                .chunk(start)
                .chunk(end)
                .end(),
        ),
        (true, Reply::body(200, "application/json", &whole)),
        (
            false,
            Reply::chunked("application/json")
                .chunk(start)
                .chunk(end)
                .chunk(" ")
                .end(),
        ),
        (
            false,
            Reply::body(200, "application/json", &format!("{whole} ")),
        ),
    ] {
        platform.script(INVOKE, chunked);
        match session.invoke("hi").await {
            Ok(answer) => assert!(most && answer.result == Some(json!(text))),
            Err(error) => {
                assert!(!most, "{error}");
                names_the_limit(&error);
            }
        }
    }
}

#[tokio::test]
async fn an_item_of_a_stream_is_limited_and_a_stream_is_not() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let lines = format!("{}\n", "x".repeat(99)).repeat(1000);
    for (content_type, first, forever) in [
        // One line, and one event of many lines.
        ("text/event-stream", "data: 1\n\ndata: ", None),
        (
            "text/event-stream",
            "data: 1\n\n",
            Some(lines.replace("xxxxxxx", "data: x")),
        ),
        ("application/x-ndjson", "1\n", None),
    ] {
        let reply = match forever {
            None => endless(200, content_type, first),
            Some(text) => Reply::chunked(content_type)
                .chunk(first)
                .repeat(format!("{:x}\r\n{text}\r\n", text.len())),
        };
        platform.script(INVOKE, reply);
        let mut items = session.invoke("hi").stream().await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap(), json!(1));
        names_the_limit(&items.next().await.unwrap().unwrap_err());
        assert!(items.next().await.is_none());
    }
    was_cut_off(&platform, 3).await;

    // Many items together may exceed the limit.
    for (content_type, item) in [
        (
            "text/event-stream",
            format!("data: {}\n\n", "x".repeat(1000)),
        ),
        ("application/x-ndjson", format!("{}\n", "x".repeat(1000))),
    ] {
        let mut reply = Reply::chunked(content_type);
        for _ in 0..4 {
            reply = reply.chunk(item.repeat(1000));
        }
        platform.script(INVOKE, reply.end());
        let mut items = session.invoke("hi").stream().await.unwrap();
        let mut count = 0;
        while let Some(item) = items.next().await {
            item.unwrap();
            count += 1;
        }
        assert_eq!(count, 4000);
    }
}

#[tokio::test]
async fn only_the_start_of_an_error_text_is_read() {
    let platform = ScriptedPlatform::start().await;
    let client = client(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    for status in [400, 418, 500, 503] {
        let reply = endless(status, "text/plain", "no such thing ");
        platform.always(INVOKE, reply.clone());
        platform.always(LIST, reply.clone());
        platform.always("envd GET /files", reply.clone());
        platform.always("envd POST /process.Process/List", reply.clone());
        platform.always("envd POST /process.Process/Start", reply);
        let envd = session.envd();
        for error in [
            session.invoke("hi").await.unwrap_err(),
            session.invoke("hi").stream().await.unwrap_err(),
            client.list_sessions().await.unwrap_err(),
            envd.read_file("/etc/hosts").await.unwrap_err(),
            envd.list_processes().await.unwrap_err(),
            envd.start(&Command::shell("true")).await.unwrap_err(),
        ] {
            assert_eq!(error.status(), Some(status), "{error}");
            assert!(
                error.report().to_string().contains("no such thing xxx"),
                "{error}"
            );
            assert!(error.report().to_string().len() < 1000);
        }
    }
    was_cut_off(&platform, 24).await;
}

#[tokio::test]
async fn the_control_plane_has_a_limit_of_its_own() {
    let platform = ScriptedPlatform::start().await;
    let client = client(&platform);
    platform.always(LIST, endless(200, "application/json", "[\""));
    platform.always("GET /templates", endless(200, "application/json", "[\""));
    platform.script(
        CREATE,
        endless(200, "application/json", "{\"").with_effect(),
    );
    for error in [
        client.list_sessions().await.unwrap_err(),
        client.get_template("tmpl_1").await.unwrap_err(),
        client.create_session("tmpl_1").await.unwrap_err(),
    ] {
        assert_eq!(innermost(&error).code(), "response_too_large", "{error}");
        assert!(
            error.report().to_string().contains("larger than 16Mi"),
            "{error}"
        );
        assert!(
            !error.report().to_string().contains("max_response_size"),
            "{error}"
        );
    }
    let written = platform.repeated();
    assert!(written <= 3 * ((16 << 20) + BUFFERS), "{written} bytes");
}

#[tokio::test]
async fn a_list_of_many_pages_is_limited_as_a_whole() {
    let platform = ScriptedPlatform::start().await;
    let client = client(&platform);
    let padding = " ".repeat(15 << 20);
    for page in 0..6 {
        let next = [("x-next-token", &*format!("page-{page}"))];
        platform.script(
            LIST,
            Reply::with_headers(200, &next, &format!("[{padding}]")),
        );
    }
    let error = client.list_sessions().await.unwrap_err();
    assert!(
        error
            .report()
            .to_string()
            .contains("the whole list is larger than 64Mi"),
        "{error}"
    );
}

/// A sandbox whose creation was answered with an endless response has been created, and is killed.
#[tokio::test]
async fn a_sandbox_whose_creation_response_is_endless_is_killed() {
    let platform = ScriptedPlatform::start().await;
    let client = client(&platform);
    platform.script(
        CREATE,
        endless(200, "application/json", "{\"").with_effect(),
    );
    client.create_session("tmpl_1").await.unwrap_err();
    assert_eq!(platform.count(CREATE), 1);
    platform.eventually_empty().await;
}

#[tokio::test]
async fn an_endless_ping_is_not_a_healthy_agent() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.always("agent GET /ping", endless(200, "application/json", "\""));
    let error = session.ping().await.unwrap_err();
    assert!(
        error.report().to_string().contains("larger than 64Ki"),
        "{error}"
    );
    was_cut_off(&platform, 1).await;
}

#[tokio::test]
async fn files_and_the_output_of_processes_are_limited() {
    let platform = ScriptedPlatform::start().await;
    let envd = session(&platform).await.envd();
    platform.always(
        "envd GET /files",
        endless(200, "application/octet-stream", ""),
    );
    names_the_limit(&envd.read_file("/dev/zero").await.unwrap_err());
    let list = "envd POST /process.Process/List";
    platform.always(list, endless(200, "application/json", "{\""));
    names_the_limit(&envd.list_processes().await.unwrap_err());

    // A process whose output never ends, and a process whose message is too large.
    let start = "envd POST /process.Process/Start";
    let stdout = message(&json!({"event": {"data": {"stdout": "eHl6".repeat(10_000)}}}));
    let mut chunk = format!("{:x}\r\n", stdout.len()).into_bytes();
    chunk.extend(&stdout);
    chunk.extend(b"\r\n");
    let talking = Reply::chunked("application/connect+json").repeat(chunk);
    platform.script(start, talking.clone());
    let events = envd.start(&Command::shell("yes")).await.unwrap();
    names_the_limit(&events.output().await.unwrap_err());
    let at_once = Reply::chunked("application/connect+json").chunk([0, 0, 0x20, 0, 0]);
    platform.script(start, at_once.hang());
    let mut events = envd.start(&Command::shell("yes")).await.unwrap();
    names_the_limit(&events.next().await.unwrap_err());
    was_cut_off(&platform, 3).await;

    // If the events are read one by one, the output may have any size.
    platform.script(start, talking);
    let mut events = envd.start(&Command::shell("yes")).await.unwrap();
    let mut read = 0;
    while read < 4 * LIMIT {
        match events.next().await.unwrap() {
            Some(ProcessEvent::Stdout(bytes)) => read += bytes.len(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn output_without_the_end_of_the_process_is_an_error() {
    let platform = ScriptedPlatform::start().await;
    let envd = session(&platform).await.envd();
    let started = message(&json!({"event": {"start": {"pid": 7}}}));
    let reply = Reply::chunked("application/connect+json").chunk(started);
    // The end message of the stream.
    let reply = reply.chunk(b"\x02\0\0\0\x02{}").end();
    platform.script("envd POST /process.Process/Start", reply);
    let events = envd.start(&Command::shell("true")).await.unwrap();
    let error = events.output().await.unwrap_err();
    let text = error.report().to_string();
    assert!(text.contains("before the end of the process"), "{text}");
}

/// Returns the peak memory of a process, in mebibytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes / 1024
}

/// Invokes an agent once from a process of its own, and returns the peak memory and the output of
/// the process.
async fn ask(platform: &ScriptedPlatform, variables: &[(&str, &str)]) -> (u64, String) {
    let mut command = client_basic().await;
    // The sandbox is killed once the response has been read; the process waits for the kill.
    let ending = platform.count("DELETE /sandboxes/{id}");
    let pause = Duration::from_secs(2);
    let gone = Reply::raw("HTTP/1.1 204 No Content\r\n\r\n");
    platform.script("DELETE /sandboxes/{id}", gone.after(pause).with_effect());
    let child = command
        .env("PPIO_API_KEY", "key")
        .env("PPIO_API_URL", platform.url())
        .env("PPIO_DOMAIN", platform.domain())
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    platform
        .eventually("the answer was read", |platform| {
            platform.count("DELETE /sandboxes/{id}") > ending
        })
        .await;
    let peak = peak(child.id().unwrap());
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (peak, String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_a_process_stays_bounded() {
    let platform = ScriptedPlatform::start().await;
    let (base, said) = ask(&platform, &[]).await;
    assert!(said.contains("result:"), "{said}");

    // An endless response: the default limit of 64 MiB, and the limit that a variable sets.
    platform.always(INVOKE, endless(200, "application/json", "\""));
    let (endless, said) = ask(&platform, &[]).await;
    assert!(
        said.contains("larger than 64Mi") && said.contains("PPIO_MAX_RESPONSE_SIZE"),
        "{said}"
    );
    assert!(
        endless <= base + 64 + 16,
        "peak memory: {endless} MiB, and {base} MiB with a short response"
    );
    let (small, said) = ask(&platform, &[("PPIO_MAX_RESPONSE_SIZE", "1Mi")]).await;
    assert!(said.contains("larger than 1Mi"), "{said}");
    assert!(
        small <= base + 1 + 8,
        "peak memory: {small} MiB, and {base} MiB with a short response"
    );

    // A large response: memory holds its bytes and the value that is parsed from them, and no third
    // copy.
    let text = "x".repeat(48 << 20);
    let answer = format!(r#"{{"result":"{text}","status":"success","duration":0}}"#);
    platform.always(INVOKE, Reply::body(200, "application/json", &answer));
    let (large, said) = ask(&platform, &[]).await;
    assert!(said.contains(&text), "the answer is missing in the output");
    assert!(
        large <= base + 2 * 48 + 16,
        "peak memory: {large} MiB, and {base} MiB with a short response"
    );
}
