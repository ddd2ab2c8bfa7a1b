//! Requests to a running `agent dev`.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dev::telemetry::BASE_PATH;
use crate::error::{CliError, ExitKind};

/// The longest time that an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer, in MiB. Answers of `agent dev` are usually smaller, because `agent dev`
/// keeps less.
const MAX_ANSWER: usize = 128;

/// The server of `agent dev` on a port of this machine.
#[derive(Debug)]
pub(super) struct DevServer {
    port: u16,
}

/// The error that `agent dev` answers with.
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: String,
    error_type: String,
}

impl DevServer {
    pub(super) fn new(port: u16) -> Self {
        Self { port }
    }

    /// Requests the path that consists of these segments.
    pub(super) async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, CliError> {
        let segments: Vec<_> = segments
            .iter()
            .map(|segment| utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string())
            .collect();
        let query = serde_urlencoded::to_string(query)
            .map_err(|error| CliError::system("cannot write the query", error))?;
        let target = format!("{BASE_PATH}{}?{query}", segments.join("/"));
        let answer = timeout(ANSWER_TIMEOUT, self.send(&target)).await;
        let (is_success, body) = answer.map_err(|_| {
            let seconds = ANSWER_TIMEOUT.as_secs();
            self.is_other_program(format!("no answer within {seconds} s"))
        })??;
        if is_success {
            return serde_json::from_slice(&body)
                .map_err(|error| self.is_other_program(error.to_string()));
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error, error_type }) if error_type == "TraceNotFound" => {
                Err(CliError::new(ExitKind::Usage, error)
                    .help("list the traces with `ppio-sandbox-cli agent traces list`"))
            }
            Ok(body) => Err(self.is_other_program(body.error)),
            Err(_) => Err(self.is_other_program("the answer is not one of `agent dev`")),
        }
    }

    /// Reads a part of an answer.
    pub(super) fn read<T: DeserializeOwned>(&self, value: &Value) -> Result<T, CliError> {
        T::deserialize(value).map_err(|error| self.is_other_program(error.to_string()))
    }

    async fn send(&self, target: &str) -> Result<(bool, Vec<u8>), CliError> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .map_err(|error| {
                let message = format!("no `agent dev` listens on port {}", self.port);
                CliError::new(ExitKind::Platform, message)
                    .caused_by(&error)
                    .help(
                        "start the server with `ppio-sandbox-cli agent dev`, or name its port with \
                         `--port`",
                    )
            })?;
        let request = Request::builder()
            .uri(target)
            .header(header::HOST, HeaderValue::from_static("localhost"))
            .body(Body::empty())
            .map_err(|error| CliError::system("cannot write the request", error))?;
        let answered = async {
            let response = ppio_sandbox_local::forward(stream, request, ()).await;
            let response = response.map_err(|error| error.to_string())?;
            let is_success = response.status().is_success();
            let body = Limited::new(response.into_body(), MAX_ANSWER * 1024 * 1024);
            let body = body.collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    format!("the answer has more than {MAX_ANSWER} MiB")
                } else {
                    error.to_string()
                }
            })?;
            let body = body.to_bytes();
            Ok::<_, String>((is_success, body.to_vec()))
        };
        answered.await.map_err(|error| self.is_other_program(error))
    }

    /// Returns the error if another program, or an older `agent dev`, listens on the port.
    fn is_other_program(&self, cause: impl Into<String>) -> CliError {
        let message = format!("port {} does not answer as `agent dev`", self.port);
        CliError::new(ExitKind::Platform, message)
            .cause(cause)
            .help("name the port of `agent dev` with `--port`")
    }
}
