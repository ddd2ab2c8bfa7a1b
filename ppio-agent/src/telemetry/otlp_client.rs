//! The HTTP client of the exporters.
//!
//! The client sends on its own thread and tokio runtime: the exporters call it from threads without
//! a runtime, and user code can block every thread of the agent.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;

use super::error::TelemetryError;
use super::signal::TelemetrySignal;

/// The maximum size of a receiver's response, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

/// The name of the thread on which exports are sent.
const SENDER_THREAD: &str = "ppio-otlp";

/// Whether the current thread sends exports. The log lines of the HTTP client on this thread are
/// not the agent's, and are repeated with every export.
#[cfg(feature = "logging")]
pub(super) fn is_sender_thread() -> bool {
    std::thread::current().name() == Some(SENDER_THREAD)
}

/// The thread on which exports are sent, and its connections.
#[derive(Clone)]
pub(super) struct OtlpSender {
    runtime: Handle,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl OtlpSender {
    /// Starts the thread, which runs until the process ends. Certificates are loaded only for
    /// `https`, since loading them takes milliseconds.
    pub(super) fn start(uses_tls: bool) -> Result<Self, TelemetryError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(TelemetryError::Thread)?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name(SENDER_THREAD.to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(TelemetryError::Thread)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(uses_tls).map_err(TelemetryError::Thread)?)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            runtime: handle,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }
}

/// Returns a TLS configuration with the system's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR`
/// included), or with Mozilla's certificates if none of the system's are loaded.
fn tls(loads_certificates: bool) -> std::io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if loads_certificates {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = rustls::crypto::ring::default_provider();
    Ok(ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The client of one signal.
pub(super) struct OtlpClient {
    sender: OtlpSender,
    signal: TelemetrySignal,
    timeout: Duration,
    /// Whether the last export failed. Only a change is logged.
    is_failing: AtomicBool,
}

impl OtlpClient {
    pub(super) fn new(sender: &OtlpSender, signal: TelemetrySignal, timeout: Duration) -> Self {
        Self {
            sender: sender.clone(),
            signal,
            timeout,
            is_failing: AtomicBool::new(false),
        }
    }

    /// Logs the first failure of consecutive failures, and the first success after a failure.
    fn report(&self, endpoint: &Uri, failure: Option<String>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        let signal = self.signal.as_str();
        match failure {
            Some(error) if !was_failing => tracing::warn!(
                error,
                endpoint = %WithoutSecrets(endpoint),
                "cannot export {signal}; the agent continues without it"
            ),
            None if was_failing => tracing::info!("exporting {signal} again"),
            _ => {}
        }
    }
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient")
            .field("signal", &self.signal)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for OtlpClient {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sending<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let endpoint = request.uri().clone();
        let client = self.sender.client.clone();
        let timeout = self.timeout;
        let sending = self.sender.runtime.spawn(async move {
            let exchange = exchange(client, request);
            match tokio::time::timeout(timeout, exchange).await {
                Ok(response) => response,
                Err(_) => Err(format!("no response within {timeout:?}").into()),
            }
        });
        Box::pin(async move {
            let response = sending.await.unwrap_or_else(|error| Err(error.into()));
            let failure = match &response {
                Ok(response) if response.status().is_success() => None,
                Ok(response) => Some(format!("the receiver answered {}", response.status())),
                Err(error) => Some(chain(&**error)),
            };
            self.report(&endpoint, failure);
            response
        })
    }
}

async fn exchange(
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let response = client.request(request.map(Full::new)).await?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_RESPONSE).collect().await?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Displays an endpoint without its credentials and query.
struct WithoutSecrets<'a>(&'a Uri);

impl fmt::Display for WithoutSecrets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let host = self.0.host().unwrap_or_default();
        write!(f, "{scheme}://{host}")?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}
