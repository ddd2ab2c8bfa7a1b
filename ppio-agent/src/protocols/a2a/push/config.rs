//! A caller's configuration of the notifications of a task.

use http::HeaderValue;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::target::Target;
use crate::protocols::a2a::failure::{A2aError, A2aErrorKind};
use crate::protocols::a2a::task::new_id;
use crate::protocols::a2a::wire::Version;

/// The maximum length of an id or of the name of a scheme, in bytes.
const MAX_ID: usize = 256;

/// The maximum length of a token or of credentials, in bytes. Most servers do not accept longer
/// headers.
const MAX_SECRET: usize = 8 * 1024;

/// A receiver of the notifications of a task, and its secrets. The type has no `Debug`, so that the
/// secrets are not logged.
pub(in crate::protocols::a2a) struct PushConfig {
    pub(super) id: String,
    /// The version of the notifications: the version of the call that created the configuration.
    pub(super) version: Version,
    pub(super) target: Target,
    /// The value of the `X-A2A-Notification-Token` header.
    pub(super) token: Option<HeaderValue>,
    /// The value of the `Authorization` header.
    pub(super) authorization: Option<HeaderValue>,
    url: String,
    /// The scheme of `authorization`.
    scheme: Option<String>,
}

/// The JSON of a configuration, in either version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct WireConfig {
    id: Option<String>,
    url: String,
    token: Option<String>,
    authentication: Option<Authentication>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Authentication {
    scheme: String,
    /// The schemes in version 0.3, of which the first is used.
    schemes: Vec<String>,
    credentials: Option<String>,
}

impl PushConfig {
    /// Reads a configuration. An address to which notifications may not be sent is refused here if
    /// no name has to be looked up, and otherwise when a notification is sent.
    pub(in crate::protocols::a2a) async fn of(
        wire: Value,
        version: Version,
        allows_private: bool,
    ) -> Result<Self, A2aError> {
        let mut wire: WireConfig = serde_json::from_value(wire)
            .map_err(|error| invalid(format!("the configuration is not valid: {error}")))?;
        let target = Target::of(&wire.url).map_err(|text| {
            let url: String = wire.url.chars().take(100).collect();
            invalid(format!("`url` {url:?} {text}"))
        })?;
        if target.is_literal()
            && let Err(error) = target.addresses(allows_private).await
        {
            return Err(invalid(format!("`url` cannot be called: {error}")));
        }
        // An empty `id` or `token` counts as not set.
        for text in [&mut wire.id, &mut wire.token] {
            text.take_if(|text| text.is_empty());
        }
        if let Some(authentication) = &mut wire.authentication
            && authentication.scheme.is_empty()
            && !authentication.schemes.is_empty()
        {
            authentication.scheme = authentication.schemes.swap_remove(0);
        }
        let id = wire.id.take().unwrap_or_else(new_id);
        check_length("id", &id, MAX_ID)?;
        if let Some(Authentication {
            scheme,
            credentials,
            ..
        }) = &wire.authentication
        {
            check_length("authentication.scheme", scheme, MAX_ID)?;
            let credentials = credentials.as_deref().unwrap_or_default();
            check_length("authentication.credentials", credentials, MAX_SECRET)?;
        }
        let token = wire.token.as_deref().unwrap_or_default();
        check_length("token", token, MAX_SECRET)?;
        let authorization = wire.authentication.as_ref().and_then(|authentication| {
            let credentials = authentication.credentials.as_deref()?;
            Some(format!("{} {credentials}", authentication.scheme))
        });
        Ok(Self {
            token: secret("token", wire.token.as_deref())?,
            authorization: secret("authentication", authorization.as_deref())?,
            id,
            version,
            target,
            url: wire.url,
            scheme: wire
                .authentication
                .map(|authentication| authentication.scheme),
        })
    }

    /// Returns the configuration as JSON for an answer, without its secrets.
    pub(super) fn json(&self, task: &str, version: Version) -> Value {
        let mut config = Map::new();
        config.insert("id".to_owned(), self.id.clone().into());
        config.insert("url".to_owned(), self.url.clone().into());
        if let Some(scheme) = &self.scheme {
            let json = match version {
                Version::V1 => json!({ "scheme": scheme }),
                Version::V0_3 => json!({ "schemes": [scheme] }),
            };
            config.insert("authentication".to_owned(), json);
        }
        match version {
            Version::V1 => {
                config.insert("taskId".to_owned(), task.into());
                Value::Object(config)
            }
            Version::V0_3 => json!({"taskId": task, "pushNotificationConfig": config}),
        }
    }
}

fn check_length(name: &str, text: &str, max: usize) -> Result<(), A2aError> {
    if text.len() > max {
        return Err(invalid(format!("`{name}` is longer than {max} bytes")));
    }
    Ok(())
}

/// Parses the value of a header, and marks it as sensitive, so that it is not logged.
fn secret(name: &str, value: Option<&str>) -> Result<Option<HeaderValue>, A2aError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| invalid(format!("`{name}` has characters that a header cannot have")))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

pub(super) fn invalid(message: String) -> A2aError {
    A2aError::new(A2aErrorKind::InvalidParams, message)
}
