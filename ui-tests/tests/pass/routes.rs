//! The signatures of routes functions.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get as on_get;
use ppio::{Body, Request, Response, State, Value};

use crate::http::get;

type Alias = Result<Router, Broken>;

/// An error that implements `Display` and nothing else.
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no routes")
    }
}

/// A custom service, without axum.
#[derive(Clone)]
struct Own(&'static str);

impl tower_service::Service<Request> for Own {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        let text = self.0;
        Box::pin(async move { Ok(Response::new(Body::from(text))) })
    }
}

fn text(text: &'static str) -> Router {
    Router::new().route("/text", on_get(async move || text))
}

/// Makes an agent with a routes function of each row: `async` and not.
macro_rules! routes {
    ($($name:ident: ($($parameters:tt)*) [$($output:tt)+] $body:block;)+) => {$(
        mod $name {
            routes!(served asynchronous [async] ($($parameters)*) [$($output)+] $body);
            routes!(served synchronous [] ($($parameters)*) [$($output)+] $body);

            #[tokio::test]
            async fn responds() {
                for served in ["asynchronous", "synchronous"] {
                    let module = format!("{}::{served}", module_path!());
                    let response = super::get(&module, "/text").await;
                    assert_eq!((response.status, &*response.body), (200, "text"));
                    assert_eq!(super::get(&module, "/ping").await.status, 200);
                }
            }
        }
    )+};

    (served $name:ident [$($async:ident)?] ($($parameters:tt)*) [$($output:tt)+] $body:block) => {
        mod $name {
            #[allow(unused_imports)]
            use super::super::*;

            #[ppio::entrypoint]
            fn agent(request: Value) -> Value {
                request
            }

            /// The text that the routes answer with.
            #[allow(dead_code)]
            struct Text(&'static str);

            #[ppio::startup]
            fn build() -> Text {
                Text("text")
            }

            #[ppio::routes]
            $($async)? fn routes($($parameters)*) -> $($output)+ $body
        }
    };
}

routes! {
    router: () [Router] { text("text") };
    router_in_result: () [Result<Router, std::io::Error>] { Ok(text("text")) };
    router_in_alias: () [Alias] { Ok(text("text")) };
    router_in_anyhow: () [anyhow::Result<Router>] { Ok(text("text")) };
    own_service: () [Own] { Own("text") };
    opaque: () [impl tower_service::Service<
        Request,
        Response = Response,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone + Send + use<>] { Own("text") };
    state: (state: State<Text>) [Router] { text(state.0.0) };
    state_by_reference: (state: &State<Text>) [Result<Router, String>] { Ok(text(state.0.0)) };
}

#[ppio::routes]
fn callable() -> Router {
    text("callable")
}

#[test]
fn the_function_stays_callable() {
    assert!(callable().has_routes());
}

mod refused {
    mod twice {
        #[ppio::entrypoint]
        async fn agent(request: ppio::Value) -> ppio::Value {
            request
        }

        mod first {
            #[ppio::routes]
            fn routes() -> axum::Router {
                axum::Router::new()
            }
        }

        mod second {
            #[ppio::routes]
            fn more() -> axum::Router {
                axum::Router::new()
            }
        }
    }

    mod failing {
        #[ppio::entrypoint]
        async fn agent(request: ppio::Value) -> ppio::Value {
            request
        }

        #[ppio::routes]
        async fn routes() -> Result<axum::Router, super::super::Broken> {
            Err(super::super::Broken)
        }
    }

    use ppio::AgentRuntimeApp;

    #[tokio::test]
    async fn two_functions_and_one_that_fails() {
        let here = module_path!();
        let twice = AgentRuntimeApp::annotated_in(&format!("{here}::twice"));
        let error = twice.map(drop).expect_err("two functions").to_string();
        for part in ["two routes functions", "`routes` at", "`more` at"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        let failing = AgentRuntimeApp::annotated_in(&format!("{here}::failing"));
        let failing = failing.expect("a valid agent");
        let error = failing.start().await.map(drop).expect_err("no routes");
        let error = error.to_string();
        for part in ["the routes function `routes` at", "failed: no routes"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
