//! Checks that a caller receives exactly what an agent of this project returns.

use ppio_agent_client::Error;
use ppio_sandbox_local::TemplateSpec;
use serde_json::{Value, json};

use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn values_that_resemble_envelopes_or_errors_are_returned_unchanged() {
    let local = TestPlatform::with(|builder| builder).await;
    let binary = env!("CARGO_BIN_EXE_enveloping-agent");
    let template = local
        .template(TemplateSpec::new("enveloping").binary(binary))
        .await;
    let client = local.client();
    let session = client.create_session(&template).await.unwrap();
    let own = [
        json!({"status": "completed", "duration": 12, "result": "report.pdf"}),
        json!({"status": "success", "result": 1}),
        json!({"result": 1, "status": "success", "duration": 0.1, "metadata": null, "error": null}),
        json!({"error": "own"}),
    ];
    for value in &own {
        let response = session.invoke(json!({"value": value})).await.unwrap();
        assert_eq!(response.result.as_ref(), Some(value));
        assert_eq!((response.tokens_used, response.queue_time), (None, None));
        let result: Value = session
            .invoke(json!({"envelope": value}))
            .json()
            .await
            .unwrap();
        assert_eq!(&result, value);
    }
    let response = session.invoke(json!({"envelope": "hi"})).await.unwrap();
    assert_eq!(response.result, Some(json!("hi")));
    assert_eq!(response.tokens_used, Some(42));
    assert_eq!(response.queue_time, Some(0.0));
    assert_eq!(response.processing_time, Some(response.duration));
    assert!(response.duration > 0.0 && response.request_id().is_some());

    let mut stream = session
        .invoke(json!({"items": own}))
        .stream()
        .await
        .unwrap();
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item.unwrap());
    }
    assert_eq!(items, own);

    let error = session.invoke(json!({"failure": "no luck"})).await;
    match error.unwrap_err() {
        Error::Invocation {
            status, message, ..
        } => assert_eq!((status, message.as_str()), (Some(500), "no luck")),
        other => panic!("{}", other.report()),
    }
    session.close().await.unwrap();
    local.stop_when_empty().await;
}
