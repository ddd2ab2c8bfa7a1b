//! The CORS policy: which web pages may call the agent.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use ppio_agent_protocol::headers::{REQUEST_ID, RESPONSE_FORMAT};

use super::host;

/// How long a browser may cache a preflight, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// The headers of a run's response that pages may read.
const EXPOSED_OF_RUNS: HeaderValue = HeaderValue::from_static(
    "x-request-id, ppio-response-format, location, ppio-idempotency, ppio-instance, \
     ppio-stream-ids, preference-applied",
);

/// The configured CORS policy.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Origins,
    credentials: bool,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    These(Vec<String>),
    /// The default: pages of the agent's own origin and of this machine.
    Local,
}

/// The sender of a request, according to its `Origin` header.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A program, or a page of the same origin whose browser sends no `Origin`.
    Program,
    /// A page that may read the response, with its `Access-Control-Allow-Origin`.
    Page(HeaderValue),
    /// A page that may not read the response.
    ForeignPage,
}

impl Cors {
    /// Returns a policy that allows no page whose browser sends an `Origin`.
    pub(crate) fn none() -> Self {
        Self {
            origins: Origins::These(Vec::new()),
            credentials: false,
        }
    }

    /// Creates a policy, or returns an error text if a setting is invalid. `None` stands for the
    /// default origins, not for an empty list.
    pub(crate) fn new(origins: Option<&[String]>, credentials: bool) -> Result<Self, String> {
        let origins = match origins {
            None => Origins::Local,
            Some(origins) if origins.iter().any(|origin| origin == "*") => Origins::Any,
            Some(origins) => Origins::These(
                origins
                    .iter()
                    .map(|origin| {
                        normalize(origin).ok_or_else(|| {
                            format!(
                                "{origin:?} in PPIO_AGENT_CORS_ORIGINS or \
                                 `RuntimeConfig::cors_origins` is not an origin such as \
                                 https://example.com"
                            )
                        })
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        if credentials && !matches!(origins, Origins::These(_)) {
            return Err(
                "PPIO_AGENT_CORS_CREDENTIALS or `RuntimeConfig::cors_credentials` needs a list of \
                 origins in PPIO_AGENT_CORS_ORIGINS or `RuntimeConfig::cors_origins`: browsers \
                 refuse credentials with `*`"
                    .to_owned(),
            );
        }
        Ok(Self {
            origins,
            credentials,
        })
    }

    /// Whether a request is a browser's preflight.
    pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Classifies the sender of a request for `authority`, the host and port in the request.
    pub(crate) fn caller(&self, origin: Option<&HeaderValue>, authority: Option<&[u8]>) -> Caller {
        let Some(origin) = origin else {
            return Caller::Program;
        };
        let allowed = match &self.origins {
            Origins::Any => return Caller::Page(HeaderValue::from_static("*")),
            Origins::These(origins) => origin
                .to_str()
                .is_ok_and(|origin| origins.iter().any(|allowed| allowed == origin)),
            Origins::Local => origin.to_str().is_ok_and(|origin| {
                let page = origin
                    .strip_prefix("http://")
                    .or_else(|| origin.strip_prefix("https://"));
                page.filter(|page| !page.is_empty()).is_some_and(|page| {
                    authority.is_some_and(|agent| agent.eq_ignore_ascii_case(page.as_bytes()))
                        || host::is_loopback(page)
                })
            }),
        };
        if allowed {
            Caller::Page(origin.clone())
        } else {
            Caller::ForeignPage
        }
    }

    /// Adds the headers of the policy to a response, except those that user code has set.
    /// `cacheable` states whether a cache may store the response for other callers.
    pub(crate) fn apply(&self, caller: &Caller, cacheable: bool, response: &mut HeaderMap) {
        let varies = match self.origins {
            Origins::Any => false,
            Origins::These(_) => true,
            Origins::Local => cacheable || !matches!(caller, Caller::Program),
        };
        if varies && !varies_already(response) {
            // Without `Vary`, a cache could return the response to a page of another origin. The
            // response to a request without `Origin` needs the header as well.
            response.append(VARY, HeaderValue::from_static("origin"));
        }
        let Caller::Page(allowed) = caller else {
            return;
        };
        let exposed = if response.contains_key(RESPONSE_FORMAT) {
            "x-request-id, ppio-response-format"
        } else {
            REQUEST_ID
        };
        response
            .entry(ACCESS_CONTROL_EXPOSE_HEADERS)
            .or_insert(HeaderValue::from_static(exposed));
        // If user code has allowed an origin, the configured credentials do not apply to it.
        if response.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
        if self.credentials {
            response
                .entry(ACCESS_CONTROL_ALLOW_CREDENTIALS)
                .or_insert(HeaderValue::from_static("true"));
        }
    }

    /// Allows a page to read the headers of a run's response.
    pub(crate) fn expose_run(caller: &Caller, response: &mut HeaderMap) {
        if matches!(caller, Caller::Page(_)) {
            response
                .entry(ACCESS_CONTROL_EXPOSE_HEADERS)
                .or_insert(EXPOSED_OF_RUNS);
        }
    }

    /// Adds the headers of a preflight response; only `Vary` if the origin is not allowed.
    pub(crate) fn apply_preflight(
        caller: &Caller,
        request: &HeaderMap,
        allow: HeaderValue,
        response: &mut HeaderMap,
    ) {
        if matches!(caller, Caller::Page(_)) {
            Self::permit(request, allow, response);
        } else {
            vary_by_request_headers(response);
        }
    }

    /// Adds the headers of a preflight response for an allowed origin.
    pub(crate) fn permit(request: &HeaderMap, allow: HeaderValue, response: &mut HeaderMap) {
        vary_by_request_headers(response);
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, allow);
        if let Some(names) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        response.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    }
}

fn vary_by_request_headers(response: &mut HeaderMap) {
    response.append(
        VARY,
        HeaderValue::from_static("access-control-request-headers"),
    );
}

/// Whether user code has already listed `Origin` in the `Vary` header.
fn varies_already(response: &HeaderMap) -> bool {
    let values = response.get_all(VARY).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|name| name == "*" || name.eq_ignore_ascii_case("origin"))
}

/// Returns an origin in the form that browsers send, scheme and authority in lower case and without
/// the default port, or `None` if the text is not an origin.
fn normalize(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    let scheme = uri.scheme_str()?;
    let authority = uri.authority()?;
    let bare = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
    let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
    // Browsers leave out the default port of the scheme.
    let default_port = if origin.starts_with("https:") {
        ":443"
    } else {
        ":80"
    };
    let origin = origin.strip_suffix(default_port).unwrap_or(&origin);
    bare.then(|| origin.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &[u8] = b"agent.example:8080";

    fn answer(cors: &Cors, origin: &'static str) -> HeaderMap {
        let origin = HeaderValue::from_static(origin);
        let mut answer = HeaderMap::new();
        cors.apply(&cors.caller(Some(&origin), Some(AGENT)), true, &mut answer);
        answer
    }

    fn these(origins: &[&str], credentials: bool) -> Result<Cors, String> {
        let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
        Cors::new(Some(&origins), credentials)
    }

    #[test]
    fn credentials_without_listed_origins_are_refused() {
        assert!(these(&["*"], true).is_err());
        assert!(Cors::new(None, true).is_err());
        let answer = answer(&these(&["*"], false).unwrap(), "https://a.example");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }

    #[test]
    fn a_default_port_may_be_listed() {
        let listed = [
            "https://a.example:443",
            "http://b.example:80",
            "https://c.example:80",
        ];
        let cors = these(&listed, false).unwrap();
        for origin in [
            "https://a.example",
            "http://b.example",
            "https://c.example:80",
        ] {
            assert_eq!(answer(&cors, origin)[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
        }
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let cors = these(&["https://A.example/"], true).unwrap();
        let good = answer(&cors, "https://a.example");
        assert_eq!(good[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
        assert_eq!(good[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(good[VARY], "origin");
        for other in ["https://a.example.evil.example", "http://a.example", "null"] {
            let bad = answer(&cors, other);
            assert!(!bad.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{other}");
            assert_eq!(bad[VARY], "origin");
        }
    }

    #[test]
    fn the_default_allows_the_agents_origin_and_this_machine() {
        let cors = Cors::new(None, false).unwrap();
        for origin in [
            "http://agent.example:8080",
            "https://agent.example:8080",
            "http://localhost:3000",
            "https://localhost",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:5173",
            "http://8080-iabc.localhost:3000",
        ] {
            let good = answer(&cors, origin);
            assert_eq!(good[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            assert_eq!(good[VARY], "origin");
        }
        for origin in [
            "https://agent.example",
            "http://agent.example:80",
            "http://x.agent.example:8080",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://evil.example/.localhost",
            "ftp://localhost",
            "localhost",
            "http://",
            "null",
            "file://",
            "",
        ] {
            let bad = answer(&cors, origin);
            assert!(!bad.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
            assert_eq!(bad[VARY], "origin");
        }
    }

    #[test]
    fn an_invalid_origin_is_refused() {
        for bad in [
            "example.com",
            "https://a/b",
            "https://u@a",
            "https://a?x",
            "",
        ] {
            assert!(these(&[bad], false).is_err(), "{bad}");
        }
    }
}
