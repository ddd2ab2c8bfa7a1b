//! Headers that an author sets are sent as they are; the runtime adds those that are missing.

use crate::support::{Answer, TestServer, config, invocation_with};
use ppio::{AgentRuntimeApp, Body, Response, RuntimeConfig, Value, http};

const PAGE: &str = "https://app.example";

/// An agent that sets the headers listed in the request on its response, in the entrypoint or in
/// middleware.
async fn server(config: RuntimeConfig, in_middleware: bool) -> TestServer {
    fn add(headers: &Value, response: &mut Response) {
        for pair in headers.as_array().expect("a list of pairs") {
            let text = |index: usize| pair[index].as_str().expect("a text");
            let name: http::HeaderName = text(0).parse().expect("a name");
            let value: http::HeaderValue = text(1).parse().expect("a value");
            response.headers_mut().append(name, value);
        }
    }
    let builder = AgentRuntimeApp::builder().config(config);
    let builder = if in_middleware {
        builder.middleware(|request: ppio::Request, next: ppio::Next| async move {
            let (parts, body) = request.into_parts();
            let body = body.bytes().await.expect("a body");
            let headers: Value = serde_json::from_slice(&body).expect("JSON");
            let request = ppio::Request::from_parts(parts, Body::from(body));
            let mut response = next.run(request).await;
            add(&headers, &mut response);
            response
        })
    } else {
        builder
    };
    let app = builder
        .entrypoint(move |headers: Value| async move {
            let mut response = Response::new(Body::from("x"));
            if !in_middleware {
                add(&headers, &mut response);
            }
            response
        })
        .build();
    TestServer::start(app).await
}

async fn call(server: &TestServer, headers: &[(&str, &str)]) -> Answer {
    let body = serde_json::to_string(headers).expect("JSON");
    let request = invocation_with(&format!("origin: {PAGE}\r\nx-request-id: r-1\r\n"), &body);
    server.send(request).await
}

#[tokio::test]
async fn an_authors_headers_are_sent_once_and_unchanged() {
    for in_middleware in [false, true] {
        for config in [
            config().cors_origins([PAGE]).cors_credentials(true),
            config().cors_origins(["*"]),
        ] {
            let server = server(config, in_middleware).await;
            for header in [
                ("access-control-allow-origin", "https://other.example"),
                ("access-control-allow-origin", "*"),
                ("access-control-expose-headers", "x-cost"),
                ("access-control-allow-credentials", "false"),
                ("content-type", "text/csv"),
                ("cache-control", "max-age=60"),
                ("x-accel-buffering", "yes"),
                ("allow", "BREW"),
                ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ] {
                let answer = call(&server, &[header]).await;
                assert_eq!(answer.status, 200);
                assert_eq!(answer.header(header.0), Some(header.1), "{header:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_runtime_adds_only_what_is_missing() {
    let server = server(config().cors_origins([PAGE]).cors_credentials(true), false).await;
    let exposed = "access-control-expose-headers";
    let origin = "access-control-allow-origin";
    let credentials = "access-control-allow-credentials";

    let answer = call(&server, &[]).await;
    assert_eq!(answer.header(origin), Some(PAGE));
    assert_eq!(answer.header(credentials), Some("true"));
    assert_eq!(answer.header(exposed), Some("x-request-id"));

    // Browsers reject credentials together with `*`.
    let answer = call(&server, &[(origin, "*")]).await;
    assert_eq!(answer.header(credentials), None);
    assert_eq!(answer.header(exposed), Some("x-request-id"));

    let answer = call(&server, &[("vary", "accept-language")]).await;
    let varies: Vec<_> = answer.head.all("vary").collect();
    assert_eq!(varies, ["accept-language", "origin"]);
    for vary in ["Accept, Origin", "*"] {
        let answer = call(&server, &[("vary", vary)]).await;
        assert_eq!(answer.header("vary"), Some(vary));
    }
}

#[tokio::test]
async fn an_author_cannot_change_the_request_id() {
    let server = server(config(), false).await;
    let request = invocation_with("x-request-id: r-1\r\n", r#"[["x-request-id","forged"]]"#);
    let answer = server.send(request).await;
    assert_eq!(answer.header("x-request-id"), Some("r-1"));
}
