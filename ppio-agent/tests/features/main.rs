//! An agent can be served with any set of features, including `default-features = false`.

use ppio::{AgentRuntimeApp, RuntimeConfig, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

#[ppio::entrypoint]
#[allow(dead_code, reason = "the macro registers the function")]
async fn agent(request: Value) -> Value {
    json!({ "echo": request })
}

/// Sends requests to a served agent, one connection each, and returns the responses.
async fn responses<const N: usize>(app: AgentRuntimeApp, requests: [&str; N]) -> [String; N] {
    let server = app.bind().await.expect("a free port");
    let address = server.local_addr();
    let (shutdown, begun) = oneshot::channel::<()>();
    let task = tokio::spawn(server.serve_until(async {
        let _ = begun.await;
    }));
    let mut responses = [const { String::new() }; N];
    for (request, response) in requests.iter().zip(&mut responses) {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a connection");
        stream.read_to_string(response).await.expect("a response");
    }
    drop(shutdown);
    task.await.expect("a shutdown");
    responses
}

#[tokio::test]
async fn the_routes_of_the_enabled_features_are_served() {
    let config = RuntimeConfig::new().host("127.0.0.1").port(0).debug(true);
    let app = AgentRuntimeApp::builder()
        .entrypoint(|request: Value| async move { request })
        .config(config)
        .build()
        .expect("a valid configuration");
    let get = |path: &str, accept: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: \
             close\r\n\r\n"
        )
    };
    let [invocation, ping, metrics, index, page] = responses(
        app,
        [
            "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 7\r\n\
             connection: close\r\n\r\n{\"a\":1}",
            &get("/ping", "*/*"),
            &get("/metrics", "*/*"),
            &get("/", "application/json"),
            &get("/", "text/html"),
        ],
    )
    .await;
    assert!(invocation.contains(r#"{"result":{"a":1},"#), "{invocation}");
    assert!(ping.contains(r#""Healthy""#), "{ping}");
    assert_eq!(
        metrics.starts_with("HTTP/1.1 200"),
        cfg!(feature = "metrics"),
        "{metrics}"
    );
    assert_eq!(
        index.contains(r#""request":{"#),
        cfg!(feature = "schema"),
        "{index}"
    );
    assert_eq!(
        page.contains("<!doctype html>"),
        cfg!(feature = "playground"),
        "{page}"
    );
}

#[cfg(not(feature = "websocket"))]
#[test]
fn the_error_of_an_attribute_names_the_required_feature() {
    trybuild::TestCases::new().compile_fail("tests/features/fail/websocket.rs");
}

#[cfg(feature = "stream")]
#[tokio::test]
async fn a_block_with_yield_is_a_stream() {
    use std::time::Duration;

    use ppio::testing::TestAgent;
    use ppio::tokio::time::sleep;
    use ppio::{BoxError, Sse, Stream, stream, try_stream};

    fn numbers(words: Vec<String>) -> impl Stream<Item = Result<u32, BoxError>> {
        try_stream! {
            for word in words {
                let number: u32 = word.parse()?;
                yield number;
            }
        }
    }

    let app = AgentRuntimeApp::builder()
        .entrypoint(|count: u32| async move {
            Sse(stream! {
                for number in 0..count {
                    sleep(Duration::from_millis(1)).await;
                    yield Ok::<_, BoxError>(number);
                }
                yield Ok(99);
            })
        })
        .build()
        .expect("a valid configuration");
    let reply = TestAgent::new(app).invoke(&2).await;
    assert_eq!(reply.items::<u32>().await, [0, 1, 99]);

    let app = AgentRuntimeApp::builder()
        .entrypoint(|words: Vec<String>| async move { Sse(numbers(words)) })
        .build()
        .expect("a valid configuration");
    let mut reply = TestAgent::new(app).invoke(&["1", "x", "2"]).await;
    assert_eq!(reply.next_item::<Value>().await, Some(json!(1)));
    let error = reply.next_item::<Value>().await.expect("an error item");
    assert_eq!(error["error"], "invalid digit found in string", "{error}");
}

#[tokio::test]
async fn an_annotated_agent_answers() {
    let agent = ppio::testing::TestAgent::annotated().expect("one entrypoint");
    let reply = agent.invoke("hi").await;
    assert_eq!(reply.value::<Value>().await, json!({ "echo": "hi" }));
}
