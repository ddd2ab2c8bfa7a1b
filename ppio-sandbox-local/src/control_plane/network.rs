//! The network settings of a sandbox in requests.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::unsupported;
use crate::api::ApiError;
use crate::identity;
use crate::sandbox::{HostMask, Ingress};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkRequest {
    allow_public_traffic: Option<bool>,
    mask_request_host: Option<String>,
    /// `allowOut` names exceptions from it, so it has no effect by itself.
    deny_out: Option<Vec<String>>,
    #[serde(alias = "allow_internet_access")]
    allow_internet_access: Option<bool>,
    egress_proxy: Option<Value>,
    rules: Option<BTreeMap<String, Value>>,
}

impl NetworkRequest {
    /// How requests reach the sandbox.
    pub(super) fn ingress(&self) -> Result<Ingress, ApiError> {
        self.check_egress()?;
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
        Ok(Ingress {
            traffic_token: (self.allow_public_traffic == Some(false)).then(identity::secret),
            host_mask,
        })
    }

    /// Refuses rules for outgoing traffic.
    pub(super) fn check_egress(&self) -> Result<(), ApiError> {
        let denies = self.deny_out.as_ref().is_some_and(|deny| !deny.is_empty());
        if denies || self.allow_internet_access == Some(false) {
            return Err(no_egress_rules());
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
        Ok(())
    }
}

pub(super) fn no_egress_rules() -> ApiError {
    unsupported::not_supported("disabling a sandbox's network access")
}
