//! The time of the last update in the response of a health check.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::{TestServer, config, get};
use ppio::{AgentRuntimeApp, PingResponse, PingStatus, Value, json};

/// With a time in the future, AgentCore would keep the session forever; with a time in the past, it
/// would end the session.
#[tokio::test]
async fn the_runtime_sets_the_time_of_the_last_update() {
    let now = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.expect("a clock after 1970").as_secs()
    };
    let before = now();
    let pings = [
        json!({"status": "Healthy", "time_of_last_update": 1}),
        json!({"status": "Healthy", "time_of_last_update": 99_999_999_999_u64}),
        json!({"status": "Healthy", "time_of_last_update": "yesterday"}),
        json!({"status": "Healthy", "time_of_last_update": -1, "queue": 3}),
    ];
    for ping in pings {
        let app = AgentRuntimeApp::builder()
            .config(config())
            .ping(move || {
                let ping = ping.clone();
                async { ping }
            })
            .entrypoint(|request: Value| async { request })
            .build();
        let server = TestServer::start(app).await;
        let ping = server.send(get("/ping")).await;
        assert_eq!(ping.status, 200, "{}", ping.text());
        let updated = ping.json()["time_of_last_update"].as_u64();
        let updated = updated.expect("whole seconds");
        assert!((before..=now()).contains(&updated), "{updated}");
    }
}

#[tokio::test]
async fn the_time_of_the_last_update_changes_only_with_the_status() {
    let calls = Arc::new(AtomicUsize::new(0));
    let app = AgentRuntimeApp::builder()
        .config(config())
        .ping(move || {
            let call = calls.fetch_add(1, Ordering::Relaxed) as u64;
            async move {
                let status = if call < 2 {
                    PingStatus::Healthy
                } else {
                    PingStatus::HealthyBusy
                };
                PingResponse::new(status).with_time_of_last_update(call)
            }
        })
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    let mut times = Vec::new();
    for _ in 0..2 {
        // Wait for the next second, so that a time that depended on the calls would differ.
        let start = SystemTime::now();
        let second = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.expect("a clock after 1970").as_secs()
        };
        while second(SystemTime::now()) == second(start) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ping = server.send(get("/ping")).await.json();
        assert_eq!(ping["status"], "Healthy");
        times.push(ping["time_of_last_update"].clone());
    }
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
    let busy = server.send(get("/ping")).await.json();
    assert_eq!(busy["status"], "HealthyBusy");
    assert!(busy["time_of_last_update"].as_u64() > times[0].as_u64());
}
