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
use crate::clock::{parse_rfc3339, unix_millis};
use crate::sandbox::{LocalSandbox, SandboxPhase};
use crate::shared::Shared;

const MAX_LIMIT: usize = 100;
const NEXT_TOKEN: HeaderName = HeaderName::from_static("x-next-token");
const TOTAL_RUNNING: HeaderName = HeaderName::from_static("x-total-running");

/// The query as pairs, because a parameter may be repeated.
type Pairs = Parameters<Vec<(String, String)>>;

pub(super) async fn running(
    State(shared): State<Arc<Shared>>,
    Parameters(parameters): Pairs,
) -> Result<Json<Vec<Value>>, ApiError> {
    let filter = ListFilter {
        phases: vec![SandboxPhase::Running],
        ..ListFilter::parse(&parameters)?
    };
    Ok(Json(views(&shared, &filter.matching(&shared))))
}

pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    Parameters(parameters): Pairs,
) -> Result<(HeaderMap, Json<Vec<Value>>), ApiError> {
    let filter = ListFilter::parse(&parameters)?;
    let mut sandboxes = filter.matching(&shared);
    let mut headers = HeaderMap::new();
    if filter.phases.contains(&SandboxPhase::Running) {
        let is_running =
            |sandbox: &&Arc<LocalSandbox>| sandbox.lifetime().phase == SandboxPhase::Running;
        let count = sandboxes.iter().filter(is_running).count();
        headers.insert(TOTAL_RUNNING, HeaderValue::from(count));
    }
    if let Some(after) = &filter.after {
        sandboxes.retain(|sandbox| match filter.order {
            ListOrder::NewestFirst => position(sandbox) < *after,
            ListOrder::OldestFirst => position(sandbox) > *after,
        });
    }
    if sandboxes.len() > filter.limit {
        sandboxes.truncate(filter.limit);
        if let Some((millis, id)) = sandboxes.last().map(|sandbox| position(sandbox))
            && let Ok(token) = HeaderValue::try_from(format!("{millis}.{id}"))
        {
            headers.insert(NEXT_TOKEN, token);
        }
    }
    Ok((headers, Json(views(&shared, &sandboxes))))
}

fn views(shared: &Shared, sandboxes: &[Arc<LocalSandbox>]) -> Vec<Value> {
    sandboxes
        .iter()
        .map(|sandbox| sandbox_views::listed(shared, sandbox))
        .collect()
}

