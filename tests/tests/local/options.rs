//! The options of sandboxes: each takes effect or is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ppio_sandbox_local::TemplateSpec;
use serde_json::{Value, json};

use crate::isolation_mode::IsolationMode;
use crate::raw_calls::{call, create, id, kill, shell, token};
use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_options_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    for (more, status, named) in [
        (json!({"secrets": {"KEY": "stored"}}), 501, "secrets"),
        (json!({"secretEnvs": {"KEY": "stored"}}), 501, "secrets"),
        (
            json!({"iam": {"tokens": {"aws": {"audience": "a", "tokenType": "b"}}}}),
            501,
            "iam",
        ),
        (
            json!({"network": {"denyOut": ["10.0.0.0/8"]}}),
            501,
            "denyOut",
        ),
        (
            json!({"network": {"denyOut": ["0.0.0.0/0"], "allowOut": ["1.1.1.1"]}}),
            501,
            "allowOut",
        ),
        (
            json!({"allow_internet_access": false, "network": {"allowOut": ["1.1.1.1"]}}),
            501,
            "allowOut",
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
async fn options_without_effect_are_accepted() {
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
async fn traffic_follows_the_network_option() {
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
    // The daemon requires its own token instead of the traffic token.
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
async fn unknown_users_and_directories_are_refused() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let sandbox = create(&platform, "base", json!({})).await;
        shell(&platform, &sandbox, "mkdir ~/work && ln -s work ~/link").await;
        let host = format!("49983-{}.localhost", id(&sandbox));
        let run = async |user: &str, cwd: Option<&str>| {
            let user = format!("Basic {}", STANDARD.encode(format!("{user}:")));
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
            ("user", Some("~")),
            ("user", Some("~/work")),
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
