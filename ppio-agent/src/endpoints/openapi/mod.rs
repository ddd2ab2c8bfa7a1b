//! `GET /openapi.json`: the service as an [OpenAPI 3.1] document, for generators of clients and for
//! programs that test or compare services.
//!
//! [OpenAPI 3.1]: https://spec.openapis.org/oas/v3.1.1.html

mod components;
mod document;
mod operation;
mod own_schemas;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::StatusCode;

use self::document::Document;
pub(crate) use self::operation::ProtocolOperation;
use super::entrypoint_schema::LazySchema;
use crate::exchange::agent_info::AgentInfo;
use crate::exchange::body::Response;
use crate::exchange::json;

/// The endpoint `GET /openapi.json`.
pub(crate) struct OpenApi {
    about: AboutService,
    schema: Arc<LazySchema>,
    document: OnceLock<Bytes>,
}

/// The data that the document describes in addition to the schemas of the entrypoint.
pub(crate) struct AboutService {
    pub(crate) agent: AgentInfo,
    pub(crate) has_metrics: bool,
    pub(crate) has_websocket: bool,
    /// The operations of the protocols that are served.
    pub(crate) protocols: Vec<ProtocolOperation>,
}

impl OpenApi {
    pub(crate) fn new(about: AboutService, schema: Arc<LazySchema>) -> Self {
        Self {
            about,
            schema,
            document: OnceLock::new(),
        }
    }

    /// Answers `GET /openapi.json`.
    pub(crate) fn answer(&self) -> Response {
        json::response(StatusCode::OK, self.document())
    }

    /// Returns the document, which is built at the first request for it.
    pub(crate) fn document(&self) -> Bytes {
        let document = self.document.get_or_init(|| {
            let document = Document::new(&self.about, self.schema.get());
            json::to_bytes(&document.into_value())
        });
        document.clone()
    }
}
