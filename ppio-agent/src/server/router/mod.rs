//! Routes a request to its endpoint, and converts every outcome to a response.

mod endpoint;
mod route;
mod routed_request;

use std::future::Future;

use self::routed_request::RoutedRequest;
use super::agent::ConnectionAgent;
use super::answering::Answering;
use super::ingress::{self, Ingress};
use crate::exchange::agent_core_headers::remove_reserved;
use crate::exchange::body::{Request, Response};
use crate::exchange::request_headers::RequestHeaders;
use crate::invocation::AdmittedInvocation;

/// Answers a request. An error is answered with a response as well.
///
/// hyper copies the future that this function returns. So the request headers are read here and not
/// in the future, which then holds only the values that are used later.
pub(crate) fn respond(
    agent: ConnectionAgent,
    mut request: Request,
    ingress: Ingress,
) -> Answering<impl Future<Output = Response> + Send> {
    let headers = RequestHeaders::of(request.headers());
    let settings = &agent.settings;
    let caller = settings
        .cors
        .caller(headers.origin, ingress::authority(&request, &headers));
    let checked = ingress.check(&request, &headers, &settings.allowed_hosts);
    let invalid = headers.invalid;
    let (has_run_options, is_plain_json) = (headers.has_run_options, headers.is_plain_json);
    let is_agent_core = headers.is_agent_core;
    let routed = RoutedRequest::new(
        agent,
        &request,
        headers.request_id,
        has_run_options,
        headers.format,
        headers.timeout,
    );
    if let Err(rejection) = checked
        .and_then(|()| routed.check_origin(&caller, &request))
        .and_then(|()| routed.check_headers(invalid.as_ref()))
    {
        let status = rejection.status().as_u16();
        tracing::debug!(error = %rejection, status, "request refused");
        return routed.refuse(&caller, rejection.into());
    }
    if is_agent_core {
        remove_reserved(request.headers_mut());
    }
    if !routed.is_direct {
        return Answering::boxed(routed.answer(caller, request));
    }
    let (invoker, exchange) = (routed.agent.invoker(), &routed.exchange);
    match AdmittedInvocation::new(invoker, exchange, request, is_plain_json) {
        Ok(admitted) => Answering::InPlace {
            answer: routed.invoke(caller, admitted),
        },
        Err(error) => routed.refuse(&caller, error),
    }
}
