//! Forwards a request over a connection without buffering the request or its response.

use axum::body::Body;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::tunnel::tunnel;

/// Headers that apply to one connection and are not forwarded (RFC 9110, section 7.6.1; RFC 2616,
/// section 13.5.1).
const FOR_ONE_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends `request` over `stream`, a new connection to an HTTP/1.1 server, and returns the response
/// once its status line and headers were received.
///
/// Bodies are streamed in both directions; an upgrade (a WebSocket) is tunnelled as long as both
/// sides are connected. Dropping the future, or the response unless it is an upgrade, closes the
/// connection. `held` is dropped when the connection has ended, even after an upgrade.
///
/// # Errors
///
/// If the server closed the connection before it answered, the server's answer is not HTTP, or the
/// body of the request ends with an error.
pub async fn forward(
    stream: TcpStream,
    mut request: Request<Body>,
    held: impl Clone + Send + 'static,
) -> Result<Response<Body>, hyper::Error> {
    // Sends small chunks of a stream without delay.
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        // Keeps the case of header names, if the server that received the request kept it.
        .preserve_header_case(true)
        .handshake(TokioIo::new(stream))
        .await?;
    // The task ends with the connection: after the response body, or when the caller disconnects.
    let held_by_connection = held.clone();
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a forwarded connection broke");
        }
        drop(held_by_connection);
    });

    let wanted_upgrade = upgrade_protocol(request.headers());
    let caller_upgrade = wanted_upgrade
        .as_ref()
        .map(|_| hyper::upgrade::on(&mut request));
    prepare(&mut request, wanted_upgrade.as_ref());
    let mut response = sender.send_request(request).await?;

    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(caller_upgrade) = caller_upgrade
    {
        let server_upgrade = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let _held = held;
            let (Ok(caller), Ok(server)) = tokio::join!(caller_upgrade, server_upgrade) else {
                return;
            };
            tunnel(TokioIo::new(caller), TokioIo::new(server)).await;
        });
        return Ok(response.map(|_| Body::empty()));
    }
    remove_connection_headers(response.headers_mut());
    Ok(response.map(Body::new))
}

fn upgrade_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    asked
        .then(|| headers.get(header::UPGRADE).cloned())
        .flatten()
}

fn prepare(request: &mut Request<Body>, upgrade: Option<&HeaderValue>) {
    // The server gets a path; the authority of the request line becomes its `Host` header.
    let host = request
        .uri()
        .authority()
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    if let Ok(uri) = path.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = Version::HTTP_11;
    remove_connection_headers(request.headers_mut());
    let headers = request.headers_mut();
    if let Some(host) = host {
        // The request line takes precedence (RFC 9112, section 3.2.2).
        headers.insert(header::HOST, host);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in FOR_ONE_CONNECTION {
        headers.remove(*name);
    }
}
