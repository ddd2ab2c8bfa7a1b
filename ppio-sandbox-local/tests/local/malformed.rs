//! Invalid or hostile requests to the local platform are answered with a 4xx and the reason.

#![allow(clippy::too_many_lines, reason = "tables of requests")]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use ppio_sandbox_local::IsolationKind;
use ppio_test_support::RawAnswer;
use serde_json::{Value, json};
use tar::EntryType;

use crate::test_platform::TestPlatform;

const MISSING: &str = "i0000000000000000000";

/// Checks that a refusal has this status and a text.
fn refused(answer: &RawAnswer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    let body = answer.json();
    assert_eq!(body["code"], status, "{what}: {answer:?}");
    assert!(
        body["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{what}: {answer:?}"
    );
}

async fn check(platform: &TestPlatform, method: &str, path: &str, body: &[u8], status: u16) {
    let answer = platform.request(method, path, &[], body).await;
    let shown: String = String::from_utf8_lossy(body).chars().take(80).collect();
    let place: String = path.chars().take(80).collect();
    refused(&answer, status, &format!("{method} {place} {shown}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_refuses() {
    let platform = TestPlatform::with(|builder| builder).await;
    let long = "x".repeat(20_000);

    for body in [
        "{",
        "[]",
        "\"text\"",
        "null",
        "nonsense",
        "{\"templateID\": 5}",
        "{}",
        r#"{"templateID": "base", "timeout": -1}"#,
        r#"{"templateID": "base", "timeout": 1e99}"#,
        r#"{"templateID": "base", "timeout": 100000000}"#,
        r#"{"templateID": "base", "metadata": {"a": 1}}"#,
        r#"{"templateID": "base", "envVars": {"A=B": "c"}}"#,
        r#"{"templateID": "base", "envVars": {"": "c"}}"#,
        r#"{"templateID": "base", "envVars": {"a": "\u0000"}}"#,
        r#"{"templateID": "base", "autoPause": "yes"}"#,
    ] {
        check(&platform, "POST", "/sandboxes", body.as_bytes(), 400).await;
    }
    check(
        &platform,
        "POST",
        "/sandboxes",
        b"{\"templateID\": \"\xff\"}",
        400,
    )
    .await;
    check(
        &platform,
        "POST",
        "/sandboxes",
        "[".repeat(100_000).as_bytes(),
        400,
    )
    .await;
    check(
        &platform,
        "POST",
        "/sandboxes",
        &vec![b' '; 5 * 1024 * 1024],
        413,
    )
    .await;
    for field in ["metadata", "envVars"] {
        let body = json!({"templateID": "base", field: {"a": "x".repeat(200_000)}});
        check(
            &platform,
            "POST",
            "/sandboxes",
            body.to_string().as_bytes(),
            400,
        )
        .await;
    }
    for template in ["nothing", "base:nothing", "../base", "", &long] {
        let body = json!({ "templateID": template }).to_string();
        check(&platform, "POST", "/sandboxes", body.as_bytes(), 404).await;
    }

    for id in [MISSING, "..%2f..%2fetc", "%00", &long] {
        for (method, call, body) in [
            ("GET", "", ""),
            ("DELETE", "", ""),
            ("POST", "/timeout", r#"{"timeout": 5}"#),
            ("POST", "/refreshes", "{}"),
            ("POST", "/pause", ""),
            ("POST", "/resume", "{}"),
            ("POST", "/connect", r#"{"timeout": 5}"#),
            ("GET", "/logs", ""),
            ("GET", "/metrics", ""),
        ] {
            let path = format!("/sandboxes/{id}{call}");
            check(&platform, method, &path, body.as_bytes(), 404).await;
        }
        check(
            &platform,
            "GET",
            &format!("/v2/sandboxes/{id}/logs"),
            b"",
            404,
        )
        .await;
        check(&platform, "GET", &format!("/templates/{id}"), b"", 404).await;
        check(&platform, "DELETE", &format!("/templates/{id}"), b"", 404).await;
        check(
            &platform,
            "GET",
            &format!("/templates/aliases/{id}"),
            b"",
            404,
        )
        .await;
        check(&platform, "GET", &format!("/templates/{id}/tags"), b"", 404).await;
        let build = format!("/templates/{id}/builds/{MISSING}/status");
        check(&platform, "GET", &build, b"", 404).await;
    }
    check(&platform, "GET", "/sandboxes/%ff", b"", 400).await;

    for query in [
        "state=asleep",
        "limit=0",
        "limit=x",
        "limit=101",
        "nextToken=x",
    ] {
        check(
            &platform,
            "GET",
            &format!("/v2/sandboxes?{query}"),
            b"",
            400,
        )
        .await;
    }
    check(&platform, "GET", "/templates?metadata=maybe", b"", 400).await;

    check(&platform, "GET", "/nowhere", b"", 404).await;
    check(&platform, "PATCH", "/sandboxes", b"", 405).await;
    check(&platform, "DELETE", "/templates/base", b"", 403).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_the_api_key_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    for headers in [
        &[][..],
        &[("x-api-key", "e2b_0123456789abcdef")],
        &[("authorization", "Bearer other")],
        &[("authorization", "Basic other")],
        &[("x-api-key", "")],
    ] {
        for (method, path) in [
            ("GET", "/v2/sandboxes"),
            ("POST", "/sandboxes"),
            ("GET", "/templates"),
            ("DELETE", "/templates/base"),
        ] {
            let answer = platform
                .request_without_key(method, path, headers, b"{}")
                .await;
            refused(&answer, 401, &format!("{method} {path} {headers:?}"));
        }
    }
    let key = format!("bEaReR {}", platform.platform.api_key());
    let headers = [("authorization", key.as_str())];
    let answer = platform
        .request_without_key("GET", "/templates", &headers, b"")
        .await;
    assert_eq!(answer.status, 200);

    // A request with another sandbox's token, or with none, is refused.
    let mut sandboxes = Vec::new();
    for _ in 0..2 {
        let body = br#"{"templateID": "base", "secure": true, "timeout": 60}"#;
        sandboxes.push(
            platform
                .request("POST", "/sandboxes", &[], body)
                .await
                .json(),
        );
    }
    let id = sandboxes[0]["sandboxID"].as_str().unwrap();
    let routed = ("e2b-sandbox-id", id);
    let foreign = (
        "x-access-token",
        sandboxes[1]["envdAccessToken"].as_str().unwrap(),
    );
    for headers in [&[routed][..], &[routed, foreign]] {
        let answer = platform
            .request_without_key("GET", "/files?path=x", headers, b"")
            .await;
        refused(&answer, 401, &format!("{headers:?}"));
    }
    kill(&platform, &sandboxes).await;
    platform.stop().await;
}

async fn kill(platform: &TestPlatform, sandboxes: &[Value]) {
    for sandbox in sandboxes {
        let path = format!("/sandboxes/{}", sandbox["sandboxID"].as_str().unwrap());
        assert_eq!(
            platform.request("DELETE", &path, &[], b"").await.status,
            204
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_refuse() {
    let platform = TestPlatform::with(|builder| builder).await;
    let long = "x".repeat(200);
    for name in ["", "../x", "a b", ":v1", "a:", "a:b:c", "/x", &long] {
        let body = json!({ "name": name }).to_string();
        check(&platform, "POST", "/v3/templates", body.as_bytes(), 400).await;
    }
    for body in [
        json!({"name": "x", "cpuCount": 0}),
        json!({"name": "x", "memoryMB": 1_000_000_000}),
        json!({"name": "x", "tags": ["../y"]}),
        json!({"name": 5}),
    ] {
        check(
            &platform,
            "POST",
            "/v3/templates",
            body.to_string().as_bytes(),
            400,
        )
        .await;
    }

    let new = platform
        .request("POST", "/v3/templates", &[], br#"{"name": "x"}"#)
        .await;
    assert_eq!(new.status, 202);
    let new = new.json();
    let (template, build) = (
        new["templateID"].as_str().unwrap(),
        new["buildID"].as_str().unwrap(),
    );
    let path = format!("/v2/templates/{template}/builds/{build}");
    for steps in [
        json!([{"type": "DANCE", "args": []}]),
        json!([{"type": "RUN", "args": []}]),
        json!([{"type": "RUN", "args": ["a\u{0}b"]}]),
        json!([{"type": "COPY", "args": ["a"]}]),
        json!([{"type": "COPY", "args": ["a", "b"]}]),
        json!([{"type": "COPY", "args": ["a", "b"], "filesHash": "../../key"}]),
        json!([{"type": "COPY", "args": ["a", "b", "", "99999"], "filesHash": "abc"}]),
        json!([{"type": "COPY", "args": ["a", "b", "", "4755"], "filesHash": "abc"}]),
        json!([{"type": "COPY", "args": ["../../../etc/passwd", "b"], "filesHash": "abc"}]),
        json!([{"type": "COPY", "args": ["a/../../b", "b"], "filesHash": "abc"}]),
        json!([{"type": "COPY", "args": ["/../etc", "b"], "filesHash": "abc"}]),
        json!([{"type": "ENV", "args": ["a"]}]),
        json!([{"type": "ENV", "args": ["a=b", "c"]}]),
        json!([{"type": "USER", "args": ["../../root"]}]),
        json!([{"type": "WORKDIR", "args": []}]),
        json!("none"),
    ] {
        let body = json!({ "steps": steps }).to_string();
        check(&platform, "POST", &path, body.as_bytes(), 400).await;
    }
    let other = format!("/v2/templates/{template}/builds/{MISSING}");
    check(&platform, "POST", &other, b"{}", 404).await;
    let files = format!("/templates/{template}/files/..%2f..%2fkey");
    check(&platform, "GET", &files, b"", 400).await;
    // The template is not built yet.
    let body = json!({ "templateID": template }).to_string();
    check(&platform, "POST", "/sandboxes", body.as_bytes(), 409).await;
    for body in [
        json!({"target": "x", "tags": []}),
        json!({"target": "x", "tags": ["a b"]}),
        json!({"tags": ["a"]}),
    ] {
        check(
            &platform,
            "POST",
            "/templates/tags",
            body.to_string().as_bytes(),
            400,
        )
        .await;
    }
    let body = json!({"target": "x:none", "tags": ["a"]}).to_string();
    check(&platform, "POST", "/templates/tags", body.as_bytes(), 404).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_malicious_archives_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    let new = platform
        .request("POST", "/v3/templates", &[], br#"{"name": "x"}"#)
        .await
        .json();
    let template = new["templateID"].as_str().unwrap();
    let zeros = vec![0; 80 * 1024 * 1024];
    for (archive, status) in [
        (b"not an archive".to_vec(), 400),
        (b"\x1f\x8bnot gzip either".to_vec(), 400),
        (archive("../evil", EntryType::Regular, "", b"x"), 400),
        (archive("/etc/evil", EntryType::Regular, "", b"x"), 400),
        (archive("hard", EntryType::Link, "/etc/passwd", b""), 400),
        (archive("device", EntryType::Char, "", b""), 400),
        (archive("hard", EntryType::Link, "../../key", b""), 400),
        (archive("bomb", EntryType::Regular, "", &zeros), 413),
    ] {
        let path = format!("/templates/{template}/files/abc");
        let place = upload_path(&platform, &path).await;
        check(&platform, "PUT", &place, &archive, status).await;
        assert_eq!(
            platform.request("GET", &path, &[], b"").await.json()["present"],
            false
        );
    }
    // Links point to files of the sandbox, whatever their target. None is followed on this machine.
    for (hash, target) in [
        ("absolute", "/etc"),
        ("up", "../../etc"),
        ("far", "b/../../.."),
    ] {
        let path = format!("/templates/{template}/files/{hash}");
        let place = upload_path(&platform, &path).await;
        let link = archive("a/link", EntryType::Symlink, target, b"");
        let stored = platform.request("PUT", &place, &[], &link).await;
        assert_eq!(stored.status, 200, "{target}: {stored:?}");
    }
    check(&platform, "PUT", "/uploads/none", b"", 403).await;
    check(&platform, "PUT", "/uploads/..%2f..%2fkey", b"", 403).await;
    platform.stop().await;
}

/// Returns the path of the link to upload the files that `path` names.
async fn upload_path(platform: &TestPlatform, path: &str) -> String {
    let link = platform.request("GET", path, &[], b"").await;
    assert_eq!(link.status, 201);
    let url = link.json()["url"].as_str().unwrap().to_owned();
    let (_, place) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    format!("/{place}")
}

/// Returns a tar.gz with one entry, which may have a path that the library refuses to write.
fn archive(path: &str, kind: EntryType, link: &str, data: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(data.len() as u64);
    header.set_cksum();
    builder.append(&header, data).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_refuses_paths_outside_the_sandbox() {
    let platform = TestPlatform::with(|builder| builder).await;
    let body = br#"{"templateID": "base", "timeout": 60}"#;
    let sandbox = platform
        .request("POST", "/sandboxes", &[], body)
        .await
        .json();
    let id = sandbox["sandboxID"].as_str().unwrap();
    let routed = ("e2b-sandbox-id", id);
    let token = (
        "x-access-token",
        sandbox["envdAccessToken"].as_str().unwrap(),
    );
    let call = |method: &'static str,
                path: String,
                headers: Vec<(&'static str, &'static str)>,
                body: Vec<u8>| {
        let (platform, mut all) = (&platform, vec![routed, token]);
        all.extend(headers);
        async move { platform.request(method, &path, &all, &body).await }
    };

    // Links in the sandbox are followed as the sandbox would follow them.
    let unary = vec![("content-type", "application/json")];
    let links = "ln -s /etc/passwd ~/file; ln -s / ~/directory; ln -s ../../../../../../etc ~/climb; ln -s loop ~/loop";
    let start = json!({"process": {"cmd": "/bin/sh", "args": ["-c", links]}}).to_string();
    let mut envelope = vec![0];
    envelope.extend(u32::try_from(start.len()).unwrap().to_be_bytes());
    envelope.write_all(start.as_bytes()).unwrap();
    let streaming = vec![("content-type", "application/connect+json")];
    let answer = call(
        "POST",
        "/process.Process/Start".into(),
        streaming.clone(),
        envelope,
    )
    .await;
    assert!(
        String::from_utf8_lossy(&answer.body).contains("\"exitCode\":0"),
        "{answer:?}"
    );
    let machine = std::fs::read("/etc/passwd").unwrap();
    for path in [
        "../../../../../../etc/passwd",
        "/../../etc/passwd",
        "file",
        "directory/etc/passwd",
        "climb/passwd",
        "/proc/1/root/etc/passwd",
    ] {
        let answer = call("GET", format!("/files?path={path}"), vec![], vec![]).await;
        // The sandbox has its own list of accounts; without namespaces it has none.
        let is_own = answer.status == 200 && answer.body != machine;
        assert!(
            is_own || [400, 403].contains(&answer.status),
            "{path}: {answer:?}"
        );
    }
    for path in ["missing", "directory/home/other", "/proc/self/environ"] {
        let answer = call("GET", format!("/files?path={path}"), vec![], vec![]).await;
        if platform.platform.isolation() == IsolationKind::Bubblewrap || !path.starts_with("/proc")
        {
            refused(&answer, 404, path);
        } else {
            refused(&answer, 400, path);
            continue;
        }
        let answer = call(
            "POST",
            "/filesystem.Filesystem/ListDir".into(),
            unary.clone(),
            json!({ "path": path }).to_string().into(),
        )
        .await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.json()["code"], "not_found");
    }
    let answer = call(
        "POST",
        "/files?path=climb/written".into(),
        vec![],
        b"inside".to_vec(),
    )
    .await;
    assert!([400, 403].contains(&answer.status), "{answer:?}");
    assert!(!std::path::Path::new("/etc/written").exists());

    let long = "x".repeat(300);
    let deep = "x/".repeat(3000);
    for (path, body) in [
        ("", ""),
        ("?path=", ""),
        ("?path=a%00b", ""),
        ("?path=loop/x", ""),
        ("?path=/", ""),
        (&format!("?path={long}"), ""),
        (&format!("?path={deep}"), ""),
    ] {
        for method in ["GET", "POST"] {
            let answer = call(method, format!("/files{path}"), vec![], body.into()).await;
            refused(
                &answer,
                400,
                &format!("{method} {}", &path[..path.len().min(40)]),
            );
        }
    }
    for (headers, status) in [
        (vec![("content-encoding", "gzip")], 400),
        (vec![("content-encoding", "br")], 415),
        (vec![("content-type", "multipart/form-data")], 400),
        (
            vec![("content-type", "multipart/form-data; boundary=x")],
            400,
        ),
    ] {
        let answer = call(
            "POST",
            "/files?path=x".into(),
            headers.clone(),
            b"nonsense".to_vec(),
        )
        .await;
        refused(&answer, status, &format!("{headers:?}"));
    }
    // A small compressed request contains zeros that would fill the disk.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 80 * 1024 * 1024]).unwrap();
    let bomb = encoder.finish().unwrap();
    let headers = vec![("content-encoding", "gzip")];
    let answer = call("POST", "/files?path=bomb".into(), headers, bomb).await;
    refused(&answer, 413, "bomb");
    // Files are written in place, so the file contains what was unpacked before the limit was
    // reached.
    let answer = call("GET", "/files?path=bomb".into(), vec![], vec![]).await;
    assert!(
        answer.body.len() < 80 * 1024 * 1024,
        "{}",
        answer.body.len()
    );
    refused(
        &call("PUT", "/files?path=x".into(), vec![], vec![]).await,
        405,
        "PUT",
    );

    for (path, headers, body, status, code) in [
        (
            "process.Process/List",
            vec![],
            "{}",
            415,
            "unsupported_media_type",
        ),
        (
            "process.Process/SendSignal",
            unary.clone(),
            "{",
            400,
            "invalid_argument",
        ),
        (
            "process.Process/SendSignal",
            unary.clone(),
            "{}",
            400,
            "invalid_argument",
        ),
        (
            "process.Process/SendSignal",
            unary.clone(),
            r#"{"process":{"pid":1},"signal":"SIGNAL_SIGKILL"}"#,
            404,
            "not_found",
        ),
        (
            "process.Process/SendSignal",
            unary.clone(),
            r#"{"process":{},"signal":"SIGNAL_SIGKILL"}"#,
            400,
            "invalid_argument",
        ),
        (
            "process.Process/SendInput",
            unary.clone(),
            r#"{"process":{"pid":1},"input":{"stdin":"%"}}"#,
            400,
            "invalid_argument",
        ),
        (
            "filesystem.Filesystem/Stat",
            unary.clone(),
            r#"{"path":""}"#,
            400,
            "invalid_argument",
        ),
        (
            "filesystem.Filesystem/Move",
            unary.clone(),
            r#"{"source":"missing","destination":"x"}"#,
            404,
            "not_found",
        ),
        (
            "filesystem.Filesystem/RemoveWatcher",
            unary.clone(),
            r#"{"watcherId":"x"}"#,
            404,
            "not_found",
        ),
    ] {
        let answer = call("POST", format!("/{path}"), headers, body.into()).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        assert_eq!(answer.json()["code"], code, "{path} {body}: {answer:?}");
        assert!(answer.json()["message"].is_string());
    }
    let large = call(
        "POST",
        "/process.Process/List".into(),
        unary,
        vec![b' '; 17 * 1024 * 1024],
    )
    .await;
    assert_eq!(large.json()["code"], "resource_exhausted", "{large:?}");
    // The error of a stream is in its last message.
    for (body, text) in [
        (&b"\0\0"[..], "cut short"),
        (b"\0\0\0\0\x09{}", "shorter"),
        (b"\0\0\0\0\x02{}", "missing field"),
    ] {
        let answer = call(
            "POST",
            "/process.Process/Start".into(),
            streaming.clone(),
            body.to_vec(),
        )
        .await;
        assert!(
            String::from_utf8_lossy(&answer.body).contains(text),
            "{text}: {answer:?}"
        );
    }

    let port = [("e2b-sandbox-id", id), ("e2b-sandbox-port", "70000")];
    refused(&platform.request("GET", "/", &port, b"").await, 400, "port");
    kill(&platform, &[sandbox]).await;
    platform.stop().await;
}
