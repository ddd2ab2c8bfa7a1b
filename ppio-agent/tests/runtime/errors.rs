//! Every error in `docs/http.md`, with its status, type and body.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::support::{Answer, TestServer, config, get, invocation, invocation_with};
use ppio::{AgentRuntimeApp, ByteSize, Error, Json, SseIter, Value, http};

/// Returns the documented errors: the status and type of each row of the table, without the rows
/// for the types of user errors.
fn documented() -> BTreeSet<(u16, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut rows = BTreeSet::new();
    for line in page.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(status), Some(types)) = (cells.next(), cells.next()) else {
            continue;
        };
        if let Ok(status) = status.parse() {
            let names = types.split('`').skip(1).step_by(2);
            rows.extend(names.map(|name| (status, name.to_owned())));
        }
    }
    rows
}

/// The errors that were received.
#[derive(Default)]
struct Answered(BTreeSet<(u16, String)>);

impl Answered {
    fn record(&mut self, answer: &Answer, status: u16, error_type: &str) -> String {
        self.0.insert((status, error_type.to_owned()));
        answer.error(status, error_type)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Fail,
    Panic,
    Unwritable,
    Hang,
    Own,
}

/// An agent that fails in the way that the request selects.
async fn fail_as_requested(order: Order) -> Result<Json<BTreeMap<(u8, u8), u8>>, Error> {
    match order {
        Order::Fail => Err(Error::internal("no luck")),
        Order::Own => Err(Error::not_found("no such city").with_type("NoCity")),
        Order::Panic => panic!("boom"),
        Order::Hang => std::future::pending().await,
        Order::Unwritable => Ok(Json(BTreeMap::from([((1, 2), 3)]))),
    }
}

#[tokio::test]
async fn every_documented_error_is_sent() {
    let short = Duration::from_millis(100);
    let settings = config()
        .max_request_size(ByteSize::new(200))
        .max_concurrency(1)
        .body_timeout(short)
        .timeout(2 * short);
    let app = AgentRuntimeApp::builder()
        .config(settings)
        .entrypoint(fail_as_requested)
        .build();
    let server = TestServer::start(app).await;
    let mut answered = Answered::default();

    for (body, status, error_type, text) in [
        (
            "{",
            400,
            "InvalidJson",
            "invalid JSON at line 1 column 1: EOF while parsing an object",
        ),
        (
            "",
            400,
            "InvalidJson",
            "the request body is empty; send a JSON value",
        ),
        (
            "\"dance\"",
            422,
            "ValidationError",
            "the request does not fit: unknown variant `dance`, expected one of `fail`, `panic`, `unwritable`, `hang`, `own` (at the top)",
        ),
        (
            "\"panic\"",
            500,
            "Panic",
            "the agent panicked; its log has the reason at request id r-1",
        ),
        (
            "\"unwritable\"",
            500,
            "SerializationError",
            "the answer cannot be written as JSON: key must be a string",
        ),
        (
            "\"hang\"",
            504,
            "Timeout",
            "the agent did not answer within 0.2 s",
        ),
    ] {
        let request = invocation_with("x-request-id: r-1\r\n", body);
        let answer = server.send(request).await;
        assert_eq!(answered.record(&answer, status, error_type), text);
    }
    server.invoke("\"fail\"").await.error(500, "AgentError");
    server.invoke("\"own\"").await.error(404, "NoCity");

    let answer = server.send(get("/nope")).await;
    let text = answered.record(&answer, 404, "NotFound");
    assert_eq!(
        text,
        "no route for /nope; this service has POST /invocations and GET /ping"
    );
    let put = get("/ping").replacen("GET", "PUT", 1);
    let answer = server.send(put).await;
    let text = answered.record(&answer, 405, "MethodNotAllowed");
    let methods = answer.header("allow").expect("the methods");
    assert_eq!(text, format!("PUT is not allowed for /ping; use {methods}"));

    let answer = server.invoke(&" ".repeat(201)).await;
    let text = answered.record(&answer, 413, "RequestTooLarge");
    assert_eq!(
        text,
        "the request body is larger than 200 (set PPIO_AGENT_MAX_REQUEST_SIZE to change this)"
    );
    check_requests_with_invalid_headers(&server, &mut answered).await;

    let request = invocation("\"fail\"");
    let cut = &request[..request.len() - 1];
    let mut slow = server.connect().await;
    slow.write(cut).await;
    let text = answered.record(&slow.answer().await, 408, "RequestTimeout");
    assert_eq!(text, "the request body did not arrive within 0.1 s");
    let mut broken = server.connect().await;
    broken.write(cut).await;
    tokio::io::AsyncWriteExt::shutdown(&mut broken.stream)
        .await
        .expect("a socket");
    answered.record(&broken.answer().await, 400, "IncompleteBody");

    let mut first = server.connect().await;
    first.write(invocation("\"hang\"")).await;
    crate::support::with_timeout("the start of the first invocation", async {
        while server.metric("invocations_running").await == 0 {}
    })
    .await;
    let answer = server.invoke("\"fail\"").await;
    let text = answered.record(&answer, 503, "Overloaded");
    assert_eq!(text, "the agent is already handling 1 requests; try again");
    assert_eq!(answer.header("retry-after"), Some("1"));
    server.idle().await;
    server.assert_alive().await;

    // `shutdown.rs` tests the error of a shutdown.
    answered.0.insert((503, "Draining".to_owned()));
    assert_eq!(answered.0, documented());
}

async fn check_requests_with_invalid_headers(server: &TestServer, answered: &mut Answered) {
    let plain = "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n\
                 content-length: 2\r\n\r\n{}";
    let answer = server.send(plain).await;
    let text = answered.record(&answer, 415, "UnsupportedMediaType");
    assert_eq!(
        text,
        "content type \"text/plain\" is not JSON; send `content-type: application/json`"
    );
    let foreign_host = "GET /ping HTTP/1.1\r\nhost: foreign.example\r\n\r\n";
    answered.record(&server.send(foreign_host).await, 421, "HostNotAllowed");
    let foreign_page = "POST /invocations HTTP/1.1\r\nhost: localhost\r\norigin: \
                        https://foreign.example\r\ncontent-length: 2\r\n\r\n{}";
    answered.record(&server.send(foreign_page).await, 403, "OriginNotAllowed");
    let without_host = "GET /ping HTTP/1.1\r\n\r\n";
    answered.record(&server.send(without_host).await, 400, "BadRequest");
}

#[derive(Debug, thiserror::Error)]
enum CityError {
    #[error("no city called {0}")]
    Unknown(String),
    #[error("the map cannot be read")]
    Map(#[from] std::io::Error),
}

#[tokio::test]
async fn a_user_error_is_a_500_with_its_text() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |what: String| -> Result<Value, ppio::BoxError> {
            match what.as_str() {
                "enum" => Err(CityError::Unknown("Ys".to_owned()).into()),
                "source" => Err(CityError::from(std::io::Error::other("disk")).into()),
                text => Err(text.into()),
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let said = async |what: &str| {
        let answer = server.invoke(&format!("\"{what}\"")).await;
        answer.error(500, "AgentError")
    };
    assert_eq!(said("enum").await, "no city called Ys");
    assert_eq!(
        said("source").await,
        "the map cannot be read",
        "the source of the error is only logged"
    );
    assert_eq!(said("just text").await, "just text");
    server.assert_alive().await;
}

#[tokio::test]
async fn an_error_is_sent_with_its_own_status() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |status: u16| -> Result<(), Error> {
            let status = http::StatusCode::from_u16(status).expect("a status");
            Err(Error::new(status, "an error with its own status"))
        })
        .build();
    let server = TestServer::start(app).await;
    for (status, answered, error_type) in [
        (400, 400, "BadRequest"),
        (401, 401, "Unauthorized"),
        (403, 403, "Forbidden"),
        (404, 404, "NotFound"),
        (418, 418, "RequestError"),
        (429, 429, "TooManyRequests"),
        (500, 500, "AgentError"),
        (503, 503, "Unavailable"),
        (599, 599, "AgentError"),
        // The status of an error is 400 or higher.
        (200, 500, "AgentError"),
        (302, 500, "AgentError"),
    ] {
        let answer = server.invoke(&status.to_string()).await;
        assert_eq!(
            answer.error(answered, error_type),
            "an error with its own status"
        );
    }
}

/// An item that cannot be written as JSON.
#[derive(Clone, Debug)]
struct Cursed;

impl fmt::Display for Cursed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cursed")
    }
}

