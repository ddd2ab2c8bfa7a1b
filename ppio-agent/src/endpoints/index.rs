//! `GET /`: a description of the service; in debug mode the playground for browsers.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::VARY;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::entrypoint_schema::{EntrypointSchema, LazySchema};
use super::ping::timestamp;
use crate::exchange::agent_info::AgentInfo;
use crate::exchange::body::Response;
use crate::exchange::json;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::stalls::{AsyncFunctions, BlockingFunction};

/// The endpoint `GET /`.
pub(crate) struct IndexEndpoint {
    debug: bool,
    info: AgentInfo,
    protocols: Vec<&'static str>,
    endpoints: EndpointPaths,
    schema: Arc<LazySchema>,
}

impl IndexEndpoint {
    pub(crate) fn new(
        settings: &RuntimeSettings,
        info: AgentInfo,
        has_websocket: bool,
        schema: Arc<LazySchema>,
    ) -> Self {
        let protocols = settings.protocols.iter();
        Self {
            debug: settings.debug,
            info,
            protocols: protocols.map(|protocol| protocol.as_str()).collect(),
            endpoints: EndpointPaths {
                invocations: "/invocations",
                ping: "/ping",
                metrics: settings.enable_metrics.then_some("/metrics"),
                openapi: settings.enable_openapi.then_some("/openapi.json"),
                websocket: has_websocket.then_some("/ws"),
            },
            schema,
        }
    }

    /// Answers `GET /`.
    pub(crate) fn answer(&self, headers: &HeaderMap, functions: &AsyncFunctions) -> Response {
        if !self.debug {
            return self.description(Vec::new());
        }
        let mut response = self.debug_answer(headers, functions);
        let vary = HeaderValue::from_static("accept");
        response.headers_mut().append(VARY, vary);
        response
    }

    #[cfg(feature = "playground")]
    fn debug_answer(&self, headers: &HeaderMap, functions: &AsyncFunctions) -> Response {
        if wants_html(headers) {
            playground()
        } else {
            self.description(functions.blocking())
        }
    }

    #[cfg(not(feature = "playground"))]
    fn debug_answer(&self, _: &HeaderMap, functions: &AsyncFunctions) -> Response {
        self.description(functions.blocking())
    }

    fn description(&self, blocking: Vec<BlockingFunction>) -> Response {
        let body = Description {
            service: "PPIO Agent Runtime",
            version: env!("CARGO_PKG_VERSION"),
            status: "running",
            timestamp: timestamp(SystemTime::now()),
            agent: self.debug.then_some(AgentDetails {
                name: self.info.name,
                version: self.info.version,
                description: self.info.description,
            }),
            protocols: &self.protocols,
            blocking,
            endpoints: &self.endpoints,
            schema: self.debug.then(|| self.schema.get()).flatten(),
        };
        json::response(StatusCode::OK, json::to_bytes(&body))
    }
}

/// Whether `Accept` names HTML, as it does when a browser opens `GET /`. Requests of `curl` and of
/// `fetch` do not name HTML in `Accept`.
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
    /// The details of the agent; only in debug mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentDetails>,
    endpoints: &'a EndpointPaths,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    protocols: &'a [&'static str],
    /// The functions that have blocked an async worker; only in debug mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocking: Vec<BlockingFunction>,
    /// The schemas of the entrypoint; only in debug mode.
    #[serde(flatten)]
    schema: Option<&'a EntrypointSchema>,
}

#[derive(Serialize)]
struct AgentDetails {
    name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
}

#[derive(Serialize)]
struct EndpointPaths {
    invocations: &'static str,
    ping: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openapi: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    websocket: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::Value;
    #[cfg(feature = "schema")]
    use serde_json::json;

    use crate::testing::{TestAgent, TestReply};
    use crate::{AgentRuntimeApp, RequestContext, RuntimeConfig};

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[derive(serde::Deserialize, serde::Serialize)]
    struct Request {
        prompt: String,
        loud: Option<bool>,
    }

    async fn index(debug: bool, accept: &str) -> TestReply {
        let app = AgentRuntimeApp::builder()
            .entrypoint(|request: Request, _: RequestContext| async move { crate::Json(request) })
            .config(RuntimeConfig::new().debug(debug))
            .build()
            .unwrap();
        let request = TestAgent::new(app).request(Method::GET, "/");
        request.header("accept", accept).send().await
    }

    #[cfg(feature = "playground")]
    #[tokio::test]
    async fn a_browser_gets_the_playground_in_debug_mode() {
        let reply = index(true, BROWSER).await;
        assert_eq!(reply.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(reply.headers()["vary"], "accept");
        assert!(reply.headers().contains_key("content-security-policy"));
        let page = reply.text().await;
        assert!(page.starts_with("<!doctype html>"), "{page:.100}");
    }

    #[cfg(feature = "schema")]
    #[tokio::test]
    async fn programs_get_the_schema_of_the_request() {
        let reply = index(true, "*/*").await;
        assert_eq!(reply.headers()["vary"], "accept");
        let body: Value = reply.json().await;
        assert_eq!(
            body["request"],
            json!({
                "title": "Request",
                "type": "object",
                "properties": {"prompt": {"type": "string"}, "loud": {"type": "boolean"}},
                "required": ["prompt"],
            })
        );
    }

    #[tokio::test]
    async fn without_debug_mode_all_clients_get_the_description() {
        let reply = index(false, BROWSER).await;
        assert_eq!(reply.headers()["content-type"], "application/json");
        let body: Value = reply.json().await;
        assert_eq!(body["status"], "running");
        assert_eq!(body.get("request"), None);
    }

    #[cfg(feature = "schema")]
    #[tokio::test]
    async fn the_schema_is_computed_without_a_call() {
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
