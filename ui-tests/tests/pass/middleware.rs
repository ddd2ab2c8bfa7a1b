//! The order, the routes and the return types of middleware.

use ppio::{Error, Next, Request, Response, Value};

use crate::http::{HttpResponse, get, invoke, teapot};

/// Appends the name of a middleware to the header `x-seen`.
fn mark(mut response: Response, name: &'static str) -> Response {
    let value = hyper::header::HeaderValue::from_static(name);
    response.headers_mut().append("x-seen", value);
    response
}

/// Returns the middleware that ran, innermost first.
fn seen(response: &HttpResponse) -> Vec<&'static str> {
    response
        .values("x-seen")
        .map(|name| NAMES.into_iter().find(|it| *it == name).expect("a name"))
        .collect()
}

const NAMES: [&str; 5] = ["first", "second", "third", "last", "everywhere"];

mod order {
    use super::{Next, Request, Response, Value, get, invoke, mark, seen};

    #[ppio::entrypoint]
    fn agent(request: Value) -> Value {
        request
    }

    #[ppio::middleware(order = 2147483647)]
    async fn last(request: Request, next: Next) -> Response {
        mark(next.run(request).await, "last")
    }

    #[ppio::middleware]
    async fn second(request: Request, next: Next) -> Response {
        mark(next.run(request).await, "second")
    }

    #[ppio::middleware(order = 0)]
    async fn third(request: Request, next: Next) -> Response {
        mark(next.run(request).await, "third")
    }

    #[ppio::middleware(order = -10)]
    async fn first(request: Request, next: Next) -> Response {
        mark(next.run(request).await, "first")
    }

    #[ppio::middleware(all, order = -2147483648)]
    async fn everywhere(request: Request, next: Next) -> Response {
        mark(next.run(request).await, "everywhere")
    }

    #[tokio::test]
    async fn the_lowest_is_outermost_and_ties_go_in_source_order() {
        let response = invoke(module_path!(), "1").await;
        assert_eq!(
            seen(&response),
            ["last", "third", "second", "first", "everywhere"]
        );
    }

    #[tokio::test]
    async fn only_all_wraps_every_route() {
        for path in ["/ping", "/", "/metrics", "/nowhere"] {
            assert_eq!(
                seen(&get(module_path!(), path).await),
                ["everywhere"],
                "{path}"
            );
        }
    }
}

/// Makes one middleware of each row, around an agent that returns its request.
macro_rules! layers {
    ($($name:ident: [$($output:tt)+] |$request:ident, $next:ident| $body:block
        => $status:literal, $text:literal;)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[ppio::entrypoint]
            fn agent(request: Value) -> Value {
                request
            }

            #[ppio::middleware]
            async fn layer($request: Request, $next: Next) -> $($output)+ $body

            #[tokio::test]
            async fn responds() {
                let response = invoke(module_path!(), "[1]").await;
                assert_eq!(response.status, $status);
                assert!(response.body.contains($text), "{}", response.body);
            }
        }
    )+};
}

type AgentResult<T = Response> = Result<T, Error>;

layers! {
    response: [Response] |request, next| { next.run(request).await } => 200, "[1]";
    in_result: [Result<Response, Error>] |request, next| { Ok(next.run(request).await) }
        => 200, "[1]";
    alias: [AgentResult] |request, next| { Ok(next.run(request).await) } => 200, "[1]";
    opaque: [impl ppio::IntoResponse] |request, next| { next.run(request).await } => 200, "[1]";
    short_circuit: [Response] |_request, _next| { teapot("short".to_owned()) } => 418, "short";
    refuses: [AgentResult] |_request, _next| { Err(Error::unauthorized("no token")) }
        => 401, "no token";
    refuses_with_a_box: [Result<Response, Box<dyn std::error::Error + Send + Sync>>]
        |_request, _next| { Err(Error::forbidden("wrong token"))? } => 403, "wrong token";
    refuses_with_anything: [anyhow::Result<Response>] |_request, _next| {
        Err(anyhow::anyhow!("broken"))
    } => 500, "broken";
}
