//! Identifies the caller of a run, and the request that an idempotency key was used for.

use std::hash::Hasher as _;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers::UNKNOWN_INSTANCE;

use super::stable_hasher::StableHasher;
use crate::exchange::random;

/// The sender of a request: its session and its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunCaller {
    session: Option<String>,
    /// A hash of the `Authorization` headers. The headers themselves are not kept.
    credentials: Option<u128>,
}

/// The callers among which an idempotency key identifies one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Scope {
    Session(String),
    Credentials(Option<u128>),
}

/// An idempotency key of one caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ScopedKey {
    scope: Scope,
    key: String,
}

impl RunCaller {
    /// Whether the caller has neither a session nor credentials, which would distinguish it from
    /// other callers.
    pub(super) fn is_anonymous(&self) -> bool {
        self.session.is_none() && self.credentials.is_none()
    }

    /// Returns the caller of a run that is restored from the journal.
    pub(super) fn restored(session: Option<String>, credentials: Option<u128>) -> Self {
        Self {
            session,
            credentials,
        }
    }

    pub(super) fn credentials(&self) -> Option<u128> {
        self.credentials
    }

    pub(super) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Whether a request of this caller may read and cancel the run of `owner`.
    ///
    /// Within a session, the credentials are not compared, since they may be renewed. A caller
    /// without a session sees the runs with the same credentials (or, if the caller has none, the
    /// runs without credentials) in any session. A caller with a session also sees the runs that
    /// were started with its credentials outside of sessions. A caller without session and
    /// credentials needs the id of the run, since lists are refused to such callers unless the
    /// configuration allows them.
    pub(super) fn sees(&self, owner: &Self) -> bool {
        match (&self.session, &owner.session) {
            (Some(session), Some(other)) => session == other,
            (Some(_), None) => self.credentials.is_some() && self.credentials == owner.credentials,
            (None, _) => self.credentials == owner.credentials,
        }
    }

    /// Like [`Self::sees`], for a run that is found by a name. A name may be guessed, so a caller
    /// without session and credentials does not see the runs of a session.
    #[cfg(any(test, feature = "ui-stream"))]
    pub(super) fn sees_by_name(&self, owner: &Self) -> bool {
        self.sees(owner) && (owner.session.is_none() || !self.is_anonymous())
    }

    pub(super) fn scoped(&self, key: String) -> ScopedKey {
        let scope = match &self.session {
            Some(session) => Scope::Session(session.clone()),
            None => Scope::Credentials(self.credentials),
        };
        ScopedKey { scope, key }
    }
}

/// Computes hashes of 128 bits with a secret key, so that a client cannot construct requests whose
/// hashes collide. A journal stores the key, so that hashes of earlier processes can be compared.
pub(super) struct Fingerprints([StableHasher; 2]);

impl Default for Fingerprints {
    fn default() -> Self {
        Self::with_key(&random::secret().to_ne_bytes())
    }
}

impl Fingerprints {
    /// Creates the hashers. Each half of a hash has its own key, which is derived from `key`.
    pub(super) fn with_key(key: &[u8; 16]) -> Self {
        let half = |start| u64::from_le_bytes(std::array::from_fn(|at| key[start + at]));
        let derived = |number: u8| {
            let mut hasher = StableHasher::with_keys(half(0), half(8));
            hasher.write_u8(number);
            hasher.finish()
        };
        Self([
            StableHasher::with_keys(derived(0), derived(1)),
            StableHasher::with_keys(derived(2), derived(3)),
        ])
    }

    pub(super) fn caller(&self, headers: &HeaderMap, session: Option<&str>) -> RunCaller {
        let has_credentials = headers.contains_key(AUTHORIZATION);
        RunCaller {
            session: session.map(str::to_owned),
            credentials: has_credentials.then(|| self.of(headers, &AUTHORIZATION, b"")),
        }
    }

    /// Returns an id that is derived from the secret key. The id identifies the agent whose runs
    /// are found by hashes with this key.
    pub(super) fn instance(&self) -> HeaderValue {
        let id = self.of(&HeaderMap::new(), &CONTENT_TYPE, b"instance");
        // Hexadecimal digits are valid in a header value.
        HeaderValue::try_from(format!("{id:032x}"))
            .unwrap_or_else(|_| HeaderValue::from_static(UNKNOWN_INSTANCE))
    }

    /// Returns the hash that identifies the request that an idempotency key was used for.
    pub(super) fn request(&self, headers: &HeaderMap, body: &[u8]) -> u128 {
        self.of(headers, &CONTENT_TYPE, body)
    }

    fn of(&self, headers: &HeaderMap, name: &HeaderName, body: &[u8]) -> u128 {
        let [low, high] = self.0.clone().map(|mut hasher| {
            for value in headers.get_all(name) {
                hasher.write(&(value.len() as u64).to_le_bytes());
                hasher.write(value.as_bytes());
            }
            hasher.write(body);
            u128::from(hasher.finish())
        });
        high << 64 | low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_seen_in_its_session_or_with_its_credentials() {
        let fingerprints = Fingerprints::default();
        let caller = |session: Option<&str>, token: Option<&'static str>| {
            let token = token.map(|token| (AUTHORIZATION, HeaderValue::from_static(token)));
            fingerprints.caller(&token.into_iter().collect(), session)
        };
        for (owner, reader, sees) in [
            (caller(None, None), caller(None, None), true),
            (caller(Some("s"), None), caller(Some("s"), None), true),
            (caller(Some("s"), None), caller(Some("t"), None), false),
            (caller(None, None), caller(Some("t"), None), false),
            (caller(None, None), caller(Some("t"), Some("a")), false),
            // A caller in a session sees the runs outside of sessions that have its credentials.
            (caller(None, Some("a")), caller(Some("t"), Some("a")), true),
            (caller(None, Some("a")), caller(Some("t"), Some("b")), false),
            (caller(None, Some("a")), caller(Some("t"), None), false),
            (
                caller(Some("s"), Some("a")),
                caller(Some("t"), Some("a")),
                false,
            ),
            // The credentials of the session were renewed.
            (
                caller(Some("s"), Some("a")),
                caller(Some("s"), Some("b")),
                true,
            ),
            // A caller without a session sees the runs of every session that have its credentials.
            (caller(Some("s"), Some("a")), caller(None, Some("a")), true),
            (caller(Some("s"), Some("a")), caller(None, Some("b")), false),
            (caller(Some("s"), Some("a")), caller(None, None), false),
            // The session may have been in the body, which later requests do not have.
            (caller(Some("s"), None), caller(None, None), true),
            (caller(None, Some("a")), caller(None, None), false),
            (caller(None, None), caller(None, Some("a")), false),
        ] {
            assert_eq!(reader.sees(&owner), sees, "{reader:?} reads {owner:?}");
            // A name that was guessed gives no access to a session.
            let by_name = sees && (reader != caller(None, None) || owner.session().is_none());
            assert_eq!(
                reader.sees_by_name(&owner),
                by_name,
                "{reader:?} finds {owner:?}"
            );
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_body_and_the_content_type() {
        let fingerprints = Fingerprints::default();
        let json: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))]
            .into_iter()
            .collect();
        let of = |headers: &HeaderMap, body: &str| fingerprints.request(headers, body.as_bytes());
        assert_eq!(of(&json, "1"), of(&json, "1"));
        assert_ne!(of(&json, "1"), of(&json, "2"));
        assert_ne!(of(&json, "1"), of(&HeaderMap::new(), "1"));
    }
}
