//! Tests of `GET /openapi.json`.

use ppio::{AgentRuntimeApp, RuntimeConfig, Value};

use crate::support::{TestServer, config, get};

#[derive(serde::Deserialize)]
struct Question {
    prompt: String,
    loud: Option<bool>,
}

async fn serve(config: RuntimeConfig) -> TestServer {
    let app = AgentRuntimeApp::builder()
        .name("poet")
        .config(config)
        .entrypoint(async |question: Question| {
            question
                .prompt
                .repeat(1 + usize::from(question.loud == Some(true)))
        });
    TestServer::start(app.build()).await
}

async fn document(server: &TestServer) -> Value {
    let reply = server.send(&get("/openapi.json")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn the_document_describes_the_service_and_its_types() {
    let server = serve(config()).await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "poet");
    let request = &document["components"]["schemas"]["Request"];
    assert_eq!(request["properties"]["prompt"]["type"], "string");
    let invoke = &document["paths"]["/invocations"]["post"];
    assert_eq!(
        invoke["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Request"
    );
    // The reply of a closure is unknown, so it may be a value or a stream.
    let content = &invoke["responses"]["200"]["content"];
    assert!(content["application/json"].is_object(), "{content}");
    assert!(content["text/event-stream"].is_object(), "{content}");
}

/// Every reference in the document has a target.
#[tokio::test]
async fn every_reference_has_a_target() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    let pointer = target.strip_prefix('#').expect("a local reference");
                    assert!(document.pointer(pointer).is_some(), "{target}");
                }
                members.values().for_each(|value| check(value, document));
            }
            Value::Array(values) => values.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let server = serve(config()).await;
    let document = document(&server).await;
    check(&document, &document);
}

/// The service has a route for every operation of the document.
#[tokio::test]
async fn every_operation_has_a_route() {
    let server = serve(config()).await;
    let document = document(&server).await;
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.contains_key("/metrics"), "{paths:?}");
    for (path, operations) in paths {
        let operations = operations.as_object().expect("operations").keys();
        for method in operations.filter(|key| *key != "parameters") {
            let method = method.to_uppercase();
            let path = path.replace("{id}", "1").replace("{config}", "1");
            let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
            let request = head + "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
            let reply = server.send(&request).await;
            assert_ne!(reply.status, 405, "{method} {path}");
            assert!(!reply.text().contains("no route for"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_document_can_be_switched_off() {
    let server = serve(config().enable_openapi(false)).await;
    let reply = server.send(&get("/openapi.json")).await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    let index = server.send(&get("/")).await;
    assert!(!index.text().contains("openapi"), "{}", index.text());
}
