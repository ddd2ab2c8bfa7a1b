//! The API key.

use http::{HeaderMap, HeaderValue, header};

use super::environment::EnvironmentSettings;
use super::secret::Secret;
use crate::error::Error;

/// Holds the API key and builds the headers that carry it.
///
/// A client creates its own `AuthManager`. A separate `AuthManager` authenticates other HTTP calls,
/// or a [`TemplateManager`](crate::TemplateManager) without a client.
#[derive(Debug, Clone)]
pub struct AuthManager {
    api_key: Secret,
    source: KeySource,
    /// The access token and the tokens of sandboxes. Like the API key, these tokens are replaced in
    /// error texts.
    tokens: Vec<Secret>,
    bearer: HeaderValue,
    key_header: HeaderValue,
    token_bearer: HeaderValue,
}

/// The origin of the API key. A key from the environment belongs to the vendor of its variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeySource {
    Code,
    Environment,
}

impl AuthManager {
    /// Creates an `AuthManager` for `api_key`.
    ///
    /// # Errors
    /// [`Error::Authentication`] if `api_key` is empty, or contains spaces or other characters that
    /// no key contains (often a line break at the end of a key file).
    ///
    /// ```
    /// use ppio_agent_client::AuthManager;
    ///
    /// assert!(AuthManager::new("ppio_live_123").is_ok());
    /// assert!(AuthManager::new("").is_err());
    /// assert!(AuthManager::new("key\n").is_err());
    /// ```
    pub fn new(api_key: impl Into<Secret>) -> Result<Self, Error> {
        let api_key = api_key.into();
        let malformed = || Error::Authentication {
            status: None,
            message: "the API key is empty or contains spaces, line breaks or other characters \
                      that no key contains"
                .into(),
        };
        if !well_formed(&api_key) {
            return Err(malformed());
        }
        let bearer = api_key.header("Bearer ").ok_or_else(malformed)?;
        let key_header = api_key.header("").ok_or_else(malformed)?;
        Ok(Self {
            token_bearer: bearer.clone(),
            bearer,
            key_header,
            tokens: Vec::new(),
            source: KeySource::Code,
            api_key,
        })
    }

    /// Adds the token for calls about templates; without a token, these calls use the API key.
    ///
    /// # Errors
    /// [`Error::Authentication`] if the token contains characters that no token contains.
    pub fn with_access_token(mut self, token: impl Into<Secret>) -> Result<Self, Error> {
        let token = token.into();
        self.token_bearer = token
            .header("Bearer ")
            .ok_or_else(|| Error::Authentication {
                status: None,
                message: "the access token contains characters that no token contains".into(),
            })?;
        self.tokens.push(token);
        Ok(self)
    }

    /// Creates an `AuthManager` from `PPIO_API_KEY` and `PPIO_ACCESS_TOKEN` or, if `PPIO_API_KEY`
    /// is not set, from `E2B_API_KEY` and `E2B_ACCESS_TOKEN`.
    ///
    /// # Errors
    /// [`Error::Authentication`] if neither key is set, or the API key or the access token is
    /// malformed; [`Error::Validation`] if another variable of the client is invalid.
    pub fn from_env() -> Result<Self, Error> {
        let settings = EnvironmentSettings::read()?;
        let auth = Self::from_parts(settings.api_key, settings.access_token)?;
        Ok(Self {
            source: KeySource::Environment,
            ..auth
        })
    }

    /// Reads the environment variables with the addresses that the API key may be used with.
    pub(crate) fn environment(&self) -> Result<EnvironmentSettings, Error> {
        match self.source {
            KeySource::Code => EnvironmentSettings::read_without_keys(),
            KeySource::Environment => EnvironmentSettings::read(),
        }
    }

    pub(crate) fn from_parts(
        api_key: Option<Secret>,
        access_token: Option<Secret>,
    ) -> Result<Self, Error> {
        let api_key = api_key.ok_or_else(|| Error::Authentication {
            status: None,
            message: "no API key: set PPIO_API_KEY, or pass one to the builder".into(),
        })?;
        let auth = Self::new(api_key)?;
        match access_token {
            Some(token) => auth.with_access_token(token),
            None => Ok(auth),
        }
    }

    /// Whether the API key is well formed. Only the platform can accept or reject the key.
    pub fn validate_credentials(&self) -> bool {
        well_formed(&self.api_key)
    }

    /// Returns the header `Authorization: Bearer <key>`, marked sensitive.
    ///
    /// ```
    /// let auth = ppio_agent_client::AuthManager::new("ppio_live_123")?;
    /// let headers = auth.auth_headers();
    /// assert_eq!(headers["authorization"], "Bearer ppio_live_123");
    /// assert!(!format!("{headers:?}").contains("ppio_live_123"));
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn auth_headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, self.bearer.clone())])
    }

    /// The API key.
    pub fn api_key(&self) -> &Secret {
        &self.api_key
    }

    /// The value of `X-API-Key`, for calls about sandboxes.
    pub(crate) fn key_header(&self) -> HeaderValue {
        self.key_header.clone()
    }

    /// The value of `Authorization`, for calls about templates.
    pub(crate) fn token_header(&self) -> HeaderValue {
        self.token_bearer.clone()
    }

    /// Adds a secret to remove from error texts.
    pub(crate) fn with_token(mut self, token: &Secret) -> Self {
        self.tokens.push(token.clone());
        self
    }

    /// Returns `text` with the API key and the tokens replaced by `***`.
    pub(crate) fn redact(&self, text: String) -> String {
        let text = self.api_key.redact(text);
        let tokens = self.tokens.iter();
        tokens.fold(text, |text, token| token.redact(text))
    }

    /// Returns the error with every secret in its texts replaced by `***`: servers and agents may
    /// quote what they were sent.
    pub(crate) fn redact_error(&self, error: Error) -> Error {
        error.map_texts(&|text| *text = self.redact(std::mem::take(text)))
    }
}

fn well_formed(key: &Secret) -> bool {
    let key = key.expose();
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_in_the_texts_of_causes() {
        let auth = AuthManager::new("sk-deep-1").expect("well formed");
        let error = Error::runtime("pause", "invalid key sk-deep-1").with_operation("pause", "sb");
        let error = auth.redact_error(error);
        assert!(!format!("{} {error:?}", error.report()).contains("sk-deep-1"));
        assert!(error.report().to_string().contains("invalid key ***"));
    }
}
