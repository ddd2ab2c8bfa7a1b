//! The request that each call of the platform sends, and how the call reads the response.

use std::future::IntoFuture as _;
use std::time::Duration;

use ppio_agent_client::platform::{
    BuildLogQuery, BuildPhase, BuildStep, LogQuery, NewBuild, NewSandbox, NewTemplate,
    SandboxFilter, SandboxState, StepKind, VolumeMount,
};
use ppio_test_support::scripted_platform::{Recorded, Reply, ScriptedPlatform};
use serde_json::{Value, json};

use crate::clients::{API_KEY, client_of};

/// Returns the only request of this route.
fn sent(platform: &ScriptedPlatform, route: &str) -> Recorded {
    let mut requests = platform.requests(route);
    assert_eq!(requests.len(), 1, "{route}");
    requests.remove(0)
}

#[tokio::test]
async fn sandboxes() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let plane = client.platform();
    let mut new = NewSandbox::new("tmpl_1", Duration::from_millis(59_100));
    new.auto_pause = true;
    new.secure = Some(true);
    new.allow_internet_access = Some(false);
    new.env_vars.insert("A".into(), "1".into());
    new.metadata.insert("user".into(), "4 2".into());
    new.volume_mounts.push(VolumeMount {
        name: "data".into(),
        path: "/data".into(),
    });
    new.extra
        .insert("autoResume".into(), json!({"enabled": true}));
    plane.create_sandbox(&new).await.unwrap();
    let request = sent(&platform, "POST /sandboxes");
    assert_eq!(
        request.json(),
        json!({
            "templateID": "tmpl_1", "timeout": 60, "autoPause": true, "secure": true,
            "allow_internet_access": false, "envVars": {"A": "1"}, "metadata": {"user": "4 2"},
            "volumeMounts": [{"name": "data", "path": "/data"}], "autoResume": {"enabled": true},
        })
    );
    assert_eq!(request.header("x-api-key"), API_KEY);
    assert_eq!(request.header("content-type"), "application/json");

    plane.get_sandbox("sb1").await.unwrap();
    plane
        .set_sandbox_timeout("sb1", Duration::from_secs(9))
        .await
        .unwrap();
    plane
        .refresh_sandbox("sb1", Duration::from_secs(10))
        .await
        .unwrap();
    assert!(plane.pause_sandbox("sb1").await.unwrap());
    assert!(
        !plane.pause_sandbox("sb1").await.unwrap(),
        "409 means that the sandbox is paused"
    );
    let resumed = plane.resume_sandbox("sb1", Duration::from_secs(11), true);
    assert_eq!(resumed.await.unwrap().unwrap().sandbox_id, "sb1");
    let again = plane.resume_sandbox("sb1", Duration::from_secs(11), true);
    assert!(again.await.unwrap().is_none(), "409: the sandbox runs");
    let joined = plane
        .connect_sandbox("sb1", Duration::from_secs(12))
        .await
        .unwrap();
    assert_eq!(joined.envd_access_token.unwrap().expose(), "envd-token-sb1");
    let body = |route: &str| platform.requests(route)[0].json();
    assert_eq!(body("POST /sandboxes/{id}/timeout"), json!({"timeout": 9}));
    assert_eq!(
        body("POST /sandboxes/{id}/refreshes"),
        json!({"duration": 10})
    );
    assert_eq!(body("POST /sandboxes/{id}/pause"), Value::Null);
    assert_eq!(
        body("POST /sandboxes/{id}/resume"),
        json!({"timeout": 11, "autoPause": true})
    );
    assert_eq!(body("POST /sandboxes/{id}/connect"), json!({"timeout": 12}));
    assert!(plane.kill_sandbox("sb1").await.unwrap());
    assert!(
        !plane.kill_sandbox("sb1").await.unwrap(),
        "404 means that the sandbox is gone"
    );

    let filter = SandboxFilter {
        states: vec![SandboxState::Paused],
        metadata: [("a key".to_owned(), "v&1".to_owned())].into(),
        page_size: Some(7),
    };
    plane.list_sandboxes(&filter).await.unwrap();
    // The metadata is encoded once inside the value, as the Python SDK does, and once as a part of
    // the query.
    let target = sent(&platform, "GET /v2/sandboxes").target;
    assert_eq!(
        target,
        "/v2/sandboxes?state=paused&metadata=a%2520key%3Dv%25261&limit=7"
    );
    plane
        .list_running_sandboxes(&filter.metadata)
        .await
        .unwrap();
    let target = sent(&platform, "GET /sandboxes").target;
    assert_eq!(target, "/sandboxes?metadata=a%2520key%3Dv%25261");
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let page = |id: &str, next: &str| {
        let body = json!([{ "sandboxID": id }]).to_string();
        Reply::with_headers(200, &[("x-next-token", next)], &body)
    };
    platform.script("GET /v2/sandboxes", page("a", "t1"));
    platform.script("GET /v2/sandboxes", page("b", "t 2"));
    platform.script("GET /v2/sandboxes", page("c", ""));
    let all = client.list_sessions().await.unwrap();
    assert_eq!(all.len(), 3);
    let asked = platform.requests("GET /v2/sandboxes");
    assert!(
        asked[2].target.ends_with("&nextToken=t%202"),
        "{}",
        asked[2].target
    );
    // A platform that repeats its page token does not cause endless requests.
    platform.always("GET /v2/sandboxes", page("d", "same"));
    assert_eq!(client.list_sessions().await.unwrap().len(), 2);

    let build = |id: &str| json!({"templateID": "t", "builds": [{"buildID": id}]}).to_string();
    let next = [("x-next-token", "1")];
    platform.script(
        "GET /templates/t",
        Reply::with_headers(200, &next, &build("b1")),
    );
    platform.script(
        "GET /templates/t",
        Reply::with_headers(200, &[], &build("b2")),
    );
    let template = client.platform().get_template("t").await.unwrap();
    assert_eq!(template.builds.len(), 2);
    assert_eq!(
        platform.requests("GET /templates/t")[1].target,
        "/templates/t?nextToken=1"
    );
}

