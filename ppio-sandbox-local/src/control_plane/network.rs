//! The network settings of a sandbox in requests.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::unsupported;
use crate::api::ApiError;
use crate::identity;
use crate::isolation::{Networks, SandboxNetwork};
use crate::sandbox::{HostMask, SandboxIngress};

/// The value of `denyOut` that stands for every address.
const ALL_ADDRESSES: &str = "0.0.0.0/0";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkRequest {
    allow_public_traffic: Option<bool>,
    mask_request_host: Option<String>,
    deny_out: Option<Vec<String>>,
    /// Exceptions from `denyOut`. They have no effect if the sandbox may reach other machines.
    allow_out: Option<Vec<String>>,
    #[serde(alias = "allow_internet_access")]
    allow_internet_access: Option<bool>,
    egress_proxy: Option<Value>,
    rules: Option<BTreeMap<String, Value>>,
}

impl NetworkRequest {
    /// Returns how requests reach the sandbox.
    pub(super) fn ingress(&self) -> Result<SandboxIngress, ApiError> {
        let mask = self
            .mask_request_host
            .as_deref()
            .filter(|mask| !mask.is_empty());
        let host_mask = match mask {
            None => None,
            Some(text) => Some(HostMask::parse(text).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "maskRequestHost is {text:?}: send a host name, with a port or `${{PORT}}` if \
                     it has one"
                ))
            })?),
        };
        Ok(SandboxIngress {
            traffic_token: (self.allow_public_traffic == Some(false)).then(identity::secret),
            host_mask,
        })
    }

    /// Whether the sandbox may reach other machines. Any other rule for outgoing traffic is
    /// refused. `access` is the field `allowInternetAccess` of the request itself, outside these
    /// settings.
    pub(super) fn allows_internet(&self, access: Option<bool>) -> Result<bool, ApiError> {
        let denied = self.deny_out.as_deref().unwrap_or_default();
        let allows = access != Some(false)
            && self.allow_internet_access != Some(false)
            && !denied.iter().any(|range| range == ALL_ADDRESSES);
        if allows && !denied.is_empty() {
            return Err(unsupported::not_supported(
                "rules for single networks (denyOut other than 0.0.0.0/0)",
            ));
        }
        let exceptions = self.allow_out.as_deref().unwrap_or_default();
        if !allows && !exceptions.is_empty() {
            return Err(unsupported::not_supported(
                "exceptions from a sandbox without network access (allowOut)",
            ));
        }
        if self
            .egress_proxy
            .as_ref()
            .is_some_and(|proxy| !proxy.is_null())
        {
            return Err(unsupported::not_supported(
                "a proxy for the outgoing traffic of a sandbox (egressProxy)",
            ));
        }
        if self.rules.as_ref().is_some_and(|rules| !rules.is_empty()) {
            return Err(unsupported::not_supported(
                "changing the outgoing requests of a sandbox (rules)",
            ));
        }
        Ok(allows)
    }
}

/// Returns the network for a new sandbox.
pub(super) fn choose(
    networks: &Networks,
    access: Option<bool>,
    request: Option<&NetworkRequest>,
) -> Result<SandboxNetwork, ApiError> {
    let has_internet = match request {
        Some(request) => request.allows_internet(access)?,
        None => access != Some(false),
    };
    networks.choose(has_internet).map_err(|reason| {
        ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            format!(
                "this platform cannot disable the network of a sandbox: {reason}. Isolation needs \
                 bubblewrap and bash; `ppio-sandbox-cli doctor` lists what is missing"
            ),
        )
    })
}
