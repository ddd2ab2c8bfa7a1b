//! `GET /`: a description of the service; in debug mode the playground for browsers.

use std::time::SystemTime;

use http::header::VARY;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::entrypoint_schema::{EntrypointSchema, LazySchema, SchemaFunction};
use super::ping::timestamp;
use crate::exchange::body::Response;
use crate::exchange::json;

/// The endpoint.
pub(crate) struct Index {
    debug: bool,
    has_metrics: bool,
    schema: LazySchema,
}

impl Index {
    pub(crate) fn new(debug: bool, has_metrics: bool, schema: SchemaFunction) -> Self {
        Self {
            debug,
            has_metrics,
            schema: LazySchema::new(schema),
        }
    }

    /// Answers `GET /`.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        if !self.debug {
            return self.description();
        }
        let mut response = self.debug_answer(headers);
        let vary = HeaderValue::from_static("accept");
        response.headers_mut().append(VARY, vary);
        response
    }

    #[cfg(feature = "playground")]
    fn debug_answer(&self, headers: &HeaderMap) -> Response {
        if wants_html(headers) {
            playground()
        } else {
            self.description()
        }
    }

    #[cfg(not(feature = "playground"))]
    fn debug_answer(&self, _: &HeaderMap) -> Response {
        self.description()
    }

    fn description(&self) -> Response {
        let body = Description {
            service: "PPIO Agent Runtime",
            version: env!("CARGO_PKG_VERSION"),
            status: "running",
            timestamp: timestamp(SystemTime::now()),
            endpoints: Endpoints {
                invocations: "/invocations",
                ping: "/ping",
                metrics: self.has_metrics.then_some("/metrics"),
            },
            schema: self.debug.then(|| self.schema.get()).flatten(),
        };
        json::response(StatusCode::OK, json::to_bytes(&body))
    }
}

/// Whether a browser opens the page; `curl` and the `fetch` of a page do not name HTML.
#[cfg(feature = "playground")]
fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(http::header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("text/html"))
}

#[cfg(feature = "playground")]
fn playground() -> Response {
    let page = ppio_agent_playground::page();
    let mut response = Response::new(page.html.into());
    for (name, value) in page.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[derive(Serialize)]
struct Description<'a> {
    service: &'static str,
    version: &'static str,
    status: &'static str,
    timestamp: String,
    endpoints: Endpoints,
    /// In debug mode only.
    #[serde(flatten)]
    schema: Option<&'a EntrypointSchema>,
}

#[derive(Serialize)]
struct Endpoints {
    invocations: &'static str,
    ping: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};

    use crate::testing::{TestAgent, TestReply};
    use crate::{AgentRuntimeApp, RequestContext, RuntimeConfig};

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[derive(serde::Deserialize, serde::Serialize)]
    struct Question {
        prompt: String,
        loud: Option<bool>,
    }

    async fn index(debug: bool, accept: &str) -> TestReply {
        let app = AgentRuntimeApp::builder()
            .entrypoint(
                |question: Question, _: RequestContext| async move { crate::Json(question) },
            )
            .config(RuntimeConfig::new().debug(debug))
            .build()
            .unwrap();
        let request = TestAgent::new(app).request(Method::GET, "/");
        request.header("accept", accept).send().await
    }

    #[tokio::test]
    async fn a_browser_gets_the_page_in_debug_mode() {
        let reply = index(true, BROWSER).await;
        assert_eq!(reply.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(reply.headers()["vary"], "accept");
        assert_eq!(reply.headers()["cache-control"], "no-store");
        let policy = reply.headers()["content-security-policy"].clone();
        let policy = policy.to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        let nonce = policy.split("script-src 'nonce-").nth(1).unwrap();
        let nonce = nonce.split('\'').next().unwrap();
        let page = reply.text().await;
        assert!(page.starts_with("<!doctype html>"), "{page:.100}");
        for tag in ["<script nonce=\"", "<style nonce=\""] {
            assert_eq!(page.matches(&format!("{tag}{nonce}\"")).count(), 1, "{tag}");
        }
        assert!(!page.contains("{{"), "every placeholder is filled");
    }

    #[tokio::test]
    async fn the_page_loads_nothing_from_elsewhere() {
        let page = index(true, BROWSER).await.text().await;
        for reference in [
            "http://",
            "https://",
            "src=",
            "@import",
            "url(",
            "innerHTML",
        ] {
            let rest = page.replace("http://www.w3.org/", "");
            assert!(!rest.contains(reference), "{reference}");
        }
    }

    #[tokio::test]
    async fn programs_are_told_what_the_entrypoint_takes() {
        let reply = index(true, "*/*").await;
        assert_eq!(reply.headers()["vary"], "accept");
        let body: Value = reply.json().await;
        assert_eq!(
            body["request"],
            json!({
                "title": "Question",
                "type": "object",
                "properties": {"prompt": {"type": "string"}, "loud": {"type": "boolean"}},
                "required": ["prompt"],
            })
        );
    }

    #[tokio::test]
    async fn without_debug_mode_everybody_gets_the_same_short_answer() {
        let reply = index(false, BROWSER).await;
        assert_eq!(reply.headers()["content-type"], "application/json");
        let body: Value = reply.json().await;
        assert_eq!(body["status"], "running");
        assert_eq!(body.get("request"), None);
    }

    #[tokio::test]
    async fn a_synchronous_entrypoint_is_asked_without_being_called() {
        let app = AgentRuntimeApp::builder()
            .entrypoint(|number: u8| -> u8 { panic!("called with {number}") })
            .config(RuntimeConfig::new().debug(true))
            .build()
            .unwrap();
        let reply = TestAgent::new(app).request(Method::GET, "/").send().await;
        let body: Value = reply.json().await;
        assert_eq!(body["request"]["maximum"], 255);
    }
}
