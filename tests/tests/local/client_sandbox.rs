//! The contents of a sandbox and the sources of sandboxes: envd and builds, through the client, on
//! the local platform.

use std::process::Command as HostCommand;
use std::time::Duration;

use ppio_agent_client::platform::{
    BuildLogQuery, BuildPhase, BuildStatus, BuildStep, ChangeKind, Command, ControlPlane, Envd,
    FileKind, NewBuild, NewSandbox, NewTemplate, ProcessEvent, ProcessSelector, Sandbox, Signal,
    StepKind, TerminalSize,
};
use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, NetworkErrorKind};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually_some, with_timeout};

use crate::test_platform::TestPlatform;

/// Creates a sandbox without an agent, and returns it with its daemon.
async fn sandbox(local: &TestPlatform, client: &AgentRuntimeClient) -> (Sandbox, Envd) {
    let template = local.template(TemplateSpec::new("empty")).await;
    let new = NewSandbox {
        secure: Some(true),
        ..NewSandbox::new(template, Duration::from_secs(60))
    };
    let sandbox = client.platform().create_sandbox(&new).await.unwrap();
    let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    let envd = envd.with_version(&sandbox.envd_version);
    (sandbox, envd)
}

async fn end_of_build(platform: &ControlPlane, template: &str, build: &str) -> BuildStatus {
    eventually_some("the end of the build", async || {
        let status = platform.build_status(template, build, 0).await.unwrap();
        matches!(status.status, BuildPhase::Ready | BuildPhase::Error).then_some(status)
    })
    .await
}

