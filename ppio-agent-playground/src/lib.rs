//! The page to try a PPIO agent in a browser: one file that loads nothing else.
//!
//! [`page`] assembles the page from the assets, which are compiled in. The page sends requests to
//! `invocations`, polls `ping`, and builds its form, or a chat, from the JSON Schema that `./`
//! returns as `request`; all three are relative to the page's own address. If the list of runs has
//! the header `ppio-dev`, the page reads traces and logs from `_ppio/dev/`.
//!
//! The answers of an agent are untrusted text. The page shows them as text only, and its content
//! security policy allows no script except its own, no markup from strings (trusted types) and no
//! connection except to the agent.
//!
//! ```
//! let page = ppio_agent_playground::page();
//! assert!(page.html.starts_with("<!doctype html>"));
//! assert_eq!(page.headers[0], ("content-type", "text/html; charset=utf-8".into()));
//! ```
//!
//! # What the runtime does with it
//!
//! `ppio-agent` has the default feature `playground`. In debug mode it answers `GET /` from a
//! browser with [`page`], and other callers with the description that the page reads. Without the
//! feature both get the description, and neither the assets nor this crate are part of the agent.

use std::borrow::Cow;

const PAGE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/page.css");
const SCRIPT: &str = concat!(
    include_str!("../assets/dom.js"),
    include_str!("../assets/json.js"),
    include_str!("../assets/schema.js"),
    include_str!("../assets/form.js"),
    include_str!("../assets/events.js"),
    include_str!("../assets/exchange.js"),
    include_str!("../assets/answer.js"),
    include_str!("../assets/history.js"),
    include_str!("../assets/shared_state.js"),
    include_str!("../assets/chat_event.js"),
    include_str!("../assets/chat_answer.js"),
    include_str!("../assets/interrupt.js"),
    include_str!("../assets/chat_view.js"),
    include_str!("../assets/chat.js"),
    include_str!("../assets/chat_run.js"),
    include_str!("../assets/virtual_list.js"),
    include_str!("../assets/dev.js"),
    include_str!("../assets/timeline.js"),
    include_str!("../assets/run_logs.js"),
    include_str!("../assets/run_view.js"),
    include_str!("../assets/runs.js"),
    include_str!("../assets/health.js"),
    include_str!("../assets/page.js"),
);

/// A page and the headers to send it with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The body of the response.
    pub html: String,
    /// The names, in lower case, and values of all headers that belong to the page, the content
    /// security policy among them.
    pub headers: [(&'static str, Cow<'static, str>); 5],
}

/// Assembles the page, with a nonce of its own.
pub fn page() -> Page {
    // The nonce admits the page's own script and style. Nothing that an agent answers becomes
    // markup, so the nonce need not be impossible to guess.
    let nonce = format!("{:032x}", fastrand::u128(..));
    let html = PAGE
        .replace("{{nonce}}", &nonce)
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    Page {
        html,
        headers: [
            ("content-type", "text/html; charset=utf-8".into()),
            ("content-security-policy", policy.into()),
            // The page belongs to one build of the agent.
            ("cache-control", "no-store".into()),
            ("x-content-type-options", "nosniff".into()),
            ("referrer-policy", "no-referrer".into()),
        ],
    }
}
