//! A call of an HTTP service: the control plane, envd, or an agent.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error_response::{Subject, error_from_response, error_type};
use super::json::read_json;
use crate::config::AuthManager;
use crate::error::Error;
use crate::transport::{
    BodyLimit, Deadline, Idempotency, KeySupport, PreparedRequest, ResponseBody, Transport,
    UploadMeter,
};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes `text` as one segment of a path, or as one value of a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

const USER_AGENT: &str = concat!("ppio-agent-client-rust/", env!("CARGO_PKG_VERSION"));

/// A request to a service, before its address and headers are added.
#[derive(Debug, Clone)]
pub(crate) struct ServiceCall {
    operation: &'static str,
    method: Method,
    path: String,
    headers: HeaderMap,
    /// `Err` explains why the request cannot be written as JSON.
    body: Result<Bytes, String>,
    subject: Subject,
    idempotency: Idempotency,
    upgrade: bool,
    queue: bool,
    meter: Option<UploadMeter>,
    limit: Option<BodyLimit>,
}

impl ServiceCall {
    pub(crate) fn new(operation: &'static str, method: Method, path: impl Into<String>) -> Self {
        // These methods are idempotent by definition (RFC 9110, section 9.2.2); a POST has to be
        // declared idempotent.
        let idempotency = match method {
            Method::GET | Method::PUT | Method::DELETE => Idempotency::Safe,
            _ => Idempotency::IfUnsent,
        };
        Self {
            operation,
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Ok(Bytes::new()),
            subject: Subject::Nothing,
            idempotency,
            upgrade: false,
            queue: true,
            meter: None,
            limit: None,
        }
    }

    pub(crate) fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::GET, path)
    }

    pub(crate) fn post(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::POST, path)
    }

    pub(crate) fn delete(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::DELETE, path)
    }

    pub(crate) fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        self.path.push(separator);
        self.path.push_str(name);
        self.path.push('=');
        self.path.push_str(&encode(value.as_ref()));
        self
    }

    pub(crate) fn query_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value.to_string()),
            None => self,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds headers, which replace headers of the same name that were set before.
    pub(crate) fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Adds headers that are not set yet.
    pub(crate) fn default_headers(mut self, headers: HeaderMap) -> Self {
        let set = std::mem::replace(&mut self.headers, headers);
        self.headers.extend(set);
        self
    }

    pub(crate) fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        let json = HeaderValue::from_static("application/json");
        let call = self.header(header::CONTENT_TYPE, json);
        Self {
            body: serde_json::to_vec(body)
                .map(Bytes::from)
                .map_err(|error| error.to_string()),
            ..call
        }
    }

    pub(crate) fn bytes(self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::from_static(content_type);
        let call = self.header(header::CONTENT_TYPE, content_type);
        Self {
            body: Ok(body.into()),
            ..call
        }
    }

    pub(crate) fn about(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    pub(crate) fn idempotency(self, idempotency: Idempotency) -> Self {
        Self {
            idempotency,
            ..self
        }
    }

    /// Sets the callback that receives the number of bytes of the body sent so far.
    pub(crate) fn meter(self, meter: Option<UploadMeter>) -> Self {
        Self { meter, ..self }
    }

    /// Sets the size limit of the response, in place of the service's.
    pub(crate) fn limit(self, limit: BodyLimit) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Makes the call an upgrade to another protocol.
    #[cfg(feature = "websocket")]
    pub(crate) fn upgrade(self) -> Self {
        Self {
            upgrade: true,
            ..self
        }
    }

    /// Sends the call even while the maximum number of requests is active.
    pub(crate) fn without_queue(self) -> Self {
        Self {
            queue: false,
            ..self
        }
    }
}

/// An HTTP service: its address, the headers of every call, and limits.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) transport: Transport,
    /// Scheme, authority and perhaps the start of a path, without a slash at the end.
    pub(crate) base: String,
    pub(crate) headers: HeaderMap,
    pub(crate) auth: AuthManager,
    pub(crate) timeout: Duration,
    /// The size limit of a response.
    pub(crate) limit: BodyLimit,
    /// Whether the service honours idempotency keys.
    pub(crate) key_support: KeySupport,
    /// The error text for an invalid address. If it is set, calls fail with this text and send
    /// nothing.
    pub(crate) invalid_address: Option<String>,
}

impl Service {
    /// Sends the call and returns its response; an unsuccessful status is an error.
    pub(crate) async fn send(&self, call: ServiceCall) -> Result<Response<Bytes>, Error> {
        self.send_by(call, Deadline::after(self.timeout)).await
    }

    pub(crate) async fn send_by(
        &self,
        call: ServiceCall,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let sent = self.send_typed(call, deadline).await;
        sent.map_err(|(error, _)| error)
    }

    /// Sends the call like [`send_by`](Self::send_by), and returns an error together with the
    /// `error_type` of the response.
    pub(crate) async fn send_typed(
        &self,
        call: ServiceCall,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, (Error, Option<String>)> {
        let untyped = |error| (error, None);
        let (prepared, subject) = self.prepare(call).map_err(untyped)?;
        // Boxed because the future is large, and would be part of every caller's future.
        let response = Box::pin(self.transport.call(&prepared, deadline))
            .await
            .map_err(untyped)?;
        let status = response.status().as_u16();
        tracing::trace!(operation = %prepared.operation, status, "response received");
        if response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = (response.status(), response.body());
        let headers = response.headers();
        let error = error_from_response(
            &prepared.operation,
            &subject,
            &self.auth,
            head,
            headers,
            body,
        );
        Err((error, error_type(body)))
    }

    /// Sends the call and parses the JSON of its response.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, call: ServiceCall) -> Result<T, Error> {
        let operation = call.operation;
        let response = self.send(call).await?;
        self.read(operation, &response)
    }

    /// Parses the JSON of a response.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        operation: &str,
        response: &Response<Bytes>,
    ) -> Result<T, Error> {
        read_json(operation, response.body()).map_err(|error| self.auth.redact_error(error))
    }

    /// Sends the call and returns the response with any status and its body unread.
    pub(crate) async fn open(
        &self,
        call: ServiceCall,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        let (prepared, _) = self.prepare(call)?;
        self.transport.open(&prepared, deadline).await
    }

    fn prepare(&self, call: ServiceCall) -> Result<(PreparedRequest, Subject), Error> {
        if let Some(why) = &self.invalid_address {
            return Err(Error::validation("address", why.as_str()));
        }
        let url = format!("{}{}", self.base, call.path);
        let uri: Uri = url
            .parse()
            .map_err(|error| Error::validation("url", format!("{url:?}: {error}")))?;
        let body = call
            .body
            .map_err(|error| Error::validation("request", error))?;
        let mut request = Request::new(body);
        *request.method_mut() = call.method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(self.headers.clone());
        headers.extend(call.headers);
        let prepared = PreparedRequest {
            operation: call.operation.to_owned(),
            request,
            idempotency: call.idempotency,
            key_support: self.key_support.clone(),
            upgrade: call.upgrade,
            queue: call.queue,
            meter: call.meter,
            limit: call.limit.unwrap_or(self.limit),
        };
        Ok((prepared, call.subject))
    }
}