#[tokio::test]
async fn logs_and_metrics() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let plane = client.platform();
    let query = LogQuery {
        start: Some(1_700_000_000_000),
        limit: Some(5),
        backward: true,
        level: Some("warn".into()),
        search: Some("a b".into()),
    };
    let entry = json!({"timestamp": "t", "level": "warn", "message": "m", "fields": {"k": 1}});
    platform.script(
        "GET /v2/sandboxes/{id}/logs",
        Reply::json(200, &json!({"logs": [entry]})),
    );
    let logs = plane.sandbox_logs("sb1", &query).await.unwrap();
    assert_eq!(
        (logs[0].message.as_str(), &logs[0].fields["k"]),
        ("m", &json!(1))
    );
    assert_eq!(
        sent(&platform, "GET /v2/sandboxes/{id}/logs").target,
        "/v2/sandboxes/sb1/logs?cursor=1700000000000&limit=5&direction=backward&level=warn&search=a%20b"
    );
    // The response of older platforms contains entries; that of the oldest platforms contains only
    // lines.
    for answer in [
        json!({"logs": [{"timestamp": "t", "line": "m"}], "logEntries": [entry]}),
        json!({"logs": [{"timestamp": "t", "line": "m"}]}),
    ] {
        platform.script("GET /sandboxes/{id}/logs", Reply::json(200, &answer));
        let logs = plane.sandbox_logs_v1("sb1", &query).await.unwrap();
        assert_eq!((logs.len(), logs[0].message.as_str()), (1, "m"));
    }
    let asked = platform.requests("GET /sandboxes/{id}/logs");
    assert_eq!(
        asked[0].target,
        "/sandboxes/sb1/logs?start=1700000000000&limit=5"
    );

    let metric = json!({
        "timestamp": "t", "timestampUnix": 7, "cpuCount": 2, "cpuUsedPct": 12.5, "memUsed": 1,
        "memTotal": 2, "memCache": 3, "diskUsed": 4, "diskTotal": 5,
    });
    platform.script(
        "GET /sandboxes/{id}/metrics",
        Reply::json(200, &json!([metric])),
    );
    let metrics = plane
        .sandbox_metrics("sb1", Some(1), Some(9))
        .await
        .unwrap();
    assert_eq!((metrics[0].cpu_count, metrics[0].disk_total), (2, 5));
    let target = sent(&platform, "GET /sandboxes/{id}/metrics").target;
    assert_eq!(target, "/sandboxes/sb1/metrics?start=1&end=9");
}

