//! The contract of AWS AgentCore: its headers, tasks, forced statuses and debug actions.

use std::sync::Arc;
use std::time::Duration;

use ppio::testing::TestAgent;
use ppio::{
    AgentRuntimeApp, AgentRuntimeAppBuilder, BuilderEntrypoint, Error, Json, Next, PingResponse,
    PingStatus, Platform, Request, RequestContext, RuntimeConfig, Value, health, json, task,
};
use tokio::sync::Notify;

use crate::support::{TestServer, config, get, invocation, invocation_with, with_timeout};

const SESSION: &str = "x-amzn-bedrock-agentcore-runtime-session-id: s-1\r\n";

/// An agent that returns the headers it receives, and changes its tasks and its forced status as a
/// request selects.
fn scripted(config: RuntimeConfig) -> AgentRuntimeAppBuilder<BuilderEntrypoint> {
    AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(async |request: Value, context: RequestContext| Json(act(&request, &context)))
}

fn act(request: &Value, context: &RequestContext) -> Value {
    let argument = &request["argument"];
    match request["do"].as_str() {
        Some("add") => {
            let name = argument.as_str().expect("a name");
            json!(task::add(name, json!({"of": name})))
        }
        Some("complete") => json!(task::complete(argument.as_u64().expect("an id"))),
        Some("info") => json!(task::info()),
        Some("metadata") => {
            let jobs = task::info().running_jobs;
            let jobs = jobs.iter().map(|job| json!([job.id, job.metadata]));
            jobs.collect()
        }
        Some("force") => {
            health::force_status(argument.as_str().expect("a status").parse().expect("one"));
            json!(health::forced_status())
        }
        Some("clear") => {
            health::clear_forced_status();
            json!(health::forced_status())
        }
        Some("headers") => context.headers().keys().map(ToString::to_string).collect(),
        Some("context") => json!({
            "request": context.request_id(),
            "session": context.session_id(),
            "shell": context.shell_id(),
            "token": context.workload_access_token(),
            "callback": context.oauth2_callback_url(),
            "custom": context.custom_headers().collect::<Vec<_>>(),
            "traceparent": context.traceparent(),
            "tracestate": context.tracestate(),
            "baggage": context.baggage(),
        }),
        _ => request.clone(),
    }
}

async fn ask(server: &TestServer, request: &Value) -> Value {
    server.invoke(&request.to_string()).await.result()
}

async fn status(server: &TestServer) -> Value {
    server.send(get("/ping")).await.json()["status"].clone()
}

#[tokio::test]
async fn the_context_contains_the_values_of_the_headers() {
    let server = TestServer::start(scripted(config()).build()).await;
    let runtime = "x-amzn-bedrock-agentcore-runtime";
    let headers = format!(
        "{SESSION}{runtime}-request-id: r-1\r\nx-amzn-bedrock-agentcore-shell-id: shell\r\n\
         x-amz-bedrock-agentcore-identity-wat: token\r\nworkloadaccesstoken: old\r\n\
         oauth2callbackurl: https://example.com/back\r\n{runtime}-custom-tenant: t-1\r\n\
         {runtime}-custom-plan: gold\r\ntraceparent: 00-1-2-01\r\ntracestate: a=1\r\n\
         tracestate: b=2\r\nbaggage: c=3\r\n"
    );
    let body = r#"{"do": "context"}"#;
    let answer = server.send(invocation_with(&headers, body)).await;
    let expected = json!({
        "request": "r-1",
        "session": "s-1",
        "shell": "shell",
        "token": "token",
        "callback": "https://example.com/back",
        "custom": [["tenant", "t-1"], ["plan", "gold"]],
        "traceparent": "00-1-2-01",
        "tracestate": "a=1,b=2",
        "baggage": "c=3",
    });
    assert_eq!(answer.json(), expected);

    for (headers, token) in [
        ("workloadaccesstoken: old\r\n", json!("old")),
        (
            "workloadaccesstoken: old\r\nx-amz-bedrock-agentcore-identity-wat: \r\n",
            json!("old"),
        ),
        ("", json!(null)),
    ] {
        let answer = server.send(invocation_with(headers, body)).await.result();
        assert_eq!(answer["token"], token, "{headers}");
        assert_eq!(answer["custom"], json!([]));
        assert_eq!(answer["baggage"], json!(null));
    }
}

/// Adds `x-date-seen` to requests that have the reserved header `x-amz-date`.
async fn report_date(mut request: Request, next: Next) -> ppio::Response {
    if let Some(date) = request.headers().get("x-amz-date").cloned() {
        request.headers_mut().insert("x-date-seen", date);
    }
    next.run(request).await
}

