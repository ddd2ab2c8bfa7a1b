//! Lists of sandboxes, filtered and in pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::sandbox_views;
use crate::api::ApiError;
use crate::api::Parameters;
use crate::clock::unix_millis;
use crate::sandbox::{LocalSandbox, SandboxPhase};
use crate::shared::Shared;

const MAX_LIMIT: usize = 100;
const NEXT_TOKEN: HeaderName = HeaderName::from_static("x-next-token");

/// Parameters may be repeated, so they stay pairs.
type Pairs = Parameters<Vec<(String, String)>>;

pub(super) async fn running(
    State(shared): State<Arc<Shared>>,
    Parameters(parameters): Pairs,
) -> Result<Json<Vec<Value>>, ApiError> {
    let filter = ListFilter {
        phases: vec![SandboxPhase::Running],
        ..ListFilter::parse(&parameters)?
    };
    let sandboxes = shared.sandboxes.list();
    let matching = sandboxes.iter().filter(|sandbox| filter.accepts(sandbox));
    Ok(Json(
        matching
            .map(|sandbox| sandbox_views::listed(&shared, sandbox))
            .collect(),
    ))
}

pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    Parameters(parameters): Pairs,
) -> Result<(HeaderMap, Json<Vec<Value>>), ApiError> {
    let filter = ListFilter::parse(&parameters)?;
    let mut sandboxes = shared.sandboxes.list();
    sandboxes.retain(|sandbox| filter.accepts(sandbox));
    if let Some(after) = &filter.after {
        sandboxes.retain(|sandbox| position(sandbox) > *after);
    }
    let mut headers = HeaderMap::new();
    if sandboxes.len() > filter.limit {
        sandboxes.truncate(filter.limit);
        if let Some((millis, id)) = sandboxes.last().map(|sandbox| position(sandbox))
            && let Ok(token) = HeaderValue::try_from(format!("{millis}.{id}"))
        {
            headers.insert(NEXT_TOKEN, token);
        }
    }
    let page = sandboxes
        .iter()
        .map(|sandbox| sandbox_views::listed(&shared, sandbox))
        .collect();
    Ok((headers, Json(page)))
}

/// The sort key of a sandbox, which does not change while others are added and removed.
fn position(sandbox: &LocalSandbox) -> (u64, String) {
    (unix_millis(sandbox.started_at), sandbox.id.clone())
}

#[derive(Debug)]
struct ListFilter {
    phases: Vec<SandboxPhase>,
    /// Each key with the values that satisfy it.
    metadata: BTreeMap<String, Vec<String>>,
    limit: usize,
    after: Option<(u64, String)>,
}

impl ListFilter {
    fn parse(parameters: &[(String, String)]) -> Result<Self, ApiError> {
        let mut filter = Self {
            phases: Vec::new(),
            metadata: BTreeMap::new(),
            limit: MAX_LIMIT,
            after: None,
        };
        for (name, value) in parameters {
            match name.as_str() {
                "state" => {
                    for state in value.split(',').filter(|state| !state.is_empty()) {
                        filter.phases.push(match state {
                            "running" => SandboxPhase::Running,
                            "paused" => SandboxPhase::Paused,
                            other => {
                                return Err(ApiError::bad_request(format!(
                                    "unknown state {other:?}"
                                )));
                            }
                        });
                    }
                }
                "metadata" => filter.metadata = metadata(value)?,
                "limit" => {
                    filter.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                        .ok_or_else(|| {
                            ApiError::bad_request(format!("limit must be 1 to {MAX_LIMIT}"))
                        })?;
                }
                "nextToken" if !value.is_empty() => {
                    let token = value
                        .split_once('.')
                        .and_then(|(millis, id)| Some((millis.parse().ok()?, id.to_owned())));
                    filter.after = Some(token.ok_or_else(|| {
                        ApiError::bad_request("nextToken was not given out by this platform")
                    })?);
                }
                _ => {}
            }
        }
        if filter.phases.is_empty() {
            filter.phases = vec![SandboxPhase::Running, SandboxPhase::Paused];
        }
        Ok(filter)
    }

    fn accepts(&self, sandbox: &LocalSandbox) -> bool {
        self.phases.contains(&sandbox.lifetime().phase)
            && self.metadata.iter().all(|(key, values)| {
                sandbox
                    .metadata
                    .get(key)
                    .is_some_and(|actual| values.contains(actual))
            })
    }
}

/// Reads `k=v&k=v`. The Python SDK quotes keys and values once more inside, others do not, so
/// each is accepted as it is and unquoted.
fn metadata(text: &str) -> Result<BTreeMap<String, Vec<String>>, ApiError> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(text)
        .map_err(|_| ApiError::bad_request("metadata must be k=v&k=v"))?;
    let unquote = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .ok()
    };
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in pairs {
        let key = unquote(&key).unwrap_or(key);
        let values = wanted.entry(key).or_default();
        values.extend(unquote(&value));
        values.push(value);
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_may_be_quoted_once_or_twice() {
        let plain = metadata("user=a%20b").unwrap();
        assert!(plain["user"].contains(&"a b".to_owned()));
        let twice = metadata("user=a%2520b").unwrap();
        assert!(twice["user"].contains(&"a b".to_owned()));
    }

    #[test]
    fn bad_parameters_are_refused() {
        for (name, value) in [
            ("state", "asleep"),
            ("limit", "0"),
            ("limit", "x"),
            ("nextToken", "x"),
        ] {
            let parameters = [(name.to_owned(), value.to_owned())];
            assert!(ListFilter::parse(&parameters).is_err(), "{name}={value}");
        }
    }
}