/// Returns the sort key of a sandbox, which does not change while other sandboxes are added and
/// removed.
fn position(sandbox: &LocalSandbox) -> (u64, String) {
    (unix_millis(sandbox.started_at), sandbox.id.clone())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListOrder {
    NewestFirst,
    OldestFirst,
}

#[derive(Debug)]
struct ListFilter {
    phases: Vec<SandboxPhase>,
    /// Each key with the values that satisfy it.
    metadata: BTreeMap<String, Vec<String>>,
    /// The id or the name of a template.
    template: Option<String>,
    /// The earliest start, in milliseconds since 1970, which is the precision of `startedAt`.
    started_after: Option<u64>,
    order: ListOrder,
    limit: usize,
    after: Option<(u64, String)>,
}

impl ListFilter {
    fn parse(parameters: &[(String, String)]) -> Result<Self, ApiError> {
        let mut filter = Self {
            phases: Vec::new(),
            metadata: BTreeMap::new(),
            template: None,
            started_after: None,
            order: ListOrder::NewestFirst,
            limit: MAX_LIMIT,
            after: None,
        };
        for (name, value) in parameters {
            match name.as_str() {
                "state" => filter.phases.extend(phases(value)?),
                "metadata" => filter.metadata = metadata(value)?,
                "template" if value.is_empty() => {
                    return Err(ApiError::bad_request(
                        "template is empty: send the id or the name of a template",
                    ));
                }
                "template" => filter.template = Some(value.clone()),
                "startedAfter" => filter.started_after = Some(start_time(value)?),
                "order" => {
                    filter.order = match value.as_str() {
                        "asc" => ListOrder::OldestFirst,
                        "desc" => ListOrder::NewestFirst,
                        other => {
                            return Err(ApiError::bad_request(format!(
                                "unknown order {other:?}: send asc or desc"
                            )));
                        }
                    };
                }
                "limit" => {
                    filter.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                        .ok_or_else(|| {
                            ApiError::bad_request(format!(
                                "limit must be 1 to {MAX_LIMIT}, not {value:?}"
                            ))
                        })?;
                }
                "nextToken" if !value.is_empty() => {
                    let token = value
                        .split_once('.')
                        .and_then(|(millis, id)| Some((millis.parse().ok()?, id.to_owned())));
                    filter.after = Some(token.ok_or_else(|| {
                        ApiError::bad_request("nextToken is not from this platform")
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

    /// Returns all sandboxes that the filter accepts, not only those of one page, in the requested
    /// order.
    fn matching(&self, shared: &Shared) -> Vec<Arc<LocalSandbox>> {
        let mut sandboxes = shared.sandboxes.list();
        sandboxes.retain(|sandbox| self.accepts(sandbox));
        sandboxes.sort_by_cached_key(|sandbox| position(sandbox));
        if self.order == ListOrder::NewestFirst {
            sandboxes.reverse();
        }
        sandboxes
    }

    fn accepts(&self, sandbox: &LocalSandbox) -> bool {
        let is_of = |template: &String| {
            *template == sandbox.template_id || Some(template) == sandbox.alias.as_ref()
        };
        self.phases.contains(&sandbox.lifetime().phase)
            && self.template.as_ref().is_none_or(is_of)
            && self
                .started_after
                .is_none_or(|after| unix_millis(sandbox.started_at) >= after)
            && self.metadata.iter().all(|(key, values)| {
                sandbox
                    .metadata
                    .get(key)
                    .is_some_and(|actual| values.contains(actual))
            })
    }
}

fn phases(value: &str) -> Result<Vec<SandboxPhase>, ApiError> {
    let named = |state| match state {
        "running" => Ok(SandboxPhase::Running),
        "paused" => Ok(SandboxPhase::Paused),
        other => Err(ApiError::bad_request(format!(
            "unknown state {other:?}: send running or paused"
        ))),
    };
    let states = value.split(',').filter(|state| !state.is_empty());
    states.map(named).collect()
}

fn start_time(value: &str) -> Result<u64, ApiError> {
    let parsed = parse_rfc3339(value).ok_or_else(|| {
        ApiError::bad_request(format!(
            "startedAfter is {value:?}: send an RFC 3339 time such as 2026-01-31T12:00:00Z"
        ))
    })?;
    Ok(unix_millis(parsed))
}

/// Reads `k=v&k=v`. The Python SDK quotes keys and values twice, other clients once: every key is
/// unquoted again, and every value is accepted both unchanged and unquoted again.
fn metadata(text: &str) -> Result<BTreeMap<String, Vec<String>>, ApiError> {
    let malformed =
        || ApiError::bad_request(format!("metadata is {text:?}: send k=v&k=v, URL-encoded"));
    let mut parts = text.split('&').filter(|part| !part.is_empty());
    if parts.any(|part| part.find('=').is_none_or(|place| place == 0)) {
        return Err(malformed());
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(text).map_err(|_| malformed())?;
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
            ("order", ""),
            ("order", "newest"),
            ("template", ""),
            ("startedAfter", ""),
            ("startedAfter", "yesterday"),
            ("startedAfter", "1764028800"),
            ("startedAfter", "2026-02-30T00:00:00Z"),
            ("metadata", "user"),
            ("metadata", "=a"),
            ("metadata", "user=a&b"),
            ("limit", "0"),
            ("limit", "-1"),
            ("limit", "101"),
            ("limit", "x"),
            ("nextToken", "x"),
        ] {
            let parameters = [(name.to_owned(), value.to_owned())];
            assert!(ListFilter::parse(&parameters).is_err(), "{name}={value}");
        }
    }
}