#[tokio::test]
async fn reserved_aws_headers_are_removed_from_agent_core_requests() {
    let reserved = "x-amz-date: d\r\nx-amzn-trace-id: t\r\nX-Amz-Security-Token: s\r\n";
    let names = ["x-amz-date", "x-amzn-trace-id", "x-amz-security-token"];
    let wrapped = scripted(config()).middleware(report_date).build();
    for app in [scripted(config()).build(), wrapped] {
        let server = TestServer::start(app).await;
        let body = r#"{"do": "headers"}"#;
        let headers = format!("{SESSION}{reserved}x-own: o\r\n");
        let answer = server.send(invocation_with(&headers, body)).await.json();
        let seen = answer.as_array().expect("names");
        for name in names.iter().chain(&["x-date-seen"]) {
            assert!(!seen.contains(&json!(name)), "{name} in {answer}");
        }
        for name in ["x-own", "x-amzn-bedrock-agentcore-runtime-session-id"] {
            assert!(seen.contains(&json!(name)), "{name} not in {answer}");
        }
        // The reserved headers are kept in requests without AgentCore's headers, since other AWS
        // services, such as load balancers, send them to the agent.
        let answer = server.send(invocation_with(reserved, body)).await.result();
        let seen = answer.as_array().expect("names");
        for name in names {
            assert!(seen.contains(&json!(name)), "{name} not in {answer}");
        }
    }
}

#[tokio::test]
async fn tasks_have_names_and_ids() {
    let mut server = TestServer::start(scripted(config()).build()).await;
    assert_eq!(status(&server).await, "Healthy");
    let first = ask(&server, &json!({"do": "add", "argument": "import"})).await;
    let second = ask(&server, &json!({"do": "add", "argument": "index"})).await;
    assert_ne!(first, second);
    assert_eq!(status(&server).await, "HealthyBusy");
    assert_eq!(server.metric("background_tasks").await, 2);
    let info = ask(&server, &json!({"do": "info"})).await;
    assert_eq!(info["active_count"], 2);
    let jobs = info["running_jobs"].as_array().expect("jobs");
    for (job, name) in jobs.iter().zip(["import", "index"]) {
        let members: Vec<_> = job.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["duration", "name"]);
        assert_eq!(job["name"], name);
        assert!(job["duration"].as_f64().is_some_and(|it| it >= 0.0));
    }
    let metadata = ask(&server, &json!({"do": "metadata"})).await;
    let expected = json!([[first, {"of": "import"}], [second, {"of": "index"}]]);
    assert_eq!(metadata, expected);

    for (id, is_complete) in [(&first, true), (&first, false)] {
        let answer = ask(&server, &json!({"do": "complete", "argument": id})).await;
        assert_eq!(answer, json!(is_complete));
    }
    assert_eq!(status(&server).await, "HealthyBusy");

    // A shutdown waits for the second task, which ends outside of a request.
    server.begin_shutdown();
    let id = second.as_u64().expect("an id");
    assert!(task::complete(id));
    server.ended().await;
}

