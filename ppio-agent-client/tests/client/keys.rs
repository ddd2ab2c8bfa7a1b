//! Which services are sent the account's key: the control plane, and agents on PPIO's cloud. A
//! response of a control plane, a redirect or a variable of another vendor does not send the key
//! anywhere else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio_agent_client::platform::{LogQuery, NewBuild, NewSandbox, NewTemplate, SandboxAddress};
use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, SandboxConfig, SandboxSession};
use ppio_test_support::scripted_platform::{Recorded, Reply, ScriptedPlatform};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

use crate::clients::{API_KEY, client_basic, client_of, client_that_sends_its_key, client_with};

const INVOKE: &str = "agent POST /invocations";
const PING: &str = "agent GET /ping";
const CREATE: &str = "POST /sandboxes";
const TRAFFIC_TOKEN: &str = "e2b-traffic-access-token";

fn bearer() -> String {
    format!("Bearer {API_KEY}")
}

/// Returns the requests to sandboxes: pings, invocations, and `GET /` and `GET /health` of other
/// ports.
fn traffic(platform: &ScriptedPlatform) -> Vec<Recorded> {
    [
        "agent GET /ping",
        "agent POST /invocations",
        "envd GET /",
        "envd GET /health",
    ]
    .iter()
    .flat_map(|route| platform.requests(route))
    .collect()
}

/// Creates a session with two ports: the creation sends requests to the agent's port and to the
/// second port.
async fn session_of_two_ports(client: &AgentRuntimeClient) -> SandboxSession {
    let sandbox = SandboxConfig {
        ports: vec![8080, 3000],
        ..SandboxConfig::default()
    };
    let session = client.create_session("tmpl_1").config(sandbox);
    session.await.unwrap()
}

#[tokio::test]
async fn an_agent_of_another_platform_gets_no_key() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let session = session_of_two_ports(&client).await;
    session.ping().await.unwrap();
    session.invoke("a").await.unwrap();
    let mut items = session.invoke("b").stream().await.unwrap();
    while items.next().await.is_some() {}
    client.invoke_agent("tmpl_1", "c").await.unwrap();
    client
        .invoke_agent("tmpl_1", "d")
        .session("sb1")
        .await
        .unwrap();
    client.invoke_agent_runtime("a-tmpl_1", "e").await.unwrap();
    assert!(session.envd().is_running().await.unwrap());
    let found = client.get_session("sb1").await.unwrap().unwrap();
    found.invoke("f").await.unwrap();
    let requests = traffic(&platform);
    assert!(requests.len() >= 9, "{}", requests.len());
    for request in requests {
        let sent = request
            .headers
            .values()
            .any(|value| value.contains(API_KEY));
        assert!(!sent, "{request:?}");
        assert_eq!(request.header("authorization"), "");
    }
    // The control plane is still sent the key.
    assert_eq!(platform.requests(CREATE)[0].header("x-api-key"), API_KEY);
}

#[tokio::test]
async fn a_setting_sends_the_key_to_agents_of_the_domain_that_is_configured() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        send_api_key_to_agents: Some(true),
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config.clone());
    let session = client.create_session("tmpl_1").await.unwrap();
    session.invoke("hi").await.unwrap();
    for route in [PING, INVOKE] {
        assert_eq!(
            platform.requests(route)[0].header("authorization"),
            bearer()
        );
    }
    // The daemon has a token of its own.
    session.envd().is_running().await.unwrap();
    assert_eq!(
        platform.requests("envd GET /health")[0].header("authorization"),
        ""
    );

    // An agent on a domain that only the control plane has named is not sent the key.
    let other = ScriptedPlatform::start().await;
    other.add_sandbox("sb9", "tmpl_1");
    let made = json!({"sandboxID": "sb9", "templateID": "tmpl_1", "domain": other.domain()});
    platform.script(CREATE, Reply::json(201, &made));
    let session = client.create_session("tmpl_1").await.unwrap();
    session.invoke("hi").await.unwrap();
    for route in [PING, INVOKE] {
        assert_eq!(other.requests(route)[0].header("authorization"), "");
    }

    // With `sandbox_url`, the caller has set the address of all agents, so they are sent the key.
    let config = ClientConfig {
        sandbox_url: Some(platform.url()),
        ..config
    };
    let client = client_with(&platform, config);
    let session = client.create_session("tmpl_1").await.unwrap();
    session.invoke("hi").await.unwrap();
    let last = platform.requests(INVOKE).pop().unwrap();
    assert_eq!(last.header("authorization"), bearer());
}

