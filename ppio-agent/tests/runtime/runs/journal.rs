//! Runs that are kept in a journal and can be read after a restart of the agent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::stream;
use ppio::{AgentRuntimeApp, ByteSize, Error, OnDisconnect, RuntimeConfig, Sse, Value, json};

use super::journal_kills::size;
use super::support::{Event, Scripted, end, items, parse, request, responding, streaming};
use crate::support::{Answer, TestServer, config, echo, get, invocation_with, with_timeout};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn with_journal(path: &Path) -> RuntimeConfig {
    config().journal(path).list_anonymous_runs(true)
}

/// Copies the files of a journal.
fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

/// The files of runs in a journal.
fn run_files(journal: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(journal).expect("a directory");
    let files = files.map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|it| it == "run"))
        .collect();
    files.sort();
    files
}

async fn stop(mut server: TestServer) {
    server.begin_shutdown();
    server.ended().await;
}

/// Everything that callers can read about a run.
async fn everything(server: &TestServer, id: &str, headers: &str) -> Vec<(u16, Vec<u8>)> {
    let mut answers = Vec::new();
    for path in ["", "/events", "/response"] {
        let path = format!("/invocations/{id}{path}");
        let answer: Answer = server.send(request("GET", &path, headers)).await;
        // The duration in a 404 is that of the request itself, so the bodies are not compared.
        let gone = answer.status == 404;
        let body = if gone {
            Vec::new()
        } else {
            answer.body.clone()
        };
        answers.push((answer.status, body));
    }
    answers
}

