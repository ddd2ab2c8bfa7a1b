//! The API key.

use http::{HeaderMap, HeaderValue, header};

use super::environment::Settings;
use super::secret::Secret;
use crate::error::Error;

/// Holds the API key and makes the headers that prove it.
#[derive(Debug, Clone)]
pub struct AuthManager {
    api_key: Secret,
    /// What must not be told beside the key: the access token, the tokens of sandboxes.
    also_hidden: Vec<Secret>,
    bearer: HeaderValue,
    key_header: HeaderValue,
    token_bearer: HeaderValue,
}

impl AuthManager {
    /// Uses this key.
    ///
    /// # Errors
    /// [`Error::Authentication`] if the key is empty, or holds spaces or other characters that
    /// no key has (a line break at the end of a key file is the usual reason).
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
            message: "the API key is empty or holds spaces, line breaks or other characters \
                      that no key has"
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
            also_hidden: Vec::new(),
            api_key,
        })
    }

    /// Uses `PPIO_API_KEY`, or `E2B_API_KEY` if that is not set; with the access token of the same
    /// vendor.
    ///
    /// # Errors
    /// [`Error::Authentication`] if neither is set, or what is set is no key.
    ///
    /// ```no_run
    /// let auth = ppio_agent_client::AuthManager::from_env()?;
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        let settings = Settings::read()?;
        Self::from_parts(settings.api_key, settings.access_token)
    }

    pub(crate) fn from_parts(
        api_key: Option<Secret>,
        access_token: Option<Secret>,
    ) -> Result<Self, Error> {
        let api_key = api_key.ok_or_else(|| Error::Authentication {
            status: None,
            message: "no API key: set PPIO_API_KEY, or give one to the builder".into(),
        })?;
        let mut auth = Self::new(api_key)?;
        if let Some(token) = access_token {
            let malformed = || Error::Authentication {
                status: None,
                message: "the access token holds characters that no token has".into(),
            };
            auth.token_bearer = token.header("Bearer ").ok_or_else(malformed)?;
            auth.also_hidden.push(token);
        }
        Ok(auth)
    }

    /// Whether the key looks like one. Only the platform knows whether it is accepted.
    ///
    /// ```
    /// let auth = ppio_agent_client::AuthManager::new("ppio_live_123")?;
    /// assert!(auth.validate_credentials());
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn validate_credentials(&self) -> bool {
        well_formed(&self.api_key)
    }

    /// `Authorization: Bearer <key>`, marked sensitive.
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

    /// The key in use.
    ///
    /// ```
    /// let auth = ppio_agent_client::AuthManager::new("ppio_live_123")?;
    /// assert_eq!(auth.api_key().expose(), "ppio_live_123");
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn api_key(&self) -> &Secret {
        &self.api_key
    }

    /// `X-API-Key`, which the calls about sandboxes want.
    pub(crate) fn key_header(&self) -> HeaderValue {
        self.key_header.clone()
    }

    /// `Authorization`, which the calls about templates want.
    pub(crate) fn token_header(&self) -> HeaderValue {
        self.token_bearer.clone()
    }

    /// The same, with one more thing that errors must not tell.
    pub(crate) fn hiding(mut self, secret: &Secret) -> Self {
        self.also_hidden.push(secret.clone());
        self
    }

    /// `text` without the key and the tokens, should a server have quoted them.
    pub(crate) fn redact(&self, text: String) -> String {
        let text = self.api_key.redact(text);
        let tokens = self.also_hidden.iter();
        tokens.fold(text, |text, token| token.redact(text))
    }
}

fn well_formed(key: &Secret) -> bool {
    let key = key.expose();
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}
