//! A tool over MCP, called with the official client.

use ppio::{Error, Value, json};
use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, ContentBlock, JsonObject, TextContent};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

use crate::failure;

/// The first tool of an MCP server.
pub(crate) struct Tool {
    pub(crate) http: reqwest::Client,
    /// The endpoint of the server.
    pub(crate) url: String,
}

/// A connection to a server. Dropping it closes the connection and cancels a running call.
pub(crate) struct Connection {
    server: RunningService<RoleClient, ()>,
    name: String,
}

impl Tool {
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let config = StreamableHttpClientTransportConfig::with_uri(&*self.url);
        let transport = StreamableHttpClientTransport::with_client(self.http.clone(), config);
        let server = ().serve(transport).await.map_err(|error| {
            failure("the MCP server cannot be reached; check MCP_URL").with_source(error)
        })?;
        let tools = server.list_all_tools().await.map_err(failed)?;
        let tool = tools.into_iter().next();
        let tool = tool.ok_or_else(|| failure("the MCP server has no tool; check MCP_URL"))?;
        let name = tool.name.into_owned();
        Ok(Connection { server, name })
    }
}

impl Connection {
    /// Returns the name of the tool.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text of the tool's result, or of its error.
    pub(crate) async fn call(
        &self,
        arguments: JsonObject,
    ) -> Result<Result<String, String>, Error> {
        let call = CallToolRequestParams::new(self.name.clone()).with_arguments(arguments);
        let result = self.server.call_tool(call).await.map_err(failed)?;
        let texts = result.content.iter().filter_map(ContentBlock::as_text);
        let text: Vec<&str> = texts
            .map(|TextContent { text, .. }| text.as_str())
            .collect();
        let text = text.join("\n");
        Ok(if result.is_error == Some(true) {
            Err(text)
        } else {
            Ok(text)
        })
    }
}

/// Returns the arguments of a tool that takes a prompt, as the agents of this runtime do.
pub(crate) fn arguments(prompt: &str) -> JsonObject {
    match json!({ "prompt": prompt }) {
        Value::Object(arguments) => arguments,
        _ => JsonObject::new(),
    }
}

fn failed(error: rmcp::ServiceError) -> Error {
    failure("the MCP server failed; its error is in the log").with_source(error)
}
