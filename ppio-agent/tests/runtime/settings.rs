//! The settings in force, as user code reads them.

use std::time::Duration;

use ppio::testing::TestAgent;
use ppio::{
    AgentRuntimeApp, AgentRuntimeContext, ByteSize, Next, Request, RequestContext, RuntimeSettings,
    Value, json,
};

use crate::support::config;

/// The settings that the tests compare, as JSON.
fn shown(settings: &RuntimeSettings) -> Value {
    json!({
        "timeout": settings.timeout.as_secs(),
        "max_request_size": settings.max_request_size.bytes(),
        "heartbeat": settings.heartbeat.map(|interval| interval.as_secs()),
        "max_concurrency": settings.max_concurrency,
        "cors_origins": settings.cors_origins,
        "write_timeout": settings.write_timeout.as_secs(),
    })
}

#[tokio::test]
async fn the_app_and_every_context_return_the_values_in_force() {
    let config = config()
        .timeout(Duration::from_secs(7))
        .max_request_size(ByteSize::new(99))
        .heartbeat(Duration::ZERO)
        .max_concurrency(5)
        .cors_origins(["https://a.example"]);
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(|_: Value, context: RequestContext| async move {
            json!([context.settings().port, shown(context.settings())])
        })
        .middleware(|request: Request, next: Next| async move {
            let context = AgentRuntimeContext::current().expect("a request");
            assert_eq!(context.settings().timeout, Duration::from_secs(7));
            next.run(request).await
        })
        .build()
        .expect("a valid configuration");
    let settings = app.settings().clone();
    let expected = json!({
        "timeout": 7, "max_request_size": 99, "heartbeat": null, "max_concurrency": 5,
        "cors_origins": ["https://a.example"], "write_timeout": 60,
    });
    assert_eq!(shown(&settings), expected);
    assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 0));
    let reply = TestAgent::new(app).invoke(&json!({})).await;
    assert_eq!(reply.value::<Value>().await, json!([0, expected]));
}

#[test]
fn a_context_of_a_test_has_the_defaults() {
    let context = RequestContext::new();
    assert_eq!(context.settings(), &RuntimeSettings::default());
    assert_eq!(context.settings().port, 8080);
    assert_eq!(context.settings().timeout, Duration::from_secs(300));
}