impl serde::Serialize for Cursed {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("cursed"))
    }
}

#[tokio::test]
async fn an_error_within_a_stream_is_its_last_item() {
    let errors: [(&str, Error, &str); 2] = [
        ("plain", Error::internal("no luck"), "AgentError"),
        ("typed", Error::not_found("gone").with_type("Gone"), "Gone"),
    ];
    for (name, error, error_type) in errors {
        let text = error.message().to_owned();
        let items = std::sync::Mutex::new(Some(vec![Ok(1), Ok(2), Err(error), Ok(3)]));
        let items = std::sync::Arc::new(items);
        let app = AgentRuntimeApp::builder()
            .config(config())
            .entrypoint(move |_: Value| {
                let items = items.lock().expect("a lock").take().expect("one call");
                SseIter(items.into_iter())
            })
            .build();
        let server = TestServer::start(app).await;
        let events = server.invoke("1").await.events();
        let last = serde_json::json!({ "error": text, "error_type": error_type });
        assert_eq!(events, [Value::from(1), Value::from(2), last], "{name}");
    }
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| {
            let items = [None, Some(Cursed), None];
            SseIter(items.into_iter().map(Ok::<_, Error>))
        })
        .build();
    let server = TestServer::start(app).await;
    let events = server.invoke("1").await.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], Value::Null);
    assert_eq!(events[1]["error_type"], "SerializationError");
    assert_eq!(
        events[1]["error"],
        "the answer cannot be written as JSON: cursed"
    );
}
