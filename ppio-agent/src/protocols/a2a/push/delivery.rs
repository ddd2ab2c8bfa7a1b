//! Sends a notification.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Notification;
use super::config::PushConfig;
use super::slots::Slots;
use super::target::AddressError;
use crate::exchange::random;
use crate::protocols::a2a::wire::Version;

/// How long one attempt may take, from the lookup of the name to the status of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// The maximum number of attempts to send a notification that is not acknowledged.
pub(super) const ATTEMPTS: u32 = 4;

/// The shortest pause before the second attempt; each further pause is four times as long. A random
/// time of up to a quarter is added to a pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

const TOKEN: HeaderName = HeaderName::from_static("x-a2a-notification-token");

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("cannot set up TLS: {0}")]
    Tls(io::Error),
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the receiver answered with {0}")]
    Status(StatusCode),
    #[error("no answer within {} s", ATTEMPT_TIMEOUT.as_secs())]
    Timeout,
}

impl DeliveryError {
    /// Whether a later attempt may succeed.
    fn is_temporary(&self) -> bool {
        match self {
            Self::Address(AddressError::NotPublic) => false,
            Self::Status(status) => {
                let waits = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                status.is_server_error() || waits.contains(status)
            }
            _ => true,
        }
    }
}

/// Sends notifications.
pub(super) struct Delivery {
    pub(super) allows_private: bool,
    /// The TLS configuration, or the error for it; created at the first use, since loading the
    /// system's certificates takes milliseconds.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
    slots: Slots,
}

impl Delivery {
    pub(super) fn new(allows_private: bool) -> Self {
        Self {
            allows_private,
            tls: OnceLock::new(),
            slots: Slots::new(),
        }
    }

    /// Sends a notification until the receiver acknowledges it, there is nothing to send any more,
    /// an error is not temporary, or all attempts have failed.
    pub(super) async fn deliver(
        &self,
        task: &str,
        config: &PushConfig,
        notification: &Notification,
        attempts: u32,
    ) {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=attempts {
            let Ok(slot) = self.slots.acquire(&config.target).await else {
                return;
            };
            // The body is created only now, so that waiting notifications keep no task in memory.
            let Some(body) = notification.body(config.version).await else {
                return;
            };
            let sent = timeout(ATTEMPT_TIMEOUT, self.send(config, body)).await;
            drop(slot);
            let error = match sent {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => DeliveryError::Timeout,
            };
            let receiver = &config.target.host;
            if attempt == attempts || !error.is_temporary() {
                tracing::warn!(task, receiver, attempt, %error, "cannot send a push notification");
                return;
            }
            tracing::debug!(task, receiver, attempt, %error, "a push notification is sent again");
            // The pauses differ, so that the notifications for a receiver that was unreachable are
            // not all sent again at the same time.
            let [part, ..] = random::predictable().to_ne_bytes();
            sleep(pause + pause * u32::from(part) / 1024).await;
            pause *= 4;
        }
    }

    /// Makes one attempt, which connects only to addresses that were checked.
    async fn send(&self, config: &PushConfig, body: Bytes) -> Result<(), DeliveryError> {
        let target = &config.target;
        let addresses = target.addresses(self.allows_private).await?;
        let stream = TcpStream::connect(&*addresses).await;
        let stream = stream.map_err(DeliveryError::Connect)?;
        let status = if target.is_secure {
            let tls = self.tls().map_err(io::Error::other);
            let tls = tls.map_err(DeliveryError::Tls)?;
            let name = ServerName::try_from(target.host.trim_end_matches('.').to_owned());
            let name = name.map_err(|error| DeliveryError::Tls(io::Error::other(error)))?;
            let stream = TlsConnector::from(tls).connect(name, stream).await;
            exchange(stream.map_err(DeliveryError::Tls)?, config, body).await?
        } else {
            exchange(stream, config, body).await?
        };
        // A redirect is not followed: it is a failure, like all statuses that are not a success.
        if status.is_success() {
            Ok(())
        } else {
            Err(DeliveryError::Status(status))
        }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.tls.get_or_init(client_config).clone()
    }
}

/// Sends the request over a connection, and reads the status of the answer.
async fn exchange<S>(
    stream: S,
    config: &PushConfig,
    body: Bytes,
) -> Result<StatusCode, DeliveryError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let content_type = match config.version {
        Version::V1 => "application/a2a+json",
        Version::V0_3 => "application/json",
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = config.target.path.clone().into();
    let headers = request.headers_mut();
    headers.insert(HOST, config.target.authority.clone());
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    let agent = concat!("ppio-agent/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, http::HeaderValue::from_static(agent));
    if let Some(token) = &config.token {
        headers.insert(TOKEN, token.clone());
    }
    if let Some(authorization) = &config.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    let mut response = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut response => response,
        // The response, if there is one, arrived before the connection ended.
        _ = connection => response.await,
    };
    Ok(response?.status())
}

/// Returns a TLS configuration that trusts the system's certificates (or those of `SSL_CERT_FILE`
/// and `SSL_CERT_DIR`), or Mozilla's if the system has none.
///
/// # Errors
/// If the system's certificates cannot be read.
fn client_config() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        // A fallback would trust certificates that the user did not choose.
        if let Some(error) = found.errors.first() {
            return Err(error.to_string());
        }
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
