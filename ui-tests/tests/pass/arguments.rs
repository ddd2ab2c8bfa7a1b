//! The arguments of the attributes.

use crate::http::{Expected, get, invoke};

/// A crate of the application that re-exports `ppio`.
mod facade {
    pub(crate) mod agents {
        pub(crate) use ppio as runtime;
    }
}

mod renamed {
    use super::facade::agents::runtime::{Next, PingStatus, Request, Response, Value};
    use super::{Expected, get, invoke};

    /// Shadows the crate, as if it were not a dependency of the application.
    #[allow(dead_code)]
    mod ppio {}

    #[::ppio::entrypoint(crate = super::facade::agents::runtime)]
    async fn agent(request: Value) -> Value {
        request
    }

    #[::ppio::ping(crate = crate::arguments::facade::agents::runtime)]
    fn health() -> PingStatus {
        PingStatus::HealthyBusy
    }

    #[::ppio::middleware(order = 1, crate = super::facade::agents::runtime, all)]
    async fn layer(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        let value = hyper::header::HeaderValue::from_static("yes");
        response.headers_mut().insert("x-layer", value);
        response
    }

    #[tokio::test]
    async fn applies_to_all_three() {
        let response = invoke(module_path!(), "1").await;
        response.assert(&Expected::Value(1.into()));
        let ping = get(module_path!(), "/ping").await;
        assert_eq!(ping.json()["status"], "HealthyBusy");
        assert!(ping.has("x-layer: yes"));
    }
}

mod config {
    use ppio::{ByteSize, RuntimeConfig, Value};

    use super::{get, invoke};

    fn small() -> RuntimeConfig {
        RuntimeConfig::new().max_request_size(ByteSize::new(8))
    }

    #[ppio::entrypoint(config = small().enable_metrics(false))]
    fn agent(request: Value) -> Value {
        request
    }

    #[tokio::test]
    async fn is_applied() {
        assert_eq!(invoke(module_path!(), "12345678").await.status, 200);
        assert_eq!(invoke(module_path!(), "123456789").await.status, 413);
        assert_eq!(get(module_path!(), "/metrics").await.status, 404);
    }
}

mod config_block {
    use ppio::{RuntimeConfig, Value};

    #[ppio::entrypoint(config = {
        let require = true;
        RuntimeConfig::new().require_ping(require)
    },)]
    fn agent(request: Value) -> Value {
        request
    }

    #[test]
    fn reports_a_missing_required_ping() {
        let error = ppio::AgentRuntimeApp::annotated_in(module_path!()).unwrap_err();
        assert!(error.to_string().starts_with("`agent` at "), "{error}");
    }
}

mod policies {
    use ppio::{RuntimeConfig, Value};

    use super::{get, invoke};

    #[ppio::entrypoint(
        on_disconnect = "continue",
        config = RuntimeConfig::new().enable_metrics(false),
        session_concurrency = "queue",
    )]
    fn agent(request: Value) -> Value {
        request
    }

    #[tokio::test]
    async fn are_applied_with_the_configuration() {
        assert_eq!(invoke(module_path!(), "1").await.status, 200);
        assert_eq!(get(module_path!(), "/metrics").await.status, 404);
    }
}

mod two_entrypoints {
    mod first {
        #[ppio::entrypoint]
        fn agent(request: ppio::Value) -> ppio::Value {
            request
        }
    }

    mod second {
        #[ppio::entrypoint]
        fn other(request: ppio::Value) -> ppio::Value {
            request
        }
    }

    #[test]
    fn are_an_error_that_names_both() {
        let error = ppio::AgentRuntimeApp::annotated_in(module_path!()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`agent` at ") && text.contains("`other` at "),
            "{text}"
        );
    }
}