async fn end(local: TestPlatform, client: AgentRuntimeClient, sandbox: Sandbox) {
    let platform = client.platform();
    assert!(platform.kill_sandbox(&sandbox.sandbox_id).await.unwrap());
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories() {
    let local = TestPlatform::with(|builder| builder).await;
    let client = local.client();
    let (sandbox, envd) = sandbox(&local, &client).await;
    assert!(envd.is_running().await.unwrap());

    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let written = envd.write_file("/tmp/deep/er/data.bin", bytes.clone());
    assert_eq!(written.await.unwrap()[0].name, "data.bin");
    assert_eq!(
        envd.read_file("/tmp/deep/er/data.bin").await.unwrap(),
        bytes
    );
    // Daemons before 0.5.7 require a multipart form.
    let older = envd.clone().with_version("0.5.6");
    older
        .write_file("/tmp/form.bin", bytes.clone())
        .await
        .unwrap();
    assert_eq!(envd.read_file("/tmp/form.bin").await.unwrap(), bytes);
    // Relative paths are relative to the user's home, for files and for directories.
    let root = envd.clone().with_user("root");
    root.write_file("note.txt", "as root").await.unwrap();
    assert!(envd.exists("/root/note.txt").await.unwrap());
    assert_eq!(root.stat("note.txt").await.unwrap().path, "/root/note.txt");

    let info = envd.stat("/tmp/deep/er/data.bin").await.unwrap();
    assert_eq!((info.kind, info.size), (FileKind::File, 300_000));
    assert_eq!(info.permissions.len(), 10, "{}", info.permissions);
    assert!(info.modified_time.is_some());
    assert!(envd.make_dir("/tmp/made/here").await.unwrap());
    assert!(!envd.make_dir("/tmp/made/here").await.unwrap());
    let moved = envd.rename("/tmp/form.bin", "/tmp/made/here/moved.bin");
    assert_eq!(moved.await.unwrap().path, "/tmp/made/here/moved.bin");
    assert!(!envd.exists("/tmp/form.bin").await.unwrap());
    let names = async |depth| {
        let entries = envd.list_dir("/tmp/made", depth).await.unwrap();
        let names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        names
    };
    assert_eq!(names(1).await, ["here"]);
    assert_eq!(names(2).await, ["here", "moved.bin"]);
    envd.remove("/tmp/made").await.unwrap();
    assert!(!envd.exists("/tmp/made").await.unwrap());

    // Removing a path that does not exist succeeds, as with envd.
    envd.remove("/tmp/made").await.unwrap();
    for error in [
        envd.stat("/nowhere").await.unwrap_err(),
        envd.read_file("/nowhere").await.unwrap_err(),
        envd.list_dir("/nowhere", 1).await.unwrap_err(),
        envd.watch_dir("/nowhere", false).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::SandboxOperation { .. }), "{error}");
        assert_eq!(error.status(), Some(404), "{error}");
    }
    // The daemon of a secure sandbox only answers calls that carry its token.
    let without_token = client.envd(&sandbox.address(), None);
    let error = without_token.stat("/tmp").await.unwrap_err();
    assert!(error.is_authentication(), "{error}");
    end(local, client, sandbox).await;
    assert!(
        without_token.is_running().await.is_err(),
        "the platform is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_a_directory() {
    let local = TestPlatform::with(|builder| builder).await;
    let client = local.client();
    let (sandbox, envd) = sandbox(&local, &client).await;
    envd.make_dir("/tmp/watched").await.unwrap();
    let mut events = envd.watch_dir("/tmp/watched", true).await.unwrap();
    envd.write_file("/tmp/watched/new.txt", "hello")
        .await
        .unwrap();
    let mut seen = Vec::new();
    while !seen.contains(&("new.txt".to_owned(), ChangeKind::Create)) {
        let event = with_timeout("an event", events.next()).await;
        let event = event.unwrap().expect("the watch continues");
        seen.push((event.name, event.kind));
    }
    end(local, client, sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes() {
    let local = TestPlatform::with(|builder| builder).await;
    let client = local.client();
    let (sandbox, envd) = sandbox(&local, &client).await;

    let line = "echo out; echo err >&2; echo $GREETING; pwd; exit 3";
    let mut command = Command::shell(line);
    command.envs.insert("GREETING".into(), "salut".into());
    command.cwd = Some("/tmp".into());
    let output = envd.start(&command).await.unwrap().output().await.unwrap();
    assert_eq!(output.stdout_text(), "out\nsalut\n/tmp\n");
    assert_eq!(output.stderr_text(), "err\n");
    assert_eq!((output.status.exit_code, output.status.exited), (3, true));

    // The process is found by its tag, written to, read by a second listener, and ended by a
    // signal.
    let command = Command {
        stdin: true,
        tag: Some("cat".into()),
        ..Command::new("cat")
    };
    let mut first = envd.start(&command).await.unwrap();
    let Some(ProcessEvent::Started { pid }) = first.next().await.unwrap() else {
        panic!("the first event is not the start")
    };
    let cat = ProcessSelector::Tag("cat".into());
    let mut second = envd.connect(&cat).await.unwrap();
    assert_eq!(
        second.next().await.unwrap(),
        Some(ProcessEvent::Started { pid })
    );
    let listed = envd.list_processes().await.unwrap();
    assert!(
        listed
            .iter()
            .any(|process| process.pid == pid && process.tag.as_deref() == Some("cat"))
    );
    envd.send_stdin(&cat, b"hello").await.unwrap();
    for events in [&mut first, &mut second] {
        let said = events.next().await.unwrap();
        assert_eq!(said, Some(ProcessEvent::Stdout(b"hello".to_vec())));
    }
    drop(first);
    envd.send_signal(&ProcessSelector::Pid(pid), Signal::Term)
        .await
        .unwrap();
    let rest = second.output().await.unwrap();
    assert!(!rest.status.exited, "{:?}", rest.status);

    // `cat` ends when its input ends.
    let events = envd.start(&command).await.unwrap();
    envd.send_stdin(&cat, b"bye").await.unwrap();
    envd.close_stdin(&cat).await.unwrap();
    let output = events.output().await.unwrap();
    assert_eq!(
        (output.stdout_text().as_str(), output.status.exit_code),
        ("bye", 0)
    );

    let error = envd.connect(&cat).await.unwrap_err_or_first().await;
    assert_eq!(error.status(), Some(404), "{error}");
    let error = envd.send_signal(&cat, Signal::Kill).await.unwrap_err();
    assert_eq!(error.status(), Some(404), "{error}");
    end(local, client, sandbox).await;
}

/// Extracts the error of a refused stream, which arrives as the first message.
trait Refusal {
    async fn unwrap_err_or_first(self) -> Error;
}

impl Refusal for Result<ppio_agent_client::platform::ProcessEvents, Error> {
    async fn unwrap_err_or_first(self) -> Error {
        match self {
            Err(error) => error,
            Ok(mut events) => events.next().await.unwrap_err(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_on_a_terminal() {
    let local = TestPlatform::with(|builder| builder).await;
    let client = local.client();
    let (sandbox, envd) = sandbox(&local, &client).await;
    let command = Command {
        terminal: Some(TerminalSize {
            columns: 80,
            rows: 24,
        }),
        tag: Some("terminal".into()),
        ..Command::shell("read line; stty size; echo \"got $line\"")
    };
    let events = envd.start(&command).await.unwrap();
    let terminal = ProcessSelector::Tag("terminal".into());
    let size = TerminalSize {
        columns: 132,
        rows: 43,
    };
    envd.resize_terminal(&terminal, size).await.unwrap();
    envd.send_terminal(&terminal, b"typed\n").await.unwrap();
    let said = events.output().await.unwrap().stdout_text();
    assert!(
        said.contains("43 132") && said.contains("got typed"),
        "{said}"
    );
    end(local, client, sandbox).await;
}

/// Returns a tar.gz with one file in it.
fn archive(name: &str, contents: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(name), contents).unwrap();
    let output = HostCommand::new("tar")
        .args(["-czf", "-", "-C"])
        .arg(directory.path())
        .arg(name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_built_from_files_and_steps() {
    let local = TestPlatform::with(|builder| builder).await;
    let client = local.client();
    let platform = client.platform();
    let document = r#"{"apiVersion":"v1","kind":"Agent","metadata":{"name":"built","version":"1","author":"a@b.cn"},"spec":{}}"#;
    let new = NewTemplate {
        name: "built:v1".into(),
        metadata: [("agent_runtime".to_owned(), document.to_owned())].into(),
        ..NewTemplate::default()
    };
    let ticket = platform.create_template(&new).await.unwrap();
    assert_eq!(ticket.tags, ["v1"]);
    let hash = "ab".repeat(32);
    let upload = platform
        .file_upload(&ticket.template_id, &hash)
        .await
        .unwrap();
    assert!(!upload.present);
    let url = upload.url.unwrap();
    platform
        .upload_files(&url, archive("greeting.txt", "hello from the build"))
        .await
        .unwrap();
    let again = platform.file_upload(&ticket.template_id, &hash).await;
    assert!(again.unwrap().present);

    let step = |kind, args: &[&str]| BuildStep {
        kind,
        args: args.iter().map(|&argument| argument.to_owned()).collect(),
        files_hash: None,
        force: None,
    };
    let build = NewBuild {
        from_image: Some("debian:stable".into()),
        steps: vec![
            BuildStep {
                files_hash: Some(hash),
                ..step(StepKind::Copy, &["greeting.txt", "/app/greeting.txt"])
            },
            step(StepKind::Env, &["WHO", "builder"]),
            step(StepKind::Run, &["echo made by $WHO > /app/made.txt"]),
        ],
        ..NewBuild::default()
    };
    let (template, id) = (&ticket.template_id, &ticket.build_id);
    platform.start_build(template, id, &build).await.unwrap();
    let status = end_of_build(platform, template, id).await;
    assert_eq!(status.status, BuildPhase::Ready, "{status:?}");
    assert!(!status.log_entries.is_empty());
    let one = BuildLogQuery {
        limit: Some(1),
        ..BuildLogQuery::default()
    };
    let status = platform
        .build_status_with(template, id, &one)
        .await
        .unwrap();
    assert_eq!(status.log_entries.len(), 1);
    let detail = platform.get_template(template).await.unwrap();
    assert_eq!(detail.builds.len(), 1);
    assert_eq!(client.get_template("built").await.unwrap().name, "built");

    let sandbox = platform
        .create_sandbox(&NewSandbox::new("built:v1", Duration::from_secs(60)))
        .await
        .unwrap();
    let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    let greeting = envd.read_file("/app/greeting.txt").await.unwrap();
    assert_eq!(&greeting[..], b"hello from the build");
    let made = envd.read_file("/app/made.txt").await.unwrap();
    assert_eq!(&made[..], b"made by builder\n");

    // A build that fails reports a reason.
    let ticket = platform.create_template(&new).await.unwrap();
    let build = NewBuild {
        steps: vec![step(StepKind::Run, &["echo going down; exit 7"])],
        ..NewBuild::default()
    };
    let (template, id) = (&ticket.template_id, &ticket.build_id);
    platform.start_build(template, id, &build).await.unwrap();
    let status = end_of_build(platform, template, id).await;
    assert_eq!(status.status, BuildPhase::Error);
    assert!(!status.reason.unwrap().message.is_empty());
    end(local, client, sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_over_tls_with_the_local_authority() {
    let local = TestPlatform::with(|builder| builder.tls(true)).await;
    let hello = local.agent("hello").await;
    let secure = local
        .platform
        .url()
        .replace("http://127.0.0.1", "https://localhost");
    let config = |root_certificates| ClientConfig {
        base_url: Some(secure.clone()),
        sandbox_url: Some(secure.clone()),
        max_retries: 1,
        retry_delay: Duration::from_millis(1),
        root_certificates,
        ..ClientConfig::default()
    };
    let authority = std::fs::read(local.certificate()).unwrap();
    let client = local.client_with(config(vec![authority]));
    let session = client.create_session(&hello).await.unwrap();
    assert!(session.host_url().starts_with("https://"));
    let answer = session.invoke("TLS").await.unwrap();
    assert_eq!(answer.result.unwrap()["message"], "Hello, TLS!");
    assert!(session.envd().exists("/app").await.unwrap());
    session.close().await.unwrap();

    // A client that does not trust the platform's authority does not connect.
    let untrusting = local.client_with(config(Vec::new()));
    match untrusting.list_sessions().await.unwrap_err() {
        Error::Network { source, .. } => assert_eq!(source.kind(), NetworkErrorKind::Connect),
        other => panic!("{other}"),
    }
    // An invalid certificate is an error.
    let confused = local.client_with(config(vec![
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
    ]));
    let error = confused.list_sessions().await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    local.stop_when_empty().await;
}