#[tokio::test]
async fn a_traffic_token_is_sent_instead_of_the_key() {
    let platform = ScriptedPlatform::start().await;
    let client = client_that_sends_its_key(&platform);
    let with_token = |id: &str, token: &str| {
        json!({
            "sandboxID": id, "templateID": "tmpl_1", "domain": platform.domain(),
            "trafficAccessToken": token,
        })
    };
    platform.add_sandbox("sb7", "tmpl_1");
    platform.script(CREATE, Reply::json(201, &with_token("sb7", "traffic-7")));
    let session = session_of_two_ports(&client).await;
    session.ping().await.unwrap();
    session.invoke("hi").await.unwrap();
    for request in [PING, INVOKE, "envd GET /"].map(|route| platform.requests(route).remove(0)) {
        assert_eq!(request.header(TRAFFIC_TOKEN), "traffic-7", "{request:?}");
        assert_eq!(request.header("authorization"), "", "{request:?}");
    }
    // Errors do not contain the traffic token.
    platform.script(INVOKE, Reply::error(500, "what is traffic-7?"));
    let error = session.invoke("hi").await.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("traffic-7"),
        "{error}"
    );

    // A session from `get_session` receives its traffic token when it is resumed.
    platform.add_sandbox("sb8", "tmpl_1");
    let found = client.get_session("sb8").await.unwrap().unwrap();
    let resumed = Reply::json(201, &with_token("sb8", "traffic-8"));
    platform.script("POST /sandboxes/{id}/resume", resumed);
    found.resume().await.unwrap();
    found.invoke("hi").await.unwrap();
    for route in [PING, INVOKE] {
        let last = platform.requests(route).pop().unwrap();
        assert_eq!(last.header(TRAFFIC_TOKEN), "traffic-8");
        assert_eq!(last.header("authorization"), "");
    }
}