#[tokio::test]
async fn a_spawned_task_is_listed_by_its_name() {
    let end = Arc::new(Notify::new());
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint({
            let end = Arc::clone(&end);
            move |request: Value| {
                let end = Arc::clone(&end);
                async move {
                    if request == "spawn" {
                        task::spawn("index", async move { end.notified().await });
                    }
                    Json(json!(task::info()))
                }
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let info = server.invoke("\"spawn\"").await.result();
    assert_eq!(info["running_jobs"][0]["name"], "index");
    end.notify_one();
    with_timeout("the end of the task", async {
        while server.invoke("1").await.result()["active_count"] != 0 {}
    })
    .await;
}

/// Checks which status `/ping` returns: a forced status, that of the health check, or that of the
/// tasks.
#[tokio::test]
async fn a_forced_status_overrides_the_check_and_the_tasks() {
    let (healthy, busy) = (PingStatus::Healthy, PingStatus::HealthyBusy);
    for (platform, check, has_task, expected) in [
        (false, None, false, healthy),
        (false, None, true, busy),
        (false, Some(Ok(healthy)), false, healthy),
        (false, Some(Ok(healthy)), true, busy),
        (false, Some(Ok(busy)), false, busy),
        (true, None, false, healthy),
        (true, None, true, busy),
        (true, Some(Ok(healthy)), true, healthy),
        (true, Some(Ok(busy)), false, busy),
        (true, Some(Err(())), false, healthy),
        (true, Some(Err(())), true, busy),
    ] {
        let case = (platform, check, has_task);
        let mut builder = scripted(if platform {
            config().platform(Platform::AgentCore)
        } else {
            config()
        });
        if let Some(check) = check {
            builder = builder.ping(move || async move {
                let status: PingStatus = check.map_err(|()| "no database")?;
                Ok::<_, &str>(PingResponse::new(status).with_time_of_last_update(1))
            });
        }
        // The agent is tested without a socket, since the platform's port may be in use.
        let agent = TestAgent::new(builder.build().expect("a valid configuration"));
        let ask = async |request: Value| agent.invoke(&request).await.value::<Value>().await;
        let status = async || agent.ping().await.json::<Value>().await["status"].clone();
        let task = if has_task {
            ask(json!({"do": "add", "argument": "work"})).await
        } else {
            json!(0)
        };
        assert_eq!(status().await, json!(expected), "{case:?}");
        for forced in [healthy, busy] {
            let request = json!({"do": "force", "argument": forced});
            assert_eq!(ask(request).await, json!(forced));
            let ping = agent.ping().await;
            assert_eq!(ping.status(), 200, "{case:?}");
            let ping: Value = ping.json().await;
            assert_eq!(ping["status"], json!(forced), "{case:?}");
            assert!(ping["time_of_last_update"].as_u64() > Some(1));
        }
        assert_eq!(ask(json!({"do": "clear"})).await, json!(null));
        assert_eq!(status().await, json!(expected), "{case:?}");
        ask(json!({"do": "complete", "argument": task})).await;
    }
}

#[tokio::test]
async fn the_platform_sets_the_port() {
    let app = scripted(config().platform(Platform::AgentCore)).build();
    let app = app.expect("a valid configuration");
    let settings = app.settings();
    assert_eq!(settings.platform, Some(Platform::AgentCore));
    assert_eq!(settings.port, 8080);
}

#[tokio::test]
async fn debug_mode_handles_the_debug_actions_of_agent_core() {
    let server = TestServer::start(scripted(config().debug(true)).build()).await;
    let member = "_agent_core_app_action";
    let act = async |action: &Value| {
        let body = json!({member: action}).to_string();
        server.send(invocation(&body)).await
    };
    let task = ask(&server, &json!({"do": "add", "argument": "import"})).await;
    for (action, expected, then) in [
        ("force_healthy", "Healthy", "Healthy"),
        ("force_busy", "HealthyBusy", "HealthyBusy"),
        ("clear_forced_status", "Cleared", "HealthyBusy"),
    ] {
        let answer = act(&json!(action)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"forced_status": expected}));
        let ping = server.send(get("/ping")).await.json();
        assert_eq!(ping["status"], then);
        let answer = act(&json!("ping_status")).await.json();
        let time = &ping["time_of_last_update"];
        assert!(time.is_u64());
        assert_eq!(answer, json!({"status": then, "time_of_last_update": time}));
    }
    let jobs = act(&json!("job_status")).await.json();
    assert_eq!(jobs["active_count"], 1);
    assert_eq!(jobs["running_jobs"][0]["name"], "import");
    ask(&server, &json!({"do": "complete", "argument": task})).await;
    let jobs = act(&json!("job_status")).await.json();
    assert_eq!(jobs, json!({"active_count": 0, "running_jobs": []}));

    let error = act(&json!("stop")).await.error(400, "BadRequest");
    assert!(error.starts_with("unknown action \"stop\"; send `ping_status`"));
    act(&json!(["stop"])).await.error(400, "BadRequest");
    // Bodies that are not an action are passed to the agent.
    for body in [
        json!({member: ""}),
        json!({member: null}),
        json!({"a": {member: "stop"}}),
        json!([member]),
    ] {
        assert_eq!(ask(&server, &body).await, body);
    }
    let long = json!({"long": "x".repeat(100_000), member: ""});
    assert_eq!(ask(&server, &long).await, long);
    server.invoke("{").await.error(400, "InvalidJson");
    assert_eq!(
        server
            .metric("invocations_total{outcome=\"client_error\"}")
            .await,
        1
    );

    let server = TestServer::start(scripted(config()).build()).await;
    let body = json!({member: "force_busy"});
    assert_eq!(ask(&server, &body).await, body);
    assert_eq!(status(&server).await, "Healthy");
}

#[tokio::test]
async fn middleware_and_limits_apply_to_debug_actions() {
    async fn auth(request: Request, next: Next) -> Result<ppio::Response, Error> {
        match request.headers().get("authorization") {
            Some(_) => Ok(next.run(request).await),
            None => Err(Error::unauthorized("send a token")),
        }
    }
    let config = config()
        .debug(true)
        .max_request_size(ppio::ByteSize::new(100))
        .body_timeout(Duration::from_millis(50));
    let server = TestServer::start(scripted(config).middleware(auth).build()).await;
    let body = r#"{"_agent_core_app_action": "force_busy"}"#;
    server.invoke(body).await.error(401, "Unauthorized");
    assert_eq!(status(&server).await, "Healthy");
    let token = "authorization: a\r\n";
    let answer = server.send(invocation_with(token, body)).await;
    assert_eq!(answer.json()["forced_status"], "HealthyBusy");
    let long = format!("{body}{}", " ".repeat(100));
    let answer = server.send(invocation_with(token, &long)).await;
    answer.error(413, "RequestTooLarge");
    let cut = invocation_with(token, body);
    let answer = server.send(&cut[..cut.len() - 1]).await;
    answer.error(408, "RequestTimeout");
}