#[tokio::test]
async fn templates_and_tags() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let plane = client.platform();
    let template = json!({
        "templateID": "t", "buildID": "b", "names": null, "aliases": ["a"], "cpuCount": 2,
        "memoryMB": 512, "createdBy": null, "metadata": {"agent_runtime": "{}"},
    });
    // Platforms differ in whether the list is a member of an object.
    for list in [json!([template]), json!({ "templates": [template] })] {
        platform.script("GET /templates", Reply::json(200, &list));
        let templates = plane.list_templates(Some("team 1")).await.unwrap();
        assert_eq!((templates.len(), templates[0].memory_mb), (1, Some(512)));
    }
    let asked = &platform.requests("GET /templates")[0];
    assert_eq!(asked.target, "/templates?metadata=true&teamID=team%201");
    // Calls about templates also send a token: without an access token, the API key.
    assert_eq!(asked.header("authorization"), format!("Bearer {API_KEY}"));
    assert_eq!(asked.header("x-api-key"), API_KEY);

    let alias = Reply::json(200, &json!({"templateID": "t", "public": true}));
    platform.script("GET /templates/aliases/my%2Fagent", alias);
    assert!(plane.resolve_alias("my/agent").await.unwrap().public);

    platform.script(
        "POST /templates/tags",
        Reply::json(201, &json!({"tags": ["stable"]})),
    );
    plane.assign_tags("agent:v2", &["stable"]).await.unwrap();
    let body = sent(&platform, "POST /templates/tags").json();
    assert_eq!(body, json!({"target": "agent:v2", "tags": ["stable"]}));
    platform.script(
        "DELETE /templates/tags",
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
    );
    plane.remove_tags("agent", &["stable"]).await.unwrap();
    let body = sent(&platform, "DELETE /templates/tags").json();
    assert_eq!(body, json!({"name": "agent", "tags": ["stable"]}));
    let tags = json!([{"tag": "v2", "buildID": "b", "createdAt": "t"}]);
    platform.script("GET /templates/t/tags", Reply::json(200, &tags));
    assert_eq!(plane.list_tags("t").await.unwrap()[0].build_id, "b");

    platform.script(
        "DELETE /templates/t",
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
    );
    assert!(plane.delete_template("t").await.unwrap());
    assert!(!plane.delete_template("t").await.unwrap());
}