#[tokio::test]
async fn headers_of_the_caller_take_precedence() {
    let platform = ScriptedPlatform::start().await;
    let client = client_that_sends_its_key(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    let mut items = session
        .invoke("a")
        .header("authorization", "Bearer sesame")
        .stream()
        .await
        .unwrap();
    while items.next().await.is_some() {}
    session
        .invoke("b")
        .header(http::header::AUTHORIZATION, String::from("Bearer sesame"))
        .header("X-Tenant", "7")
        .await
        .unwrap();
    client
        .invoke_agent("tmpl_1", "c")
        .header("authorization", "Bearer sesame")
        .await
        .unwrap();
    client
        .invoke_agent_runtime("a-tmpl_1", "d")
        .header("authorization", "Bearer sesame")
        .await
        .unwrap();
    let requests = platform.requests(INVOKE);
    assert_eq!(requests.len(), 4);
    for request in &requests {
        assert_eq!(request.header("authorization"), "Bearer sesame");
    }
    assert_eq!(requests[1].header("x-tenant"), "7");

    // Headers that would break the connection or select another sandbox are rejected before a
    // sandbox is created.
    let made = platform.count(CREATE);
    for name in [
        "Host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
    ] {
        let error = session.invoke("e").header(name, "x").await.unwrap_err();
        assert!(matches!(error, Error::Validation { .. }), "{error}");
        assert!(error.report().to_string().contains(name), "{error}");
        let error = client
            .invoke_agent("tmpl_1", "f")
            .header(name, "x")
            .await
            .unwrap_err();
        assert!(error.report().to_string().contains(name), "{error}");
        let error = client
            .invoke_agent_runtime("a-tmpl_1", "g")
            .header(name, "x")
            .await;
        assert!(error.unwrap_err().report().to_string().contains(name));
    }
    let error = session
        .invoke("h")
        .header("ppio-sandbox-id", "sb2")
        .await
        .unwrap_err();
    assert!(
        error.report().to_string().contains("ppio-sandbox-id"),
        "{error}"
    );
    let error = session
        .invoke("i")
        .header("x-a", "1\r\nx-b: 2")
        .await
        .unwrap_err();
    assert!(error.report().to_string().contains("x-a"), "{error}");
    assert_eq!((platform.count(INVOKE), platform.count(CREATE)), (4, made));
}

/// Ids that would lead to another host, port or path if they were put into a URL unchanged.
fn hostile_ids(elsewhere: &ScriptedPlatform) -> Vec<String> {
    let there = elsewhere.domain();
    vec![
        format!("x.{there}/?"),
        format!("x.{there}/"),
        format!("x.{there}#"),
        format!("x@{there}"),
        format!("x:y@{there}/"),
        "x.evil:19002/?".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        String::new(),
        "a/b".to_owned(),
        "a b".to_owned(),
        "a%2fb".to_owned(),
        "x".repeat(500),
    ]
}

#[tokio::test]
async fn a_malformed_id_or_domain_in_a_response_is_rejected() {
    let platform = ScriptedPlatform::start().await;
    let elsewhere = ScriptedPlatform::start().await;
    let config = ClientConfig {
        send_api_key_to_agents: Some(true),
        max_retries: 0,
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let there = elsewhere.domain();
    let answers = hostile_ids(&elsewhere)
        .into_iter()
        .map(|id| json!({"sandboxID": id, "templateID": "tmpl_1"}))
        .chain(
            [
                format!("{there}/?"),
                format!("x@{there}"),
                format!("a:b@{there}"),
                format!("{there}?"),
                format!("{there}#.localhost"),
                format!("{there}\\x"),
                "a..b".to_owned(),
                "localhost:99999".to_owned(),
            ]
            .map(|domain| json!({"sandboxID": "sb1", "templateID": "tmpl_1", "domain": domain})),
        );
    platform.add_sandbox("sb1", "tmpl_1");
    let refused = |error: Error, answer: &Value| {
        let text = error.report().to_string();
        assert!(text.contains("the response's"), "{answer}: {text}");
    };
    let plane = client.platform();
    for answer in answers {
        let reply = || Reply::json(200, &answer);
        platform.script(CREATE, reply());
        refused(client.create_session("tmpl_1").await.unwrap_err(), &answer);
        platform.script(CREATE, reply());
        let new = NewSandbox::new("tmpl_1", Duration::from_secs(60));
        refused(plane.create_sandbox(&new).await.unwrap_err(), &answer);
        platform.script("GET /sandboxes/{id}", reply());
        refused(client.get_session("sb1").await.unwrap_err(), &answer);
        platform.script("GET /sandboxes/{id}", reply());
        let asked = client.invoke_agent("tmpl_1", "hi").session("sb1").await;
        refused(asked.unwrap_err(), &answer);
        platform.script("POST /sandboxes/{id}/connect", reply());
        let joined = plane.connect_sandbox("sb1", Duration::from_secs(60)).await;
        refused(joined.unwrap_err(), &answer);
        platform.script("POST /sandboxes/{id}/resume", reply());
        let resumed = plane
            .resume_sandbox("sb1", Duration::from_secs(60), false)
            .await;
        refused(resumed.unwrap_err(), &answer);
        platform.script("GET /v2/sandboxes", Reply::json(200, &json!([answer])));
        refused(client.list_sessions().await.unwrap_err(), &answer);
        platform.script("GET /sandboxes", Reply::json(200, &json!([answer])));
        let listed = plane.list_running_sandboxes(&BTreeMap::default()).await;
        refused(listed.unwrap_err(), &answer);
    }
    for id in hostile_ids(&elsewhere) {
        for ticket in [
            json!({"templateID": id, "buildID": "b"}),
            json!({"templateID": "t", "buildID": id}),
        ] {
            platform.script("POST /v3/templates", Reply::json(202, &ticket));
            let made = plane.create_template(&NewTemplate::default()).await;
            refused(made.unwrap_err(), &ticket);
        }
        let alias = json!({ "templateID": id });
        platform.script("GET /templates/aliases/a", Reply::json(200, &alias));
        refused(plane.resolve_alias("a").await.unwrap_err(), &alias);
    }
    for url in [
        "ftp://files.example/x",
        "/storage",
        "files.example/x",
        "file:///etc/passwd",
        "",
    ] {
        let upload = json!({"present": false, "url": url});
        platform.script("GET /templates/t/files/ab", Reply::json(201, &upload));
        refused(plane.file_upload("t", "ab").await.unwrap_err(), &upload);
        let error = plane.upload_files(url, "archive").await.unwrap_err();
        assert!(matches!(error, Error::Validation { .. }), "{url}: {error}");
    }
    let with_password = format!("http://user:password@{there}/storage");
    let error = plane
        .upload_files(&with_password, "archive")
        .await
        .unwrap_err();
    assert!(!error.report().to_string().contains("password@"), "{error}");
    assert!(traffic(&platform).is_empty());
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_malformed_id_of_the_caller_is_rejected_before_a_request() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let plane = client.platform();
    let minute = Duration::from_secs(60);
    let refused = |outcome: Result<(), Error>, id: &str| {
        let error = outcome.expect_err(id);
        assert!(matches!(error, Error::Validation { .. }), "{id:?}: {error}");
    };
    for id in [
        "",
        ".",
        "..",
        "/",
        "a/b",
        "../templates",
        "a/..",
        "../../v2/x?y",
        "a\n",
    ] {
        refused(plane.get_sandbox(id).await.map(drop), id);
        refused(plane.kill_sandbox(id).await.map(drop), id);
        refused(plane.set_sandbox_timeout(id, minute).await, id);
        refused(plane.refresh_sandbox(id, minute).await, id);
        refused(plane.pause_sandbox(id).await.map(drop), id);
        refused(plane.resume_sandbox(id, minute, false).await.map(drop), id);
        refused(plane.connect_sandbox(id, minute).await.map(drop), id);
        refused(
            plane.sandbox_logs(id, &LogQuery::default()).await.map(drop),
            id,
        );
        refused(
            plane
                .sandbox_logs_v1(id, &LogQuery::default())
                .await
                .map(drop),
            id,
        );
        refused(plane.sandbox_metrics(id, None, None).await.map(drop), id);
        refused(client.get_session(id).await.map(drop), id);
        refused(client.close_session(id).await, id);
        refused(
            client
                .invoke_agent("tmpl_1", "hi")
                .session(id)
                .await
                .map(drop),
            id,
        );

        refused(plane.get_template(id).await.map(drop), id);
        refused(plane.delete_template(id).await.map(drop), id);
        refused(plane.list_tags(id).await.map(drop), id);
        refused(plane.file_upload(id, "ab").await.map(drop), id);
        refused(plane.file_upload("t", id).await.map(drop), id);
        for (template, build) in [(id, "b"), ("t", id)] {
            let new = NewBuild::default();
            refused(plane.start_build(template, build, &new).await, id);
            refused(plane.build_status(template, build, 0).await.map(drop), id);
        }
        let address = SandboxAddress {
            sandbox_id: id.to_owned(),
            domain: None,
        };
        let error = client
            .envd(&address, None)
            .read_file("/etc/hosts")
            .await
            .unwrap_err();
        assert!(
            error.report().to_string().contains("is not an id"),
            "{error}"
        );
    }
    // A name may begin with its owner's name.
    for name in ["", ".", "..", "/", "a/", "/a", "../a", "a/../b"] {
        refused(plane.resolve_alias(name).await.map(drop), name);
        refused(client.create_session(name).await.map(drop), name);
    }
    let address = SandboxAddress {
        sandbox_id: "sb1".to_owned(),
        domain: Some(format!("x@{}", platform.domain())),
    };
    client.envd(&address, None).is_running().await.unwrap_err();
    assert_eq!(platform.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let platform = ScriptedPlatform::start().await;
    let elsewhere = ScriptedPlatform::start().await;
    let client = client_that_sends_its_key(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/v2/sandboxes", elsewhere.url());
        let redirect = Reply::with_headers(status, &[("location", &location)], "");
        for route in ["GET /v2/sandboxes", CREATE, INVOKE, PING, "PUT /storage"] {
            platform.script(route, redirect.clone());
        }
        let error = client.list_sessions().await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        session.invoke("hi").await.unwrap_err();
        session.ping().await.unwrap_err();
        client.create_session("tmpl_1").await.unwrap_err();
        let storage = format!("{}/storage", platform.url());
        client
            .platform()
            .upload_files(&storage, "archive")
            .await
            .unwrap_err();
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn plain_http_to_another_machine_is_warned_of_once() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let subscriber = {
        let log = Arc::clone(&log);
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || Log(Arc::clone(&log)))
            .finish()
    };
    let _guard = tracing::subscriber::set_default(subscriber);
    let said = || String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let platform = ScriptedPlatform::start().await;
    let local = client_of(&platform);
    local.list_sessions().await.unwrap();
    assert_eq!(said(), "");
    // An address of this machine that is not a loopback address.
    let config = ClientConfig {
        base_url: Some(platform.url().replace("127.0.0.1", "0.0.0.0")),
        ..ClientConfig::default()
    };
    let client = AgentRuntimeClient::builder()
        .api_key(API_KEY)
        .config(config);
    let client = client.build().unwrap();
    for _ in 0..3 {
        client.list_sessions().await.unwrap();
    }
    let text = said();
    assert_eq!(text.matches("WARN").count(), 1, "{text}");
    assert!(text.contains("0.0.0.0") && text.contains("key"), "{text}");
    assert!(text.contains("unencrypted"), "{text}");
    // An upload sends no key, but its URL must not become public either.
    let url = format!("{}/storage", platform.url().replace("127.0.0.1", "0.0.0.0"));
    for _ in 0..2 {
        client
            .platform()
            .upload_files(&url, "archive")
            .await
            .unwrap();
    }
    let text = said();
    assert_eq!(text.matches("WARN").count(), 2, "{text}");
    assert!(!text.contains(API_KEY), "{text}");
}

/// The captured log.
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The clouds of both vendors behind a proxy: for every requested host, a scripted platform answers
/// over TLS.
struct Clouds {
    platform: ScriptedPlatform,
    proxy: SocketAddr,
    /// The requested hosts.
    hosts: Arc<Mutex<Vec<String>>>,
    certificate: tempfile::NamedTempFile,
}

impl Clouds {
    async fn start() -> Self {
        let platform = ScriptedPlatform::start().await;
        let made = json!({"sandboxID": "sb1", "templateID": "tmpl_1"});
        platform.always(CREATE, Reply::json(201, &made));
        platform.always("GET /ping", Reply::json(200, &json!({"status": "Healthy"})));
        let answer = json!({"result": 1, "status": "success", "duration": 0});
        platform.always("POST /invocations", Reply::json(200, &answer));

        let names = [
            "*.sandbox.ppio.cn",
            "*.cn-beijing-1.sandbox.ppio.com",
            "*.e2b.app",
            "*.agents.example",
        ];
        let own = rcgen::generate_simple_self_signed(names.map(str::to_owned)).unwrap();
        let certificate = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&certificate, own.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(own.key_pair.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let hosts = Arc::new(Mutex::new(Vec::new()));
        let target = platform.url().replace("http://", "");
        let asked = Arc::clone(&hosts);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (acceptor, asked) = (acceptor.clone(), Arc::clone(&asked));
                let target = target.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await?);
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let host = head.split(' ').nth(1).unwrap_or_default();
                    asked.lock().unwrap().push(host.to_owned());
                    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(target).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self {
            platform,
            proxy,
            hosts,
            certificate,
        }
    }

    /// Invokes an agent once, from a process with these variables and no other variables that
    /// configure a client.
    async fn ask(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = client_basic().await;
        command
            .env("HTTPS_PROXY", format!("http://{}", self.proxy))
            .env("SSL_CERT_FILE", self.certificate.path())
            .envs(variables.iter().copied());
        self.hosts.lock().unwrap().clear();
        let output = tokio::time::timeout(Duration::from_secs(60), command.output());
        output.await.expect("the process ends in time").unwrap()
    }

    /// The hosts that the last process requested, each once.
    fn hosts(&self) -> Vec<String> {
        let mut hosts = self.hosts.lock().unwrap().clone();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// The `authorization` headers of the last ping and invocation.
    fn shown(&self) -> [String; 2] {
        ["GET /ping", "POST /invocations"].map(|route| {
            let last = self.platform.requests(route).pop().unwrap();
            last.header("authorization").to_owned()
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_certificates_are_trusted_than_those_of_the_variable() {
    let clouds = Clouds::start().await;
    let without_certificate = tempfile::NamedTempFile::new().unwrap();
    let path = without_certificate.path().to_str().unwrap();
    let output = clouds
        .ask(&[("PPIO_API_KEY", "ppio-key"), ("SSL_CERT_FILE", path)])
        .await;
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("SSL_CERT_FILE: found no certificate"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_on_the_cloud_are_sent_the_key() {
    let clouds = Clouds::start().await;
    let region = ("PPIO_DOMAIN", "cn-beijing-1.sandbox.ppio.com");
    let key = ("PPIO_API_KEY", "ppio-key");
    for (variables, domain) in [
        (&[key][..], "sandbox.ppio.cn"),
        (&[key, region], "cn-beijing-1.sandbox.ppio.com"),
    ] {
        let output = clouds.ask(variables).await;
        assert!(output.status.success(), "{output:?}");
        let hosts = [
            format!("8080-sb1.{domain}:443"),
            format!("api.{domain}:443"),
        ];
        assert_eq!(clouds.hosts(), hosts);
        assert_eq!(clouds.shown(), ["Bearer ppio-key", "Bearer ppio-key"]);
    }
    let never = ("PPIO_SEND_API_KEY_TO_AGENTS", "false");
    assert!(clouds.ask(&[key, never]).await.status.success());
    assert_eq!(clouds.shown(), ["", ""]);

    // Agents on any other domain are sent the key only if a variable allows it.
    let own = ("PPIO_DOMAIN", "agents.example");
    assert!(clouds.ask(&[key, own]).await.status.success());
    assert_eq!(clouds.shown(), ["", ""]);
    let always = ("PPIO_SEND_API_KEY_TO_AGENTS", "true");
    assert!(clouds.ask(&[key, own, always]).await.status.success());
    assert_eq!(clouds.shown(), ["Bearer ppio-key", "Bearer ppio-key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_its_own_vendor_or_nowhere() {
    let clouds = Clouds::start().await;
    let (ppio, e2b) = (("PPIO_API_KEY", "ppio-key"), ("E2B_API_KEY", "e2b-key"));
    let e2b_hosts = ["8080-sb1.e2b.app:443", "api.e2b.app:443"];
    // E2B's key alone, and together with an address of PPIO.
    for beside in [&[][..], &[("PPIO_DOMAIN", "sandbox.ppio.cn")]] {
        let output = clouds.ask(&[beside, &[e2b]].concat()).await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(clouds.hosts(), e2b_hosts);
        assert_eq!(clouds.shown(), ["", ""]);
    }
    // Both keys: PPIO's key is used with PPIO's addresses, and no variable of E2B is used.
    let both = [
        ppio,
        e2b,
        ("E2B_ACCESS_TOKEN", "e2b-token"),
        ("E2B_DOMAIN", "agents.example"),
        ("E2B_API_URL", "https://api.agents.example"),
    ];
    assert!(clouds.ask(&both).await.status.success());
    assert_eq!(
        clouds.hosts(),
        ["8080-sb1.sandbox.ppio.cn:443", "api.sandbox.ppio.cn:443"]
    );
    let listed = clouds.platform.requests("GET /templates").pop().unwrap();
    assert_eq!(listed.header("authorization"), "Bearer ppio-key");
    // The key of one vendor with an address of the other vendor.
    for variables in [
        [e2b, ("E2B_DOMAIN", "sandbox.ppio.cn")],
        [e2b, ("E2B_API_URL", "https://api.sandbox.ppio.cn")],
        [e2b, ("E2B_SANDBOX_URL", "https://gate.sandbox.ppio.com")],
        [ppio, ("PPIO_API_URL", "https://api.e2b.app")],
    ] {
        let output = clouds.ask(&variables).await;
        assert_eq!(output.status.code(), Some(1), "{variables:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(variables[0].0), "{text}");
        assert_eq!(clouds.hosts(), [""; 0], "{variables:?}");
    }
}
