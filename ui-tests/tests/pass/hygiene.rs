//! Checks that the expansion does not collide with names that the user chooses.

use ::ppio::json;

use crate::http::{Expected, get, invoke};

/// Makes agents, pings and middleware under names that the expansion may use itself.
macro_rules! named {
    ($($name:ident)+) => {$(
        mod $name {
            use super::{Expected, get, invoke, json};

            mod service {
                #[ppio::entrypoint]
                async fn $name(request: ppio::Value) -> ppio::Value {
                    request
                }

                mod check {
                    #[ppio::ping]
                    fn $name() -> ppio::PingStatus {
                        ppio::PingStatus::HealthyBusy
                    }
                }

                mod layer {
                    #[ppio::middleware]
                    async fn $name(request: ppio::Request, next: ppio::Next) -> ppio::Response {
                        next.run(request).await
                    }
                }

                struct Word;

                mod build {
                    #[ppio::startup]
                    async fn $name() -> super::Word {
                        super::Word
                    }
                }

                mod serve {
                    #[ppio::routes]
                    fn $name(_: &ppio::State<super::Word>) -> axum::Router {
                        axum::Router::new()
                    }
                }

                mod release {
                    #[ppio::shutdown]
                    fn $name(_: &ppio::State<super::Word>) {}
                }
            }

            #[tokio::test]
            async fn is_accepted() {
                let response = invoke(module_path!(), "1").await;
                response.assert(&Expected::Value(json!(1)));
                assert_eq!(get(module_path!(), "/ping").await.json()["status"], "HealthyBusy");
            }
        }
    )+};
}

named! {
    agent answer call config context core entrypoint fail inventory job middleware next outlet
    output ping place ppio probe r#async r#type reply request response start std value
}

mod shadowed {
    #![allow(non_camel_case_types, dead_code)]

    //! Names of the prelude have another meaning in this module.

    struct Result;
    struct Option;
    struct Some;
    struct Ok;
    struct Err;
    struct Box;
    struct String;
    mod core {}
    mod std {}
    mod ppio {}
    trait Probe {
        fn future(&self) {}
        fn reply(&self) {}
        fn shape(&self) {}
        fn then(&self) {}
        fn deliver(&self) {}
    }
    impl<T> Probe for T {}

    use ::ppio::{Next, PingStatus, Request, Response, Value};

    #[::ppio::entrypoint]
    fn agent(request: Value, _context: &::ppio::RequestContext) -> Value {
        request
    }

    #[::ppio::ping]
    async fn health() -> PingStatus {
        PingStatus::Healthy
    }

    #[::ppio::middleware]
    async fn layer(request: Request, next: Next) -> Response {
        next.run(request).await
    }

    #[tokio::test]
    async fn does_not_affect_the_expansion() {
        let response = crate::http::invoke(::std::module_path!(), "1").await;
        response.assert(&crate::http::Expected::Value(1.into()));
    }
}

mod conditional {
    use ppio::Value;

    #[ppio::entrypoint]
    #[cfg(not(test))]
    fn agent(request: Value) -> Value {
        request
    }

    #[ppio::entrypoint]
    #[cfg(test)]
    fn agent(request: Value) -> [Value; 1] {
        [request]
    }

    #[ppio::ping]
    #[cfg(not(test))]
    fn health() -> ppio::PingStatus {
        ppio::PingStatus::Healthy
    }

    #[tokio::test]
    async fn registers_only_what_is_compiled() {
        let response = crate::http::invoke(module_path!(), "1").await;
        response.assert(&crate::http::Expected::Value(ppio::json!([1])));
    }
}

mod callable {
    use ppio::{PingStatus, RequestContext};

    #[ppio::entrypoint]
    async fn agent(request: String, context: &RequestContext) -> usize {
        request.len() + context.request_id().len()
    }

    #[ppio::ping]
    pub(super) fn health() -> PingStatus {
        PingStatus::HealthyBusy
    }

    #[tokio::test]
    async fn leaves_the_functions_callable() {
        assert_eq!(agent("hi".to_owned(), &RequestContext::new()).await, 38);
        assert_eq!(health(), PingStatus::HealthyBusy);
    }
}
