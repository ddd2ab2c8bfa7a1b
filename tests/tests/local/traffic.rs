//! The traffic into sandboxes of the local platform, which is routed and forwarded unchanged.

use std::time::{Duration, Instant};

use ppio_agent_client::platform::{
    Command, Envd, LogEntry, LogQuery, NewSandbox, ProcessEvent, ProcessEvents, ProcessSelector,
    Signal,
};
use ppio_sandbox_local::{LocalPlatform, TemplateSpec};
use ppio_test_support::eventually_some;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

const LIFE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_a_sandbox_routes_to_it() {
    let platform = TestPlatform::with(|builder| builder.tls(true).allow_host("edge.example")).await;
    let template = platform.agent("hello").await;
    let client = platform.client();
    let (other, wanted) = (
        client.create_session(&template).await.unwrap(),
        client.create_session(&template).await.unwrap(),
    );
    let id = wanted.sandbox_id();
    let with_client = format!("{id}-local");
    for headers in [
        vec![("host", format!("8080-{id}.localhost"))],
        vec![(
            "host",
            format!(
                "8080-{with_client}.localhost:{}",
                platform.platform.address().port()
            ),
        )],
        vec![("host", format!("8080-{id}.sandbox.ppio.cn"))],
        vec![
            ("ppio-sandbox-id", id.to_owned()),
            ("ppio-sandbox-port", "8080".to_owned()),
        ],
        vec![
            ("host", "edge.example:443".to_owned()),
            ("ppio-sandbox-id", id.to_owned()),
            ("ppio-sandbox-port", "8080".to_owned()),
        ],
        vec![
            ("E2b-Sandbox-Id", with_client.clone()),
            ("E2b-Sandbox-Port", "8080".to_owned()),
        ],
    ] {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = platform
            .request_without_key("POST", "/invocations", &headers, br#"{"prompt":"Ada"}"#)
            .await;
        assert_eq!(
            answer.json()["result"],
            json!({"message": "Hello, Ada!"}),
            "{headers:?}"
        );
    }

    // Calls to the daemon that are only identified by a token.
    let mut written = Vec::new();
    for session in [&other, &wanted] {
        let connected = client
            .platform()
            .connect_sandbox(session.sandbox_id(), LIFE)
            .await
            .unwrap();
        let token = connected.envd_access_token.unwrap();
        let headers = [("x-access-token", token.expose())];
        let name = session.sandbox_id();
        let answer = platform
            .request_without_key("POST", "/files?path=whose", &headers, name.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        written.push(session.envd().read_file("whose").await.unwrap());
    }
    assert_eq!(written, [other.sandbox_id(), wanted.sandbox_id()]);

    // A port is closed if no program listens on it, or only a program of another sandbox.
    for port in [1, 9] {
        let host = format!("{port}-{id}.localhost");
        let answer = platform.request("GET", "/", &[("host", &host)], b"").await;
        assert_eq!((answer.status, &answer.json()["code"]), (502, &json!(502)));
    }
    client.close().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_connections_are_forwarded_in_both_directions() {
    let platform = TestPlatform::with(|builder| builder).await;
    let server = TemplateSpec::new("upgrading").binary(env!("CARGO_BIN_EXE_upgrading-server"));
    let template = platform.platform.build_template(server).await.unwrap();
    let client = platform.client();
    let sandbox = client
        .platform()
        .create_sandbox(&NewSandbox::new(&template.id, LIFE))
        .await
        .unwrap();

    let mut stream = TcpStream::connect(platform.platform.address())
        .await
        .unwrap();
    let head = format!(
        "GET /ws HTTP/1.1\r\nhost: 8080-{}.localhost\r\nconnection: keep-alive, Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-key: x\r\n\r\n",
        sandbox.sandbox_id
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("upgrade: websocket"), "{answer}");
    for message in [&b"ping"[..], &[0xff; 1000]] {
        stream.write_all(message).await.unwrap();
        let mut echo = vec![0; message.len()];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, message);
    }
    // Without an upgrade header the server refuses the request, and its answer is forwarded.
    let host = format!("8080-{}.localhost", sandbox.sandbox_id);
    assert_eq!(
        platform
            .request("GET", "/ws", &[("host", &host)], b"")
            .await
            .status,
        426
    );

    // The connection ends with the sandbox.
    assert!(
        client
            .platform()
            .kill_sandbox(&sandbox.sandbox_id)
            .await
            .unwrap()
    );
    assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_not_buffered() {
    let platform = TestPlatform::with(|builder| builder).await;
    let template = platform.agent("stream").await;
    let client = platform.client();
    let session = client.create_session(&template).await.unwrap();
    let mut words = session.invoke("one two three").stream().await.unwrap();
    let mut arrivals = Vec::new();
    while let Some(word) = words.next().await {
        word.unwrap();
        arrivals.push(Instant::now());
    }
    // The agent pauses for 300 ms before each word; if the words were held back, they would arrive
    // together.
    assert_eq!(arrivals.len(), 3);
    for pair in arrivals.windows(2) {
        assert!(
            pair[1] - pair[0] > Duration::from_millis(100),
            "{arrivals:?}"
        );
    }
    client.close().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_has_logs_and_metrics() {
    let platform = TestPlatform::with(|builder| builder).await;
    let template = platform.agent("hello").await;
    let client = platform.client();
    let session = client
        .create_session(&template)
        .metadata("user", "a b&c")
        .await
        .unwrap();
    let logs = session.logs(&LogQuery::default()).await.unwrap();
    assert!(
        logs.iter()
            .any(|entry| entry.message.contains("listening on")),
        "{logs:?}"
    );

    let id = session.sandbox_id();
    let v1 = platform
        .request("GET", &format!("/sandboxes/{id}/logs?limit=1"), &[], b"")
        .await
        .json();
    assert_eq!(v1["logs"].as_array().unwrap().len(), 1);
    assert_eq!(v1["logs"][0]["line"], v1["logEntries"][0]["message"]);
    for (query, expected) in [
        ("search=listening", 1),
        ("search=nothing", 0),
        ("level=error", 0),
        ("direction=backward&limit=1", 1),
        ("start=99999999999999", 0),
        ("cursor=0&search=listening", 1),
    ] {
        let path = format!("/v2/sandboxes/{id}/logs?{query}");
        let found = platform.request("GET", &path, &[], b"").await.json();
        assert_eq!(
            found["logs"].as_array().unwrap().len(),
            expected,
            "{query}: {found}"
        );
    }

    let metrics = client
        .platform()
        .sandbox_metrics(id, None, None)
        .await
        .unwrap();
    let far = u64::MAX;
    for path in [
        format!("/sandboxes/{id}/metrics?start={far}&end={far}"),
        format!("/templates/{template}?nextToken={far}"),
    ] {
        let found = platform.request("GET", &path, &[], b"").await;
        assert_eq!(found.status, 200, "{path}: {found:?}");
    }

    let sample = metrics.last().unwrap();
    assert!(sample.mem_used > 0 && sample.disk_used > 0, "{sample:?}");
    assert_eq!(sample.mem_total, 1024 * 1024 * 1024);
    for (query, expected) in [("user%3Da%2Bb%2526c", 1), ("user%3Dother", 0)] {
        let path = format!("/v2/sandboxes?state=running&metadata={query}");
        let found = platform.request("GET", &path, &[], b"").await.json();
        assert_eq!(
            found.as_array().unwrap().len(),
            expected,
            "{query}: {found}"
        );
    }
    // Reads pages of one session, newest first.
    let second = client.create_session(&template).await.unwrap();
    let first_page = platform
        .request("GET", "/v2/sandboxes?limit=1", &[], b"")
        .await;
    let token = first_page
        .head
        .lines()
        .find_map(|line| line.strip_prefix("x-next-token: "))
        .unwrap();
    let path = format!("/v2/sandboxes?limit=1&nextToken={token}");
    let second_page = platform.request("GET", &path, &[], b"").await;
    assert!(!second_page.head.contains("x-next-token"));
    assert_eq!(first_page.json()[0]["sandboxID"], second.sandbox_id());
    assert_eq!(second_page.json()[0]["sandboxID"], id);
    client.close().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_have_versions_and_survive_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let builder = LocalPlatform::builder().home(home.path());
    let version = |tag: &str| {
        TemplateSpec::new(format!("greeter:{tag}")).run(format!("echo {tag} > version"))
    };
    let platform = builder.clone().start().await.unwrap();
    let first = platform.build_template(version("v1")).await.unwrap();
    let second = platform.build_template(version("v2")).await.unwrap();
    assert_eq!(first.id, second.id);
    let failed = TemplateSpec::new("failing").run("exit 3");
    assert!(platform.build_template(failed).await.is_err());
    let key = platform.api_key().to_owned();
    platform.shutdown().await.unwrap();

    let platform = builder.start().await.unwrap();
    assert_eq!(platform.api_key(), key);
    let client = ppio_agent_client::AgentRuntimeClient::builder()
        .base_url(platform.url())
        .domain(platform.domain())
        .api_key(key.as_str())
        .build()
        .unwrap();
    let api = client.platform();
    let names: Vec<_> = api.list_templates(None).await.unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|template| template.template_id.as_str())
        .collect();
    assert_eq!(names, ["base", &first.id], "failed builds are not listed");
    assert_eq!(
        api.resolve_alias("greeter").await.unwrap().template_id,
        first.id
    );
    api.assign_tags("greeter:v1", &["stable"]).await.unwrap();
    for (reference, version) in [
        ("greeter:v1", "v1\n"),
        ("greeter:v2", "v2\n"),
        ("greeter:stable", "v1\n"),
    ] {
        let sandbox = api
            .create_sandbox(&NewSandbox::new(reference, LIFE))
            .await
            .unwrap();
        let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
        assert_eq!(
            envd.read_file("/app/version").await.unwrap(),
            version,
            "{reference}"
        );
        api.kill_sandbox(&sandbox.sandbox_id).await.unwrap();
    }
    api.remove_tags("greeter", &["stable"]).await.unwrap();
    assert!(
        api.create_sandbox(&NewSandbox::new("greeter:stable", LIFE))
            .await
            .is_err()
    );
    assert!(api.delete_template(&first.id).await.unwrap());
    eventually_some("the files of a deleted template", async || {
        (!home.path().join("templates").join(&first.id).exists()).then_some(())
    })
    .await;
    platform.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_for_a_port_in_use_does_not_name_its_owner() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        let server = TemplateSpec::new("insisting")
            .binary(env!("CARGO_BIN_EXE_upgrading-server"))
            .start_command(format!("PPIO_AGENT_PORT={port} exec ./upgrading-server"));
        let template = platform.platform.build_template(server).await.unwrap();
        let client = platform.client();
        let api = client.platform();
        let new = NewSandbox::new(&template.id, LIFE);
        let ask = async |id: &str| {
            let host = format!("{port}-{id}.localhost");
            platform.request("GET", "/", &[("host", &host)], b"").await
        };

        // The port is still held by this test, outside of all sandboxes.
        let early = api.create_sandbox(&new).await.unwrap();
        let refused = ask(&early.sandbox_id).await;
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(refused.status, 502, "{message}");
        assert!(
            message.contains("a program outside all sandboxes"),
            "{message}"
        );
        assert!(api.kill_sandbox(&early.sandbox_id).await.unwrap());
        drop(free);

        let first = api.create_sandbox(&new).await.unwrap();
        assert_eq!(ask(&first.sandbox_id).await.status, 426, "{mode:?}");
        let second = api.create_sandbox(&new).await.unwrap();
        for _ in 0..2 {
            let refused = ask(&second.sandbox_id).await;
            assert_eq!(refused.status, 502);
            let refused = refused.json();
            let message = refused["message"].as_str().unwrap();
            assert!(message.contains("another sandbox"), "{mode:?}: {message}");
            let answer = refused.to_string();
            assert!(!answer.contains(&first.sandbox_id), "{mode:?}: {answer}");
            assert_eq!(refused["sandboxId"], second.sandbox_id);
        }
        let logs = api
            .sandbox_logs(&second.sandbox_id, &LogQuery::default())
            .await
            .unwrap();
        let conflicts = logs
            .iter()
            .filter(|entry| entry.message.contains("another sandbox"));
        assert_eq!(conflicts.count(), 1, "one entry per conflict: {logs:?}");
        let foreign = |entry: &&LogEntry| entry.message.contains(&first.sandbox_id);
        assert_eq!(logs.iter().find(foreign), None);

        // Killing the sandbox that holds the port, as the error suggests, frees the port.
        assert!(api.kill_sandbox(&first.sandbox_id).await.unwrap());
        assert!(api.kill_sandbox(&second.sandbox_id).await.unwrap());
        let third = api.create_sandbox(&new).await.unwrap();
        assert_eq!(ask(&third.sandbox_id).await.status, 426, "{mode:?}");
        assert!(api.kill_sandbox(&third.sandbox_id).await.unwrap());
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_not_answered_by_another_sandbox_on_the_same_port() {
    // Cgroups do not matter here.
    let all = IsolationMode::all().into_iter();
    for mode in all.filter(|mode| !mode.cgroups) {
        let platform = TestPlatform::start(mode).await;
        let spec =
            |name: &str, file: &str| TemplateSpec::new(name).binary(file).start_command("true");
        let echoing = spec("echoing", env!("CARGO_BIN_EXE_echoing-server"));
        let echoing = platform.platform.build_template(echoing).await.unwrap();
        let upgrading = spec("upgrading", env!("CARGO_BIN_EXE_upgrading-server"));
        let upgrading = platform.platform.build_template(upgrading).await.unwrap();
        let client = platform.client();
        let api = client.platform();
        let wanted = api
            .create_sandbox(&NewSandbox::new(&echoing.id, LIFE))
            .await
            .unwrap();
        let other = api
            .create_sandbox(&NewSandbox::new(&upgrading.id, LIFE))
            .await
            .unwrap();
        let daemon = |sandbox: &ppio_agent_client::platform::Sandbox| {
            client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref())
        };
        let (own, foreign) = (daemon(&wanted), daemon(&other));
        let port = own
            .start(&Command::shell("echo $PPIO_AGENT_PORT"))
            .await
            .unwrap();
        let port: u16 = port
            .output()
            .await
            .unwrap()
            .stdout_text()
            .trim()
            .parse()
            .unwrap();
        let ask = async || {
            let host = format!("8080-{}.localhost", wanted.sandbox_id);
            platform.request("GET", "/", &[("host", &host)], b"").await
        };

        // The sandbox `other` listens on the port first, and would answer every request that
        // reached the port. In the second round, the sandbox `wanted` has used the port before.
        for round in 0..2 {
            let line = format!("cd /app; PPIO_AGENT_PORT={port} exec ./upgrading-server");
            let taker = foreign.start(&Command::shell(&line)).await.unwrap();
            eventually_some("the other sandbox to listen", async || {
                std::net::TcpStream::connect(("127.0.0.1", port)).ok()
            })
            .await;
            let refused = ask().await;
            assert_eq!(refused.status, 502, "{mode:?} {round}: {refused:?}");
            let answer = String::from_utf8_lossy(&refused.body).into_owned();
            assert!(!answer.contains(&other.sandbox_id), "{mode:?}: {answer}");
            stop_process(&foreign, taker).await;

            // The server listens on IPv4 in the first round, and on IPv6 alone in the second.
            let address = ["127.0.0.1", "::1"][round];
            let line = format!("cd /app; PPIO_AGENT_HOST={address} exec ./echoing-server");
            let server = own.start(&Command::shell(&line)).await.unwrap();
            for _ in 0..3 {
                let answer = ask().await;
                assert_eq!(answer.status, 200, "{mode:?} {address}: {answer:?}");
            }
            if round == 1 {
                // The other sandbox holds the same port of the other address family.
                let line = format!("cd /app; PPIO_AGENT_PORT={port} exec ./upgrading-server");
                foreign.start(&Command::shell(&line)).await.unwrap();
                eventually_some("the other sandbox to listen", async || {
                    std::net::TcpStream::connect(("127.0.0.1", port)).ok()
                })
                .await;
                for _ in 0..3 {
                    let answer = ask().await;
                    assert_eq!(answer.status, 200, "{mode:?}: {answer:?}");
                }
            }
            stop_process(&own, server).await;
        }
        for sandbox in [&wanted, &other] {
            assert!(api.kill_sandbox(&sandbox.sandbox_id).await.unwrap());
        }
        platform.stop().await;
    }
}

async fn stop_process(envd: &Envd, mut process: ProcessEvents) {
    let Some(ProcessEvent::Started { pid }) = process.next().await.unwrap() else {
        panic!("the first event has the process id");
    };
    let process_id = ProcessSelector::Pid(pid);
    envd.send_signal(&process_id, Signal::Kill).await.unwrap();
    process.output().await.unwrap();
}

/// A server is found even if it has detached from its parents or begins to listen late.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_the_background_is_reached() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let server = TemplateSpec::new("echoing")
            .binary(env!("CARGO_BIN_EXE_echoing-server"))
            .start_command("(setsid ./echoing-server >/dev/null 2>&1 &); sleep 1000");
        let template = platform.platform.build_template(server).await.unwrap();
        let client = platform.client();
        let api = client.platform();
        let sandbox = api
            .create_sandbox(&NewSandbox::new(&template.id, LIFE))
            .await
            .unwrap();
        let host = format!("8080-{}.localhost", sandbox.sandbox_id);
        for _ in 0..3 {
            let answer = platform.request("GET", "/", &[("host", &host)], b"").await;
            assert_eq!(answer.status, 200, "{mode:?}: {answer:?}");
        }
        assert!(api.kill_sandbox(&sandbox.sandbox_id).await.unwrap());
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_a_server_started_by_an_ended_shell() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let spec = TemplateSpec::new("echoing")
            .binary(env!("CARGO_BIN_EXE_echoing-server"))
            .start_command("true");
        let template = platform.template(spec).await;
        let client = platform.client();
        let api = client.platform();
        let new = NewSandbox::new(&template, LIFE);
        let sandbox = api.create_sandbox(&new).await.unwrap();
        let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
        let line = "cd /app; (sleep 0.5; exec ./echoing-server) >/dev/null 2>&1 &";
        let shell = envd.start(&Command::shell(line)).await.unwrap();
        shell.output().await.unwrap();
        let host = format!("8080-{}.localhost", sandbox.sandbox_id);
        let answer = platform.request("GET", "/", &[("host", &host)], b"").await;
        assert_eq!(answer.status, 200, "{mode:?}: {answer:?}");
        assert!(api.kill_sandbox(&sandbox.sandbox_id).await.unwrap());
        platform.stop().await;
    }
}
