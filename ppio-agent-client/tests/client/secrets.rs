//! Keys and tokens appear nowhere: not in `Debug` output, not in errors, not in a log line of any
//! level.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio_agent_client::platform::{Command, NewSandbox};
use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, SandboxConfig};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::clients::API_KEY;

const ACCESS_TOKEN: &str = "at-9d81e6";
const VARIABLE: &str = "sk-model-51c7";
/// The token that the scripted platform returns for the first sandbox.
const ENVD_TOKEN: &str = "envd-token-sb1";

/// Everything that is logged or printed.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Paper {
    fn debug(&self, value: &impl Debug) {
        let text = format!("{value:?}\n{value:#?}\n");
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    /// Prints an error in every form: its text, the texts of all its causes, and its `Debug`
    /// output.
    fn error(&self, error: &Error) {
        self.debug(error);
        self.debug(&error.report().to_string());
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            self.debug(&error.to_string());
            cause = std::error::Error::source(error);
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
#[allow(
    clippy::too_many_lines,
    reason = "one log, and all that may write to it"
)]
async fn keys_and_tokens_are_never_printed() {
    let paper = Paper::default();
    // The subscriber is global, so that the lines of every thread are captured, including those of
    // hyper and rustls.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(paper.clone())
        .init();
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        base_url: Some(platform.url()),
        domain: Some(platform.domain()),
        retry_delay: Duration::from_millis(1),
        stream_idle_timeout: Duration::from_millis(100),
        ..ClientConfig::default()
    };
    let builder = AgentRuntimeClient::builder()
        .api_key(API_KEY)
        .access_token(ACCESS_TOKEN)
        .config(config);
    paper.debug(&builder);
    let client = builder.build().unwrap();
    paper.debug(&client);
    paper.debug(client.auth());
    paper.debug(&client.auth().auth_headers());
    paper.debug(client.platform());
    paper.debug(client.templates());

    // The options of a session, and the session.
    let mut sandbox = SandboxConfig::default();
    sandbox.env_vars.insert("MODEL_KEY".into(), VARIABLE.into());
    paper.debug(&sandbox);
    let create = client.create_session("tmpl_1").config(sandbox.clone());
    paper.debug(&create);
    let mut new = NewSandbox::new("tmpl_1", Duration::from_secs(60));
    new.env_vars.clone_from(&sandbox.env_vars);
    paper.debug(&new);
    let mut command = Command::shell("true");
    command.envs.clone_from(&sandbox.env_vars);
    paper.debug(&command);
    let session = create.await.unwrap();
    paper.debug(&session);
    paper.debug(&session.envd());
    let made = client.platform().create_sandbox(&new).await.unwrap();
    assert_eq!(
        made.envd_access_token.as_ref().unwrap().expose(),
        "envd-token-sb2"
    );
    paper.debug(&made);
    paper.debug(&session.info().await.unwrap());

    // Calls, with their arguments.
    let incoming = http::HeaderMap::from_iter([(
        http::header::AUTHORIZATION,
        http::HeaderValue::from_static("Bearer sk-incoming-11"),
    )]);
    paper.debug(&session.invoke("sk-payload-12").trace_context(&incoming));
    let call = client.invoke_agent_runtime("a-tmpl1", "sk-payload-12");
    paper.debug(&call.trace_context(&incoming).sandbox(sandbox.clone()));

    // A platform and an agent that quote what they were sent, wherever a text can occur.
    let quote = format!("what is {API_KEY} and {ACCESS_TOKEN}?");
    let envd_quote = format!("what is {ENVD_TOKEN}?");
    let long = format!("{}{API_KEY}{}", "x".repeat(295), "y".repeat(50));
    for status in [400, 401, 403, 404, 409, 418, 429, 500, 503] {
        for text in [&quote, &long] {
            platform.script("POST /sandboxes", Reply::error(status, text));
            platform.always("GET /v2/sandboxes", Reply::error(status, text));
            platform.always("GET /templates", Reply::body(status, "text/plain", text));
            platform.always("agent POST /invocations", Reply::error(status, text));
            let reply = Reply::error(status, &envd_quote);
            platform.always("envd POST /process.Process/List", reply);
            platform.always("POST /sandboxes/{id}/pause", Reply::error(status, text));
            paper.error(&client.list_sessions().await.unwrap_err());
            if ![429, 500, 503].contains(&status) {
                paper.error(&client.create_session("tmpl_1").await.unwrap_err());
            }
            paper.error(&client.get_template("tmpl_1").await.unwrap_err());
            paper.error(&session.invoke("hi").await.unwrap_err());
            paper.error(&session.envd().list_processes().await.unwrap_err());
            // A 404 would close the session, and a 409 is not an error.
            if ![404, 409].contains(&status) {
                paper.error(&session.pause().await.unwrap_err());
            }
        }
    }
    let failure = json!({"result": null, "status": "error", "duration": 0, "error": quote, "error_type": quote});
    platform.always("agent POST /invocations", Reply::json(200, &failure));
    paper.error(&session.invoke("hi").await.unwrap_err());
    let wrong = json!(quote);
    platform.always("agent POST /invocations", Reply::json(200, &wrong));
    paper.error(&session.invoke("hi").json::<u64>().await.unwrap_err());
    platform.always(
        "agent POST /invocations",
        Reply::body(200, &format!("text/{API_KEY}"), ""),
    );
    paper.error(&session.invoke("hi").await.unwrap_err());
    platform.always(
        "GET /v2/sandboxes",
        Reply::json(200, &json!([{"sandboxID": {"a": 1}, "state": quote}])),
    );
    paper.error(&client.list_sessions().await.unwrap_err());
    let item = format!("data: {}\n\n", json!({"error": quote}));
    platform.always("agent POST /invocations", Reply::events().chunk(item).end());
    let mut stream = session.invoke("hi").stream().await.unwrap();
    paper.debug(&stream);
    paper.error(&stream.next().await.unwrap().unwrap_err());

    // Addresses with passwords in them are refused, and not quoted.
    let config = ClientConfig {
        base_url: Some("https://me:sk-url-13@example.com".into()),
        ..ClientConfig::default()
    };
    let error = AgentRuntimeClient::builder()
        .api_key(API_KEY)
        .config(config)
        .build();
    paper.error(&error.unwrap_err());
    let error = AgentRuntimeClient::builder()
        .api_key(format!("{API_KEY}\n"))
        .build();
    paper.error(&error.unwrap_err());

    drop(session);
    client.close().await.unwrap();
    // Proxies are read from the process's environment; they are tested in `client_examples`.
    let text = paper.text();
    assert!(text.contains("retrying"), "retries were logged");
    assert!(
        text.contains("MODEL_KEY"),
        "names of variables may be shown"
    );
    assert!(
        text.contains("what is ***"),
        "quotes were returned without the key"
    );
    for secret in [
        API_KEY,
        ACCESS_TOKEN,
        VARIABLE,
        ENVD_TOKEN,
        "sk-test",
        "sk-incoming-11",
        "sk-payload-12",
        "sk-url-13",
    ] {
        if let Some(at) = text.find(secret) {
            let around = &text[at.saturating_sub(300)..(at + 100).min(text.len())];
            panic!("{secret} was printed: {around}");
        }
    }
}