#[tokio::test]
async fn ended_runs_are_unchanged_after_a_restart() {
    let journal = directory();
    let session = "x-amzn-bedrock-agentcore-runtime-session-id: s\r\n";
    let key = "idempotency-key: k\r\nauthorization: a\r\n";
    let agent = Scripted::start(with_journal(journal.path())).await;
    let mut ids = Vec::new();
    for (body, headers, ending) in [
        (r#"{"stream": true}"#, "", "end"),
        (r#"{"stream": true}"#, session, "fail"),
        (r#"{"stream": true}"#, "", "cancel"),
        ("1", key, "end"),
        ("2", "", "fail"),
        ("3", "", "cancel"),
    ] {
        let headers = format!("{headers}prefer: respond-async\r\n");
        let answer = agent.server.send(invocation_with(&headers, body)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.header("x-request-id").unwrap().to_owned();
        let started = agent.started().await;
        let headers = headers.replace("prefer: respond-async\r\n", "");
        if body.contains("stream") {
            started.item(json!({"a": "\u{e9}\n"}));
            started.item(2);
        }
        match ending {
            "end" => started.end(),
            "fail" => drop(started.steps.send(super::support::Step::Fail)),
            _ => {
                let path = format!("/invocations/{id}");
                let stop = agent.server.send(request("DELETE", &path, &headers)).await;
                // The run is already cancelled when the caller gets the answer.
                assert_eq!(stop.json()["status"], "cancelled", "{}", stop.text());
            }
        }
        let events = format!("/invocations/{id}/events");
        let all = agent.server.send(request("GET", &events, &headers)).await;
        assert!(all.text().contains("event: end"), "{}", all.text());
        ids.push((id, headers));
    }
    let mut before = Vec::new();
    for (id, headers) in &ids {
        before.push(everything(&agent.server, id, headers).await);
    }
    let list = agent.server.send(get("/invocations")).await;
    stop(agent.server).await;

    // The agent is restarted twice, since the second restart reads what the first one left.
    for _ in 0..2 {
        let agent = Scripted::start(with_journal(journal.path())).await;
        assert_eq!(agent.server.send(get("/invocations")).await.body, list.body);
        for ((id, headers), before) in ids.iter().zip(&before) {
            let after = everything(&agent.server, id, headers).await;
            assert_eq!(&after, before, "{id}");
            assert_eq!(after[0].0, 200);
        }
        let other = session.replace(": s", ": t");
        let found = everything(&agent.server, &ids[1].0, &other).await;
        assert!(found.iter().all(|(status, _)| *status == 404));
        let again = agent.server.send(invocation_with(key, "1")).await;
        assert_eq!(again.header("ppio-idempotency"), Some("replayed"));
        assert_eq!(again.result(), Value::Null);
        assert_eq!(again.header("x-request-id"), Some(ids[3].0.as_str()));
        let reused = agent.server.send(invocation_with(key, "2")).await;
        reused.error(422, "IdempotencyKeyReused");
        assert_eq!(agent.calls(), 0);
        agent.server.assert_alive().await;
        stop(agent.server).await;
    }
}

#[tokio::test]
async fn a_user_response_is_replayed_after_a_restart() {
    let journal = directory();
    let app = || {
        AgentRuntimeApp::builder()
            .config(with_journal(journal.path()))
            .entrypoint(responding())
            .build()
    };
    let server = TestServer::start(app()).await;
    let key = "idempotency-key: k\r\n";
    let first = server.send(invocation_with(key, r#""parts""#)).await;
    assert_eq!((first.status, first.text()), (201, "one\n\ntwo"));
    stop(server).await;
    let server = TestServer::start(app()).await;
    let again = server.send(invocation_with(key, r#""parts""#)).await;
    assert_eq!(again.header("ppio-idempotency"), Some("replayed"));
    assert_eq!(again.header("content-type"), Some("text/x-own"));
    assert_eq!((again.status, again.text()), (201, "one\n\ntwo"));
    stop(server).await;
}

#[tokio::test]
async fn running_runs_are_interrupted_in_a_copy_of_the_journal() {
    let (journal, copied) = (directory(), directory());
    let agent = Scripted::start(with_journal(journal.path())).await;
    let id = agent.detach(r#"{"stream": true}"#).await;
    let value = agent.detach("1").await;
    let started = agent.started().await;
    let second = agent.started().await;
    let (stream, waiting) = if started.request.is_object() {
        (started, second)
    } else {
        (second, started)
    };
    stream.item(1);
    stream.item(2);
    agent.has_items(&id, 2).await;
    copy(journal.path(), copied.path());
    let other = Scripted::start(with_journal(copied.path())).await;
    let mut expected = items(1, [json!(1), json!(2)]);
    let kept = other.events(&id, 0).await;
    assert_eq!(kept[..2], expected);
    let Event::End(ended) = &kept[2] else {
        panic!("{kept:?}")
    };
    assert_eq!(ended["status"], "interrupted");
    assert_eq!(ended["error_type"], "AgentStopped");
    assert_eq!(other.events(&id, 1).await, kept[1..]);
    let path = format!("/invocations/{value}");
    let state = other.server.send(get(&path)).await.json();
    assert_eq!(state["status"], "interrupted");
    let response = other.server.send(get(&format!("{path}/response"))).await;
    response.error(500, "AgentStopped");
    other.server.assert_alive().await;
    stop(other.server).await;
    // The first agent continues.
    stream.end();
    waiting.end();
    expected.push(end("success", 2));
    assert_eq!(agent.events(&id, 0).await, expected);
}

#[tokio::test]
async fn incomplete_records_are_cut_off_and_foreign_files_are_ignored() {
    let (journal, copied) = (directory(), directory());
    let agent = Scripted::start(with_journal(journal.path())).await;
    let id = agent.detach(r#"{"stream": true}"#).await;
    let started = agent.started().await;
    for number in 1..=3 {
        started.item(number);
        agent.has_items(&id, number).await;
    }
    copy(journal.path(), copied.path());
    started.end();
    let [file] = &run_files(copied.path())[..] else {
        panic!("one file")
    };
    let whole = fs::read(file).unwrap();
    let all = items(1, [json!(1), json!(2), json!(3)]);
    let mut lengths = std::collections::BTreeSet::new();
    for length in 0..=whole.len() {
        fs::write(file, &whole[..length]).unwrap();
        let agent = Scripted::start(with_journal(copied.path())).await;
        let path = format!("/invocations/{id}/events");
        let answer = agent.server.send(get(&path)).await;
        if answer.status == 404 {
            assert!(!file.exists(), "{length}");
        } else {
            let mut kept = parse(answer.text());
            assert!(matches!(kept.pop(), Some(Event::End(end)) if end["status"] == "interrupted"));
            assert_eq!(kept, all[..kept.len()], "{length}");
            lengths.insert(kept.len());
        }
        let before = everything(&agent.server, &id, "").await;
        stop(agent.server).await;
        // The previous agent has written the end after the last complete record.
        let agent = Scripted::start(with_journal(copied.path())).await;
        let after = everything(&agent.server, &id, "").await;
        assert_eq!(after, before, "{length}");
        stop(agent.server).await;
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);

    // Nothing is kept from a changed byte on, and no item is changed.
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(file, damaged).unwrap();
        let agent = Scripted::start(with_journal(copied.path())).await;
        let path = format!("/invocations/{id}/events");
        let answer = agent.server.send(get(&path)).await;
        if answer.status != 404 {
            let mut kept = parse(answer.text());
            kept.pop();
            assert_eq!(kept, all[..kept.len()], "{at}");
        }
        stop(agent.server).await;
    }

    let foreign = copied.path().join("00000000000000ff-00000000.run");
    fs::write(&foreign, "no run").unwrap();
    let names = ["x", "a.run", "ffffffffffffffff-00000000.run", "\u{e9}"];
    for name in names {
        fs::write(copied.path().join(name), "x").unwrap();
    }
    fs::create_dir(copied.path().join("00000000000000fe-00000000.run")).unwrap();
    let link = copied.path().join("00000000000000fd-00000000.run");
    std::os::unix::fs::symlink(copied.path().join("key"), &link).unwrap();
    fs::write(copied.path().join("key"), "short").unwrap();
    fs::write(file, &whole).unwrap();
    let agent = Scripted::start(with_journal(copied.path())).await;
    assert_eq!(agent.events(&id, 0).await[..3], all);
    let next = agent.detach("1").await;
    agent.started().await.item(5);
    agent.has_status(&next, "success").await;
    stop(agent.server).await;
    assert!(foreign.exists() && link.is_symlink());
    assert!(names.iter().all(|name| copied.path().join(name).exists()));
}

#[tokio::test]
async fn an_unusable_journal_directory_is_an_error_at_start() {
    let journal = directory();
    let file = journal.path().join("file");
    fs::write(&file, "").unwrap();
    let used = journal.path().join("used");
    // The directory is created with its parents.
    let used = used.join("deep");
    let first = TestServer::start(echo(with_journal(&used))).await;
    for (path, reason) in [
        (&file, "exists"),
        (&file.join("below"), "directory"),
        (&used, "another process uses the directory"),
    ] {
        let app = echo(with_journal(path)).unwrap();
        let error = app.bind().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert!(error.contains("PPIO_AGENT_JOURNAL"), "{error}");
    }
    stop(first).await;
    stop(TestServer::start(echo(with_journal(&used))).await).await;
}

#[tokio::test]
async fn a_run_that_cannot_be_written_to_the_journal_is_not_started() {
    let journal = directory();
    let path = journal.path().join("journal");
    let agent = Scripted::start(with_journal(&path)).await;
    fs::remove_dir_all(&path).unwrap();
    let key = "idempotency-key: k\r\n";
    let refused = agent.server.send(invocation_with(key, "1")).await;
    let text = refused.error(503, "JournalError");
    assert!(text.contains("No such file"), "{text}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(agent.calls(), 0);
    // The key of the refused request is still unused, and a plain invocation needs no journal.
    fs::create_dir(&path).unwrap();
    let mut caller = agent.server.connect().await;
    caller.write(invocation_with(key, "1")).await;
    agent.started().await.item(7);
    assert_eq!(caller.answer().await.result(), 7);
    agent.server.assert_alive().await;
}

#[tokio::test]
async fn the_limits_of_runs_apply_to_the_journal_files() {
    let journal = directory();
    let max = 1 << 20;
    let start = |config: RuntimeConfig| {
        let app = AgentRuntimeApp::builder()
            .config(config.on_disconnect(OnDisconnect::Continue))
            .entrypoint(|count: u64| async move {
                Sse(stream::iter((1..=count).map(|number| {
                    Ok::<_, Error>(json!({ "number": number, "text": "x".repeat(80) }))
                })))
            })
            .build();
        TestServer::start(app)
    };
    let configured = || with_journal(journal.path()).max_run_size(ByteSize::new(max));
    let server = start(configured()).await;
    let mut reader = server.connect().await;
    let headers = "ppio-stream-ids: true\r\nx-request-id: long\r\n";
    reader.write(invocation_with(headers, "60000")).await;
    reader.head().await;
    let mut read = Vec::new();
    while let Some(chunk) = reader.chunk().await {
        read.extend(chunk);
        let size = size(journal.path());
        assert!(size <= max + 4096, "{size} bytes");
    }
    assert!(read.len() as u64 > 5 * max);
    let seen = parse(std::str::from_utf8(&read).unwrap());
    assert_eq!(seen.len(), 60_001);
    stop(server).await;

    // Items that were dropped are gone after a restart as well, and the rest is complete.
    let server = start(configured()).await;
    let events = "/invocations/long/events";
    server.send(get(events)).await.error(410, "Gone");
    let behind = request("GET", events, "last-event-id: 59000\r\n");
    let kept = parse(server.send(behind).await.text());
    assert_eq!(kept, seen[59_000..]);
    stop(server).await;

    // The files of runs over the limits are deleted, at start and later.
    let server = start(configured().max_runs(2)).await;
    for number in 0..5 {
        let id = format!("x-request-id: {number}\r\n");
        assert_eq!(server.send(invocation_with(&id, "1")).await.status, 200);
    }
    stop(server).await;
    assert_eq!(run_files(journal.path()).len(), 2);
    let server = start(configured().max_runs(1)).await;
    assert_eq!(run_files(journal.path()).len(), 1);
    let list = server.send(get("/invocations")).await.json();
    assert_eq!(list["invocations"][0]["id"], "4");
    stop(server).await;
    let server = start(configured().run_retention(Duration::from_millis(1))).await;
    with_timeout("the end of the retention", async {
        while !run_files(journal.path()).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stop(server).await;
}

#[tokio::test]
async fn only_kept_invocations_are_written_to_the_journal() {
    let journal = directory();
    let server = TestServer::start(echo(with_journal(journal.path()))).await;
    assert_eq!(server.invoke("1").await.result(), 1);
    let stream = streaming("ppio-on-disconnect: cancel\r\n");
    assert_eq!(server.send(stream).await.status, 200);
    // A request that is refused before the function is called is not kept either.
    let refused = invocation_with("idempotency-key: k\r\n", "{");
    assert_eq!(server.send(refused).await.status, 400);
    stop(server).await;
    assert_eq!(run_files(journal.path()), Vec::<std::path::PathBuf>::new());
}
