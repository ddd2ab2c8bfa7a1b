//! Options of sandboxes on the local platform: what is asked for is kept, or refused.

use std::time::SystemTime;

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ppio_agent_client::platform::{Command, Envd, SandboxAddress};
use ppio_sandbox_local::{IsolationKind, TemplateSpec};
use ppio_test_support::{RawAnswer, eventually_some, processes_marked};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Sends a request with a JSON body.
async fn call(platform: &TestPlatform, method: &str, path: &str, body: &Value) -> RawAnswer {
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    platform
        .request(method, path, &headers, body.as_bytes())
        .await
}

/// Creates a sandbox with these fields beside template and timeout.
async fn create(platform: &TestPlatform, template: &str, more: Value) -> Value {
    let mut body = json!({"templateID": template, "timeout": 300});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = call(platform, "POST", "/sandboxes", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn kill(platform: &TestPlatform, sandbox: &Value) {
    let path = format!("/sandboxes/{}", id(sandbox));
    assert_eq!(
        platform.request("DELETE", &path, &[], b"").await.status,
        204
    );
}

fn id(sandbox: &Value) -> &str {
    sandbox["sandboxID"].as_str().unwrap()
}

fn token(sandbox: &Value) -> &str {
    sandbox["envdAccessToken"].as_str().unwrap()
}

/// What a shell command in the sandbox printed.
async fn shell(platform: &TestPlatform, sandbox: &Value, line: &str) -> String {
    let client = platform.client();
    let address = SandboxAddress {
        sandbox_id: id(sandbox).to_owned(),
        domain: None,
    };
    let envd: Envd = client.envd(&address, Some(&token(sandbox).into()));
    let process = envd.start(&Command::shell(line)).await.unwrap();
    let output = process.output().await.unwrap();
    format!("{}{}", output.stdout_text(), output.stderr_text())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_ordered() {
    let platform = TestPlatform::with(|builder| builder).await;
    let spec = TemplateSpec::new("other").run("true");
    let other = platform.platform.build_template(spec).await.unwrap();
    let mut sandboxes = Vec::new();
    for template in ["base", &other.id, "base"] {
        let metadata = json!({"metadata": {"test": "list"}});
        sandboxes.push(create(&platform, template, metadata).await);
        // The next one starts in a later millisecond.
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let before = now().unwrap().as_millis();
        eventually_some("a millisecond", async || {
            (now().unwrap().as_millis() > before).then_some(())
        })
        .await;
    }
    let names: Vec<_> = sandboxes
        .iter()
        .map(|sandbox| id(sandbox).to_owned())
        .collect();
    let pause = format!("/sandboxes/{}/pause", names[2]);
    assert_eq!(
        call(&platform, "POST", &pause, &json!({})).await.status,
        204
    );
    let second = call(
        &platform,
        "GET",
        &format!("/sandboxes/{}", names[1]),
        &json!({}),
    )
    .await;
    let started = second.json()["startedAt"].as_str().unwrap().to_owned();
    let with_offset = started.replace('Z', "%2B00:00");

    for (query, expected, running) in [
        ("", &[2, 1, 0][..], Some(2)),
        ("order=desc", &[2, 1, 0], Some(2)),
        ("order=asc", &[0, 1, 2], Some(2)),
        ("state=paused", &[2], None),
        ("state=running&limit=1", &[1], Some(2)),
        ("template=other", &[1], Some(1)),
        (&format!("template={}", other.id), &[1], Some(1)),
        ("template=missing", &[], Some(0)),
        (&format!("startedAfter={started}"), &[2, 1], Some(1)),
        (
            &format!("order=asc&startedAfter={with_offset}"),
            &[1, 2],
            Some(1),
        ),
        ("startedAfter=2999-01-01T00:00:00Z", &[], Some(0)),
        ("metadata=test%3Dlist", &[2, 1, 0], Some(2)),
    ] {
        let answer = platform
            .request("GET", &format!("/v2/sandboxes?{query}"), &[], b"")
            .await;
        let listed = answer.json();
        let listed: Vec<_> = listed.as_array().unwrap().iter().map(id).collect();
        let expected: Vec<_> = expected.iter().map(|index| &names[*index]).collect();
        assert_eq!(listed, expected, "{query}");
        let header = running.map(|count| format!("x-total-running: {count}"));
        let found = answer
            .head
            .lines()
            .find(|line| line.starts_with("x-total-running"));
        assert_eq!(found, header.as_deref(), "{query}");
    }
    let answer = platform.request("GET", "/sandboxes", &[], b"").await.json();
    let listed: Vec<_> = answer.as_array().unwrap().iter().map(id).collect();
    assert_eq!(listed, [&names[1], &names[0]]);

    // Pages of one, in both orders.
    for (order, expected) in [("desc", [2, 1, 0]), ("asc", [0, 1, 2])] {
        let (mut next, mut seen) = (String::new(), Vec::new());
        loop {
            let path = format!("/v2/sandboxes?order={order}&limit=1&nextToken={next}");
            let answer = platform.request("GET", &path, &[], b"").await;
            seen.push(id(&answer.json()[0]).to_owned());
            let mut lines = answer.head.lines();
            match lines.find_map(|line| line.strip_prefix("x-next-token: ")) {
                Some(token) => token.clone_into(&mut next),
                None => break,
            }
        }
        assert_eq!(seen, expected.map(|index| names[index].clone()), "{order}");
    }
    for sandbox in &sandboxes {
        kill(&platform, sandbox).await;
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn list_parameters_that_mean_nothing_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    for query in [
        "order=newest",
        "state=asleep",
        "template=",
        "startedAfter=now",
        "startedAfter=1764028800",
        "metadata=test",
        "metadata=%3Dlist",
        "limit=0",
        "limit=many",
        "limit=101",
        "nextToken=x",
    ] {
        for path in ["/v2/sandboxes", "/sandboxes"] {
            let answer = platform
                .request("GET", &format!("{path}?{query}"), &[], b"")
                .await;
            assert_eq!(answer.status, 400, "{path} {query}: {answer:?}");
        }
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_supported_is_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    for (more, status, named) in [
        (json!({"secrets": {"KEY": "stored"}}), 501, "secrets"),
        (json!({"secretEnvs": {"KEY": "stored"}}), 501, "secrets"),
        (
            json!({"iam": {"tokens": {"aws": {"audience": "a", "tokenType": "b"}}}}),
            501,
            "iam",
        ),
        (json!({"allow_internet_access": false}), 501, "network"),
        (
            json!({"network": {"denyOut": ["10.0.0.0/8"]}}),
            501,
            "network",
        ),
        (
            json!({"network": {"egressProxy": {"url": "socks5://a"}}}),
            501,
            "egressProxy",
        ),
        (
            json!({"network": {"rules": {"a.example": []}}}),
            501,
            "rules",
        ),
        (
            json!({"network": {"maskRequestHost": "a b"}}),
            400,
            "maskRequestHost",
        ),
        (
            json!({"network": {"maskRequestHost": "http://a"}}),
            400,
            "maskRequestHost",
        ),
        (
            json!({"autoPause": true, "autoPauseMemory": false, "autoResume": {"enabled": true}}),
            400,
            "autoResume",
        ),
    ] {
        let mut body = json!({"templateID": "base"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = call(&platform, "POST", "/sandboxes", &body).await;
        let message = answer.json()["message"].to_string();
        assert_eq!(answer.status, status, "{more}: {message}");
        assert!(message.contains(named), "{more}: {message}");
    }
    let missing = json!({"templateID": "mcp-gateway"});
    assert_eq!(
        call(&platform, "POST", "/sandboxes", &missing).await.status,
        501
    );
    for (method, path) in [
        ("GET", "/events/sandboxes"),
        ("GET", "/events/sandboxes/iabc"),
        ("GET", "/sandboxes/iabc/events"),
        ("GET", "/events/webhooks"),
        ("GET", "/quota"),
        ("GET", "/teams/t/metrics"),
        ("POST", "/sandboxes/iabc/commit"),
        ("POST", "/templates/base/publish"),
        ("GET", "/mcp-gateway"),
        ("GET", "/volumes"),
        ("GET", "/secrets"),
    ] {
        let answer = call(&platform, method, path, &json!({})).await;
        assert_eq!(answer.status, 501, "{method} {path}: {answer:?}");
    }
    let publish = json!({"public": true});
    for path in ["/templates/base", "/v2/templates/base"] {
        assert_eq!(call(&platform, "PATCH", path, &publish).await.status, 501);
        assert_eq!(
            call(&platform, "PATCH", path, &json!({"public": false}))
                .await
                .status,
            200
        );
    }
    let templates = platform
        .request("GET", "/v2/templates?limit=1", &[], b"")
        .await;
    assert_eq!(templates.json()[0]["templateID"], "base");

    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_without_anything_to_keep_are_accepted() {
    let platform = TestPlatform::with(|builder| builder).await;
    let nothing = json!({
        "secrets": {}, "iam": {"tokens": {}}, "allow_internet_access": true, "mcp": {"server": {}},
        "network": {"allowOut": ["1.1.1.1"], "denyOut": [], "rules": {}, "egressProxy": null},
    });
    let sandbox = create(&platform, "base", nothing).await;
    assert_eq!(sandbox["trafficAccessToken"], Value::Null);
    let network = format!("/sandboxes/{}/network", id(&sandbox));
    for (body, status) in [
        (json!({}), 204),
        (json!({"allowOut": ["1.1.1.1"]}), 204),
        (json!({"denyOut": ["1.1.1.1"]}), 501),
        (json!({"allow_internet_access": false}), 501),
    ] {
        assert_eq!(
            call(&platform, "PUT", &network, &body).await.status,
            status,
            "{body}"
        );
    }
    let unknown = call(&platform, "PUT", "/sandboxes/iabc/network", &json!({})).await;
    assert_eq!(unknown.status, 404);
    kill(&platform, &sandbox).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_is_as_the_network_option_says() {
    let platform = TestPlatform::with(|builder| builder).await;
    let spec = TemplateSpec::new("echoing").binary(env!("CARGO_BIN_EXE_echoing-server"));
    let template = platform.platform.build_template(spec).await.unwrap();
    let network = json!({"network": {
        "allowPublicTraffic": false, "maskRequestHost": "own-${PORT}.example.com:${PORT}",
    }});
    let sandbox = create(&platform, &template.id, network).await;
    let token = sandbox["trafficAccessToken"].as_str().unwrap();
    let host = format!("8080-{}.localhost", id(&sandbox));

    let wrong = "0".repeat(token.len());
    for headers in [vec![], vec![("e2b-traffic-access-token", wrong.as_str())]] {
        let mut headers = headers;
        headers.push(("host", &host));
        let refused = platform.request("GET", "/", &headers, b"").await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    for name in [
        "E2B-Traffic-Access-Token",
        "ppio-traffic-access-token",
        "Novita-Traffic-Access-Token",
    ] {
        let headers = [("host", host.as_str()), (name, token), ("X-Case", "kept")];
        let answer =
            ppio_test_support::raw_request(platform.platform.address(), "GET", "/", &headers, b"")
                .await;
        let echoed = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(echoed.contains("own-8080.example.com:8080\r\n"), "{echoed}");
        assert!(echoed.contains("X-Case: kept"), "{echoed}");
        assert!(!echoed.contains(token), "{echoed}");
    }
    // The daemon has a token of its own.
    assert_eq!(shell(&platform, &sandbox, "echo works").await, "works\n");
    let listed = platform
        .request("GET", "/v2/sandboxes", &[], b"")
        .await
        .json();
    assert_eq!(listed[0].get("trafficAccessToken"), None);
    kill(&platform, &sandbox).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_without_memory_starts_the_template_again() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let spec = TemplateSpec::new("starting")
            .start_command("echo started >> ~/starts; exec sleep 1000")
            .ready_command("test -s ~/starts");
        let template = platform.platform.build_template(spec).await.unwrap();
        let options = json!({"autoPause": true, "autoPauseMemory": false});
        let sandbox = create(&platform, &template.id, options).await;
        let path = |call: &str| format!("/sandboxes/{}/{call}", id(&sandbox));
        let count = "grep -c started ~/starts";
        // The build's own trial leaves nothing.
        assert_eq!(shell(&platform, &sandbox, count).await, "1\n", "{mode:?}");
        shell(&platform, &sandbox, "echo kept > ~/file; sleep 1000 & echo").await;

        let boot = "cat /proc/sys/kernel/random/boot_id";
        let first_boot = shell(&platform, &sandbox, boot).await;
        let paused = call(&platform, "POST", &path("pause"), &json!({"memory": false})).await;
        assert_eq!(paused.status, 204, "{paused:?}");
        assert_eq!(
            processes_marked(platform.platform.home()),
            [0; 0],
            "{mode:?}"
        );
        let resumed = call(
            &platform,
            "POST",
            &path("connect"),
            &json!({"timeout": 300}),
        )
        .await;
        assert_eq!(resumed.status, 201, "{resumed:?}");
        assert_eq!(token(&resumed.json()), token(&sandbox));
        let line = format!("cat ~/file; {count}");
        assert_eq!(
            shell(&platform, &sandbox, &line).await,
            "kept\n2\n",
            "{mode:?}"
        );

        if mode.isolation == IsolationKind::Bubblewrap {
            assert_ne!(
                shell(&platform, &sandbox, boot).await,
                first_boot,
                "{mode:?}"
            );
        }

        // Its own timeout pauses it in the same way.
        let expired = call(&platform, "POST", &path("timeout"), &json!({"timeout": 0})).await;
        assert_eq!(expired.status, 204);
        eventually_some("the end of every process", async || {
            processes_marked(platform.platform.home())
                .is_empty()
                .then_some(())
        })
        .await;
        let host = format!("8080-{}.localhost", id(&sandbox));
        let traffic = platform.request("GET", "/", &[("host", &host)], b"").await;
        assert_eq!(traffic.status, 502, "traffic does not resume it");
        let resumed = call(&platform, "POST", &path("resume"), &json!({"timeout": 300})).await;
        assert_eq!(resumed.status, 201, "{resumed:?}");
        assert_eq!(shell(&platform, &sandbox, count).await, "3\n", "{mode:?}");

        // With memory, processes go on.
        let paused = call(&platform, "POST", &path("pause"), &json!({"memory": true})).await;
        assert_eq!(paused.status, 204, "{paused:?}");
        call(
            &platform,
            "POST",
            &path("connect"),
            &json!({"timeout": 300}),
        )
        .await;
        assert_eq!(shell(&platform, &sandbox, count).await, "3\n", "{mode:?}");
        kill(&platform, &sandbox).await;
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_forks_have_the_files_and_start_again() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let spec = TemplateSpec::new("starting")
            .start_command("echo started >> ~/starts; exec sleep 1000")
            .ready_command("test -s ~/starts");
        let template = platform.platform.build_template(spec).await.unwrap();
        let options = json!({"envVars": {"KIND": "own"}, "metadata": {"of": "fork"}});
        let sandbox = create(&platform, &template.id, options).await;
        shell(
            &platform,
            &sandbox,
            "echo kept > ~/file; ln -s /etc/passwd ~/link; mkfifo ~/pipe",
        )
        .await;
        let look = "cat ~/file; grep -c started ~/starts; echo $KIND; readlink ~/link";
        let expected = "kept\n2\nown\n/etc/passwd\n";

        let fork = format!("/sandboxes/{}/fork", id(&sandbox));
        let forks = call(
            &platform,
            "POST",
            &fork,
            &json!({"count": 2, "timeout": 300}),
        )
        .await;
        assert_eq!(forks.status, 201, "{mode:?}: {forks:?}");
        let forks: Vec<Value> = serde_json::from_slice(&forks.body).unwrap();
        let forks: Vec<_> = forks.iter().map(|fork| &fork["sandbox"]).collect();
        assert_eq!(forks.len(), 2);
        for fork in &forks {
            assert_ne!(id(fork), id(&sandbox));
            assert_eq!(shell(&platform, fork, look).await, expected, "{mode:?}");
            shell(&platform, fork, "echo changed > ~/file").await;
        }
        let query = "/v2/sandboxes?metadata=of%3Dfork";
        let listed = platform.request("GET", query, &[], b"").await.json();
        assert_eq!(listed.as_array().unwrap().len(), 3);
        // The original goes on.
        let own = shell(&platform, &sandbox, "cat ~/file; grep -c started ~/starts").await;
        assert_eq!(own, "kept\n1\n", "{mode:?}");

        let snapshots = format!("/sandboxes/{}/snapshots", id(&sandbox));
        let unnamed = call(&platform, "POST", &snapshots, &json!({})).await;
        assert_eq!(unnamed.status, 201, "{mode:?}: {unnamed:?}");
        // Of a paused one, too.
        let pause = format!("/sandboxes/{}/pause", id(&sandbox));
        assert_eq!(
            call(&platform, "POST", &pause, &json!({})).await.status,
            204
        );
        let named = call(&platform, "POST", &snapshots, &json!({"name": "state:v1"})).await;
        assert_eq!(named.status, 201, "{mode:?}: {named:?}");
        kill(&platform, &sandbox).await;
        let snapshot_id =
            |answer: &RawAnswer| answer.json()["snapshotID"].as_str().unwrap().to_owned();
        for reference in [
            snapshot_id(&unnamed),
            snapshot_id(&named),
            "state:v1".to_owned(),
        ] {
            let copy = create(&platform, &reference, json!({})).await;
            assert_eq!(
                shell(&platform, &copy, look).await,
                expected,
                "{mode:?} {reference}"
            );
            kill(&platform, &copy).await;
        }
        for (query, count) in [
            (String::new(), 2),
            ("name=state".to_owned(), 1),
            ("name=state:v1".to_owned(), 1),
            ("name=state:v2".to_owned(), 0),
            ("name=other".to_owned(), 0),
            (format!("sandboxID={}", id(&sandbox)), 2),
            ("sandboxID=iabc".to_owned(), 0),
            ("limit=1".to_owned(), 1),
            ("limit=1&nextToken=1".to_owned(), 1),
            ("limit=1&nextToken=2".to_owned(), 0),
        ] {
            let listed = platform
                .request("GET", &format!("/snapshots?{query}"), &[], b"")
                .await;
            assert_eq!(listed.json().as_array().unwrap().len(), count, "{query}");
        }
        let templates = platform.request("GET", "/templates", &[], b"").await.json();
        assert_eq!(templates.as_array().unwrap().len(), 2, "{templates}");
        let path = format!("/templates/{}", snapshot_id(&unnamed));
        for status in [204, 404] {
            let deleted = platform.request("DELETE", &path, &[], b"").await;
            assert_eq!(deleted.status, status);
        }
        for path in [&fork, &snapshots] {
            let gone = call(&platform, "POST", path, &json!({})).await;
            assert_eq!(gone.status, 404, "{path}");
        }
        bad_copies_are_refused(&platform, forks[0]).await;
        for fork in forks {
            kill(&platform, fork).await;
        }
        platform.stop().await;
    }
}

async fn bad_copies_are_refused(platform: &TestPlatform, sandbox: &Value) {
    for (name, body, status) in [
        ("fork", json!({"count": 0}), 400),
        ("fork", json!({"count": 101}), 400),
        ("snapshots", json!({"name": "starting"}), 409),
        ("snapshots", json!({"name": "no name"}), 400),
    ] {
        let path = format!("/sandboxes/{}/{name}", id(sandbox));
        let answer = call(platform, "POST", &path, &body).await;
        assert_eq!(answer.status, status, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_links_lead_to_their_sandbox_by_themselves() {
    let platform = TestPlatform::with(|builder| builder).await;
    let (other, sandbox) = (
        create(&platform, "base", json!({})).await,
        create(&platform, "base", json!({})).await,
    );
    shell(&platform, &other, "echo other > ~/file").await;
    shell(&platform, &sandbox, "echo wanted > ~/file").await;
    let link = |text: &str, more: &str| {
        let digest = Sha256::digest(text.as_bytes());
        let signature = STANDARD_NO_PAD.encode(digest).replace('+', "%2B");
        format!("/files?path=file&username=user&signature=v1_{signature}{more}")
    };
    let secret = token(&sandbox);
    let good = link(&format!("file:read:user:{secret}"), "");
    let read = platform.request_without_key("GET", &good, &[], b"").await;
    assert_eq!((read.status, &*read.body), (200, &b"wanted\n"[..]));
    let end = 4_000_000_000_u64;
    let text = format!("file:read:user:{secret}:{end}");
    let timed = link(&text, &format!("&signature_expiration={end}"));
    assert_eq!(
        platform
            .request_without_key("GET", &timed, &[], b"")
            .await
            .status,
        200
    );

    let text = format!("file:read:user:{secret}:5");
    let expired = link(&text, "&signature_expiration=5");
    let forged = link("file:read:user:guess", "");
    for (path, message) in [(&expired, "expired"), (&forged, "signature")] {
        let refused = platform.request_without_key("GET", path, &[], b"").await;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(
            refused.json()["message"]
                .as_str()
                .unwrap()
                .contains(message),
            "{refused:?}"
        );
    }
    // A link to read is none to write.
    assert_eq!(
        platform
            .request_without_key("POST", &good, &[], b"x")
            .await
            .status,
        401
    );
    for sandbox in [&other, &sandbox] {
        kill(&platform, sandbox).await;
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_users_and_directories_are_refused() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let sandbox = create(&platform, "base", json!({})).await;
        shell(&platform, &sandbox, "mkdir ~/work && ln -s work ~/link").await;
        let host = format!("49983-{}.localhost", id(&sandbox));
        let run = async |user: &str, cwd: Option<&str>| {
            let user = format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:"))
            );
            let process = json!({"process": {"cmd": "pwd", "args": [], "cwd": cwd}});
            let process = process.to_string();
            let mut body = vec![0];
            body.extend(u32::try_from(process.len()).unwrap().to_be_bytes());
            body.extend(process.as_bytes());
            let headers = [
                ("host", host.as_str()),
                ("x-access-token", token(&sandbox)),
                ("authorization", &user),
                ("content-type", "application/connect+json"),
            ];
            let path = "/process.Process/Start";
            let answer = platform.request("POST", path, &headers, &body).await;
            String::from_utf8_lossy(&answer.body).into_owned()
        };
        for (user, cwd) in [
            ("user", None),
            ("", None),
            ("root", None),
            ("user", Some("/home/user/work")),
            ("user", Some("work")),
            ("user", Some("/home/user/link")),
            ("user", Some("/usr/bin")),
            ("user", Some("")),
        ] {
            let answer = run(user, cwd).await;
            assert!(
                answer.contains("exit status 0"),
                "{mode:?} {user} {cwd:?}: {answer}"
            );
        }
        for (user, cwd, expected) in [
            ("ada", None, "invalid username: 'ada'"),
            ("nobody", None, "invalid username: 'nobody'"),
            (
                "user",
                Some("/home/user/missing"),
                "cwd '/home/user/missing' does not exist",
            ),
            (
                "user",
                Some("missing"),
                "cwd '/home/user/missing' does not exist",
            ),
            (
                "user",
                Some("/usr/bin/env"),
                "cwd '/usr/bin/env' does not exist",
            ),
        ] {
            let answer = run(user, cwd).await;
            assert!(
                answer.contains(expected),
                "{mode:?} {user} {cwd:?}: {answer}"
            );
        }
        let headers = [("host", host.as_str()), ("x-access-token", token(&sandbox))];
        let path = "/files?path=file&username=ada";
        let upload = platform.request("POST", path, &headers, b"x").await;
        assert_eq!(upload.status, 401, "{upload:?}");
        kill(&platform, &sandbox).await;
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_family_of_addresses_are_reached() {
    for mode in IsolationMode::all()
        .into_iter()
        .filter(|mode| !mode.cgroups)
    {
        let platform = TestPlatform::start(mode).await;
        let spec = TemplateSpec::new("echoing")
            .binary(env!("CARGO_BIN_EXE_echoing-server"))
            .start_command("true");
        let template = platform.platform.build_template(spec).await.unwrap();
        let sandbox = create(&platform, &template.id, json!({})).await;
        for address in ["::1", "127.0.0.1", "::", "0.0.0.0"] {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let line = format!(
                "cd /app; PPIO_AGENT_HOST={address} PPIO_AGENT_PORT={port} ./echoing-server >/dev/null 2>&1 & echo"
            );
            shell(&platform, &sandbox, &line).await;
            let dialled = match address {
                "::" => "::1",
                "0.0.0.0" => "127.0.0.1",
                loopback => loopback,
            };
            eventually_some("the server to listen", async || {
                std::net::TcpStream::connect((dialled, port)).ok()
            })
            .await;
            let host = format!("{port}-{}.localhost", id(&sandbox));
            let answer = platform.request("GET", "/", &[("host", &host)], b"").await;
            assert_eq!(answer.status, 200, "{mode:?} {address}: {answer:?}");
        }
        kill(&platform, &sandbox).await;
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_command_that_ends_is_an_error_at_once() {
    let platform = TestPlatform::with(|builder| builder).await;
    let build = async |name: &str, start: &str, ready: &str| {
        let spec = TemplateSpec::new(name)
            .start_command(start)
            .ready_command(ready);
        platform.platform.build_template(spec).await
    };
    for (name, start, expected) in [
        ("failing", "echo the reason; exit 3", "exit status: 3"),
        ("killed", "echo the reason; kill -9 $$", "signal: 9"),
        ("ending", "echo the reason", "exit status: 0"),
    ] {
        let error = build(name, start, "test -e /tmp/never")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected) && error.contains("the reason"),
            "{name}: {error}"
        );
    }
    // One that leaves a program behind has not ended.
    build(
        "forking",
        "(until test -e /tmp/looked; do sleep 0.01; done; touch /tmp/up; exec sleep 1000) >/dev/null 2>&1 &",
        "touch /tmp/looked; test -e /tmp/up",
    )
    .await
    .unwrap();

    let start = "if test -n \"$FAIL\"; then echo \"broken: $FAIL\"; exit 4; fi; touch /tmp/up; exec sleep 1000";
    let template = build("variable", start, "test -e /tmp/up").await.unwrap();
    let body = json!({"templateID": template.id, "envVars": {"FAIL": "yes"}});
    let answer = call(&platform, "POST", "/sandboxes", &body).await;
    let message = answer.json()["message"].to_string();
    assert_eq!(answer.status, 500, "{message}");
    assert!(
        message.contains("exit status: 4") && message.contains("broken: yes"),
        "{message}"
    );
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_says_why_in_its_status_line() {
    let platform = TestPlatform::with(|builder| builder).await;
    let new = json!({"name": "uploads"});
    let template = call(&platform, "POST", "/v3/templates", &new).await.json();
    let path = format!(
        "/templates/{}/files/abc",
        template["templateID"].as_str().unwrap()
    );
    let link = platform.request("GET", &path, &[], b"").await.json();
    let url = link["url"].as_str().unwrap();
    let path = &url[url.find("/uploads/").unwrap()..];
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    archive
        .append_link(&mut header, "hard", "/etc/passwd")
        .unwrap();
    let archive = archive.into_inner().unwrap();
    let refused = platform.request("PUT", path, &[], &archive).await;
    assert_eq!(refused.status, 400);
    let first = refused.head.lines().next().unwrap();
    assert!(first.contains("\"hard\""), "{first}");
    platform.stop().await;
}
