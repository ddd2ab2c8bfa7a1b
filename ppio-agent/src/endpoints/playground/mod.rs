//! The page to try an agent in a browser: one file, no network, no build step.
//!
//! What an agent answers is untrusted text to it. The page only ever makes text of it, and the policy
//! that it is sent with holds it to that: no script but its own, no markup from strings (trusted
//! types), no connection but to the agent.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue};

use crate::exchange::body::Response;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(
    include_str!("dom.js"),
    include_str!("json.js"),
    include_str!("form.js"),
    include_str!("events.js"),
    include_str!("exchange.js"),
    include_str!("answer.js"),
    include_str!("history.js"),
    include_str!("health.js"),
    include_str!("page.js"),
);

pub(crate) fn page() -> Response {
    // It names this page's own script and style. There is no place where an answer could become markup,
    // so whether it can be guessed does not matter; it changes so that it stays true.
    let nonce = format!("{:032x}", fastrand::u128(..));
    let page = PAGE
        .replace("{{nonce}}", &nonce)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let mut response = Response::new(page.into());
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        // A rebuilt agent brings its own page.
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
