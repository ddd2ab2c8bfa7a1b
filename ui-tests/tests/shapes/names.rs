//! The expansion lives with any names that its author uses.

use ::ppio::json;

use crate::answer::Expected;
use crate::served::{get, invoke};

/// Agents, pings and middleware whose names are what the expansion might call its own things.
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
            }

            #[tokio::test]
            async fn is_a_good_name() {
                let answer = invoke(module_path!(), "1").await;
                answer.assert(&Expected::Value(json!(1)));
                assert_eq!(get(module_path!(), "/ping").await.json()["status"], "HealthyBusy");
            }
        }
    )+};
}

named! {
    agent answer call config context core entrypoint fail inventory job middleware next outlet
    output ping place ppio probe r#async r#type reply request start std
}

mod shadowed {
    #![allow(non_camel_case_types, dead_code)]

    //! Names of the prelude mean something else here.

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
    async fn names_do_not_matter() {
        let answer = crate::served::invoke(::std::module_path!(), "1").await;
        answer.assert(&crate::answer::Expected::Value(1.into()));
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
    async fn only_what_is_compiled_is_registered() {
        let answer = crate::served::invoke(module_path!(), "1").await;
        answer.assert(&crate::answer::Expected::Value(ppio::json!([1])));
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
    async fn the_functions_stay_what_they_were() {
        assert_eq!(agent("hi".to_owned(), &RequestContext::new()).await, 38);
        assert_eq!(health(), PingStatus::HealthyBusy);
    }
}
