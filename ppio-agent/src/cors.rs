//! Which pages of other origins may call the agent.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use ppio_agent_protocol::headers::REQUEST_ID;

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// The configured policy.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Origins,
    credentials: bool,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    These(Vec<String>),
}

impl Cors {
    /// No page of another origin.
    pub(crate) fn none() -> Self {
        Self {
            origins: Origins::These(Vec::new()),
            credentials: false,
        }
    }

    /// A policy, or what is wrong with it.
    pub(crate) fn new(origins: &[String], credentials: bool) -> Result<Self, String> {
        if origins.iter().any(|origin| origin == "*") {
            if credentials {
                return Err(
                    "PPIO_AGENT_CORS_CREDENTIALS needs PPIO_AGENT_CORS_ORIGINS to name \
                            its origins: browsers refuse credentials with `*`"
                        .to_owned(),
                );
            }
            return Ok(Self {
                origins: Origins::Any,
                credentials,
            });
        }
        let origins = origins
            .iter()
            .map(|origin| {
                normalize(origin).ok_or_else(|| {
                    format!(
                        "PPIO_AGENT_CORS_ORIGINS: {origin:?} is not an origin such as \
                         https://example.com"
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            origins: Origins::These(origins),
            credentials,
        })
    }

    /// Whether the request is a browser's question and not a call.
    pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Puts the policy's headers on the answer to a request from `origin`.
    pub(crate) fn apply(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        match &self.origins {
            Origins::Any => {
                if origin.is_some() {
                    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
                    answer.insert(
                        ACCESS_CONTROL_EXPOSE_HEADERS,
                        HeaderValue::from_static(REQUEST_ID),
                    );
                }
            }
            Origins::These(origins) => {
                // The answer depends on who asks, and a cache has to know that even where nobody
                // asked from a page.
                answer.append(VARY, HeaderValue::from_static("origin"));
                let Some(origin) = origin.filter(|origin| {
                    origin
                        .to_str()
                        .is_ok_and(|origin| origins.iter().any(|allowed| allowed == origin))
                }) else {
                    return;
                };
                answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                answer.insert(
                    ACCESS_CONTROL_EXPOSE_HEADERS,
                    HeaderValue::from_static(REQUEST_ID),
                );
                if self.credentials {
                    answer.insert(
                        ACCESS_CONTROL_ALLOW_CREDENTIALS,
                        HeaderValue::from_static("true"),
                    );
                }
            }
        }
    }

    /// Answers the further questions of a preflight whose origin is allowed.
    pub(crate) fn apply_preflight(asked: &HeaderMap, allow: &'static str, answer: &mut HeaderMap) {
        answer.append(
            VARY,
            HeaderValue::from_static("access-control-request-headers"),
        );
        if !answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        answer.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(allow),
        );
        if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    }
}

/// An origin as browsers send it: scheme and authority in lower case, nothing behind them.
fn normalize(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    let scheme = uri.scheme_str()?;
    let authority = uri.authority()?;
    let bare = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
    bare.then(|| format!("{scheme}://{authority}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cors: &Cors, origin: &'static str) -> HeaderMap {
        let mut answer = HeaderMap::new();
        cors.apply(Some(&HeaderValue::from_static(origin)), &mut answer);
        answer
    }

    #[test]
    fn a_star_is_never_joined_by_credentials() {
        assert!(Cors::new(&["*".into()], true).is_err());
        let any = Cors::new(&["*".into()], false).unwrap();
        let answer = answer(&any, "https://a.example");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }

    #[test]
    fn only_named_origins_are_let_in_and_caches_are_told() {
        let cors = Cors::new(&["https://A.example/".into()], true).unwrap();
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
    fn what_is_not_an_origin_is_refused() {
        for bad in [
            "example.com",
            "https://a/b",
            "https://u@a",
            "https://a?x",
            "",
        ] {
            assert!(Cors::new(&[bad.into()], false).is_err(), "{bad}");
        }
    }
}