#[tokio::test]
async fn builds() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let plane = client.platform();
    let ticket = json!({"templateID": "t", "buildID": "b", "names": ["n"], "tags": null});
    platform.script("POST /v3/templates", Reply::json(202, &ticket));
    let new = NewTemplate {
        name: "n:v1".into(),
        tags: vec!["x".into()],
        cpu_count: Some(2),
        memory_mb: Some(1024),
        ..NewTemplate::default()
    };
    let ticket = plane.create_template(&new).await.unwrap();
    assert_eq!(
        (ticket.template_id.as_str(), ticket.build_id.as_str()),
        ("t", "b")
    );
    let body = sent(&platform, "POST /v3/templates").json();
    assert_eq!(
        body,
        json!({"name": "n:v1", "tags": ["x"], "cpuCount": 2, "memoryMB": 1024})
    );

    let url = format!("{}/storage?signature=s", platform.url());
    let present = json!({"present": false, "url": url});
    platform.script("GET /templates/t/files/ab", Reply::json(201, &present));
    let upload = plane.file_upload("t", "ab").await.unwrap();
    platform.script(
        "PUT /storage",
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    );
    plane
        .upload_files(&upload.url.unwrap(), "archive")
        .await
        .unwrap();
    let put = sent(&platform, "PUT /storage");
    assert_eq!(
        (put.target.as_str(), &put.body[..]),
        ("/storage?signature=s", &b"archive"[..])
    );
    // The storage is another host, which is not sent the API key.
    assert_eq!(
        (put.header("x-api-key"), put.header("authorization")),
        ("", "")
    );

    platform.script(
        "POST /v2/templates/t/builds/b",
        Reply::raw("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"),
    );
    let build = NewBuild {
        from_image: Some("debian".into()),
        steps: vec![BuildStep {
            kind: StepKind::Copy,
            args: vec!["a".into(), "b".into()],
            files_hash: Some("ab".into()),
            force: Some(true),
        }],
        start_cmd: Some("run".into()),
        ready_cmd: Some("look".into()),
        ..NewBuild::default()
    };
    plane.start_build("t", "b", &build).await.unwrap();
    assert_eq!(
        sent(&platform, "POST /v2/templates/t/builds/b").json(),
        json!({
            "fromImage": "debian", "startCmd": "run", "readyCmd": "look", "force": false,
            "steps": [{"type": "COPY", "args": ["a", "b"], "filesHash": "ab", "force": true}],
        })
    );
    let status = json!({
        "templateID": "t", "buildID": "b", "status": "error", "logs": ["l"],
        "logEntries": [{"timestamp": "t", "level": "error", "message": "m", "step": "1"}],
        "reason": {"message": "why", "step": "1"},
    });
    platform.script(
        "GET /templates/t/builds/b/status",
        Reply::json(200, &status),
    );
    let query = BuildLogQuery {
        offset: 3,
        limit: Some(4),
        level: Some("error".into()),
    };
    let status = plane.build_status_with("t", "b", &query).await.unwrap();
    assert_eq!(
        (status.status, status.reason.unwrap().message.as_str()),
        (BuildPhase::Error, "why")
    );
    assert_eq!(
        sent(&platform, "GET /templates/t/builds/b/status").target,
        "/templates/t/builds/b/status?logsOffset=3&limit=4&level=error"
    );
}

/// Many sessions of one template need one lookup. After a failed creation, the template is looked
/// up again, because it may have changed.
#[tokio::test]
async fn a_template_is_looked_up_once_for_many_sessions() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    // The starts are so slow that no session is ready before the lookup is done.
    for _ in 0..20 {
        platform.script("agent GET /ping", Reply::error(502, "not yet"));
    }
    let mut creating = tokio::task::JoinSet::new();
    for _ in 0..10 {
        creating.spawn(client.create_session("tmpl_1").into_future());
    }
    let sessions = creating.join_all().await;
    assert!(sessions.iter().all(Result::is_ok));
    assert_eq!(platform.count("GET /templates"), 1);
    platform.script("POST /sandboxes", Reply::error(400, "no"));
    client.create_session("tmpl_1").await.unwrap_err();
    platform.script("agent GET /ping", Reply::error(502, "not yet"));
    drop(client.create_session("tmpl_1").await.unwrap());
    assert_eq!(platform.count("GET /templates"), 2);
}

/// A session with a healthy agent needs no template: neither a slow list nor a failing list delays
/// the session.
#[tokio::test]
async fn a_healthy_agent_does_not_wait_for_its_template() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    for reply in [Reply::nothing().hang(), Reply::error(403, "not your list")] {
        platform.always("GET /templates", reply);
        client
            .create_session("tmpl_1")
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
    }
    // If the agent does not become healthy, the failed lookup does not end the wait, which ends at
    // its limit.
    platform.always("agent GET /ping", Reply::error(502, "connection refused"));
    let limit = Duration::from_millis(100);
    let error = client.create_session("tmpl_1").start_timeout(limit).await;
    assert!(
        error
            .unwrap_err()
            .report()
            .to_string()
            .contains("within 100ms")
    );
    client.close().await.unwrap();
    platform.eventually_empty().await;
}
