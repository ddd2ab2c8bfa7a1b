//! The return types of pings.

use std::fmt;

use ppio::{PingResponse, PingStatus, Value, json};

use crate::http::get;

type Alias = Result<PingStatus, Broken>;

/// An error that implements `Display` and nothing else.
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no model")
    }
}

/// Makes two pings of each row: `async` and not.
macro_rules! pings {
    ($($name:ident: [$($output:tt)+] $body:block => $status:literal, $expected:literal;)+) => {$(
        mod $name {
            pings!(check asynchronous [async] [$($output)+] $body);
            pings!(check synchronous [] [$($output)+] $body);

            #[tokio::test]
            async fn responds() {
                for check in ["asynchronous", "synchronous"] {
                    let module = format!("{}::{check}", module_path!());
                    let response = super::get(&module, "/ping").await;
                    assert_eq!(response.status, $status);
                    assert_eq!(response.json()["status"], $expected);
                }
            }
        }
    )+};

    (check $name:ident [$($async:ident)?] [$($output:tt)+] $body:block) => {
        mod $name {
            #[allow(unused_imports)]
            use super::super::*;

            #[ppio::entrypoint]
            fn agent(request: Value) -> Value {
                request
            }

            #[ppio::ping]
            $($async)? fn health() -> $($output)+ $body
        }
    };
}

pings! {
    status: [PingStatus] { PingStatus::HealthyBusy } => 200, "HealthyBusy";
    status_in_result: [Result<PingStatus, String>] { Ok(PingStatus::Healthy) } => 200, "Healthy";
    response: [PingResponse] { PingResponse::new(PingStatus::HealthyBusy) } => 200, "HealthyBusy";
    response_in_result: [Result<PingResponse, std::io::Error>] {
        Ok(PingResponse::new(PingStatus::Healthy))
    } => 200, "Healthy";
    value: [Value] { json!({ "status": "busy" }) } => 200, "HealthyBusy";
    opaque: [impl ppio::IntoPing] { PingStatus::Healthy } => 200, "Healthy";
    fails: [Alias] { Err(Broken) } => 500, "HealthyBusy";
    fails_with_anything: [anyhow::Result<PingStatus>] { Err(anyhow::anyhow!("no")) }
        => 500, "HealthyBusy";
    fails_in_a_box: [Result<PingStatus, Box<dyn std::error::Error>>] { Err("no".into()) }
        => 500, "HealthyBusy";
}

mod two {
    use ppio::Value;

    #[ppio::entrypoint]
    fn agent(request: Value) -> Value {
        request
    }

    mod first {
        #[ppio::ping]
        fn health() -> ppio::PingStatus {
            ppio::PingStatus::Healthy
        }
    }

    mod second {
        #[ppio::ping]
        fn other_health() -> ppio::PingStatus {
            ppio::PingStatus::Healthy
        }
    }

    #[test]
    fn are_an_error_that_names_both() {
        let error = ppio::AgentRuntimeApp::annotated_in(module_path!()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`health` at ") && text.contains("`other_health` at "),
            "{text}"
        );
    }
}
