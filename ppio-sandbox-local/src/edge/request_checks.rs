//! Checks every request before it is routed.

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, Version, header};

use super::hosts::Hosts;
use crate::api::ApiError;
use crate::host_name::host_of;

/// Refuses a request with an ambiguous or foreign host, and sets the `Host` header to the host that
/// the request is for.
pub(super) fn check(request: &mut Request<Body>, hosts: &Hosts) -> Result<(), ApiError> {
    let host = host(request)?;
    if let Some(host) = &host
        && !hosts.answers_for(host_of(host).as_ref().map_or(host, |host| host.host()))
    {
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "{host} is not a host name of the local platform: call it as localhost or \
                 127.0.0.1, or allow the name with LocalPlatformBuilder::allow_host"
            ),
        ));
    }
    if let Some(host) = host.and_then(|host| HeaderValue::from_str(&host).ok()) {
        request.headers_mut().insert(header::HOST, host);
    }
    Ok(())
}

/// Returns the host with its port: from the request line if that names one (RFC 9112, section
/// 3.2.2), otherwise from the header. `None` for an HTTP/1.0 request without a host in the request
/// line or a header.
fn host(request: &Request<Body>) -> Result<Option<String>, ApiError> {
    let mut headers = request.headers().get_all(header::HOST).iter();
    let header = headers.next();
    if headers.next().is_some() {
        return Err(ApiError::bad_request(
            "the request has more than one Host header",
        ));
    }
    let header = match header {
        None if request.version() >= Version::HTTP_11 => {
            return Err(ApiError::bad_request("the request has no Host header"));
        }
        None => None,
        Some(value) => {
            let host = value.to_str().ok().and_then(host_of);
            let malformed = || ApiError::bad_request("the Host header is not a host name");
            Some(host.ok_or_else(malformed)?.to_string())
        }
    };
    match request.uri().authority() {
        None => Ok(header),
        Some(authority) => host_of(authority.as_str())
            .map(|host| Some(host.to_string()))
            .ok_or_else(|| ApiError::bad_request("the request line does not name a host")),
    }
}

/// Refuses a request that a browser sends for a foreign page. Other clients send no `Origin`.
pub(super) fn check_page(request: &Request<Body>, hosts: &Hosts) -> Result<(), ApiError> {
    for origin in request.headers().get_all(header::ORIGIN) {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        if !hosts.trusts_page(&origin) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                format!(
                    "a page of {origin:?} may not call the local platform: serve the page from \
                     localhost"
                ),
            ));
        }
    }
    Ok(())
}
