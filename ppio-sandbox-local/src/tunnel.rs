//! `CONNECT` for sandbox hosts: clients that insist on `https://{port}-{id}.{domain}` reach the
//! platform with nothing but `HTTPS_PROXY` and `SSL_CERT_FILE`.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::api_error::ApiError;
use crate::listener::{Front, serve_http};

pub(crate) fn open(front: &Arc<Front>, request: Request<Incoming>) -> Response<Body> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let Some(tls) = front.tls.clone() else {
        let message = "tunnels need the TLS mode of the local platform";
        return ApiError::new(StatusCode::NOT_IMPLEMENTED, message).into_response();
    };
    if !crate::edge::is_ours(&host) {
        let message = format!(
            "{host} is not a sandbox or the control plane: put it into NO_PROXY to reach it directly"
        );
        return ApiError::new(StatusCode::FORBIDDEN, message).into_response();
    }
    let front = Arc::clone(front);
    // Ends with the caller's connection.
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        match tls.accept_for(TokioIo::new(upgraded), &host).await {
            Ok(stream) => Box::pin(serve_http(&front, stream)).await,
            Err(error) => tracing::debug!(%error, %host, "a TLS handshake in a tunnel failed"),
        }
    });
    Response::new(Body::empty())
}
