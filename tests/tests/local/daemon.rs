//! The daemon of a sandbox of the local platform: commands, their readers and their files.

use std::sync::Arc;
use std::time::Duration;

use ppio_agent_client::AgentRuntimeClient;
use ppio_agent_client::platform::{
    Command, Envd, NewSandbox, ProcessEvent, ProcessSelector, Sandbox, Signal, TerminalSize,
};
use ppio_sandbox_local::IsolationKind;
use ppio_test_support::{RawAnswer, eventually_some, processes_running as running};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

const LIFE: Duration = Duration::from_secs(600);
const DEADLINE: Duration = Duration::from_secs(120);

/// A platform with one sandbox.
struct Inside {
    platform: TestPlatform,
    client: AgentRuntimeClient,
    sandbox: Sandbox,
    envd: Envd,
}

impl Inside {
    async fn start(mode: IsolationMode) -> Self {
        let platform = TestPlatform::start(mode).await;
        let client = platform.client();
        let (sandbox, envd) = create(&client).await;
        Self {
            platform,
            client,
            sandbox,
            envd,
        }
    }

    fn headers(&self) -> [(&str, &str); 2] {
        let token = self.sandbox.envd_access_token.as_ref().unwrap();
        [
            ("e2b-sandbox-id", self.sandbox.sandbox_id.as_str()),
            ("x-access-token", token.expose()),
        ]
    }

    /// A request to the daemon.
    async fn request(
        &self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &[u8],
    ) -> RawAnswer {
        let mut headers = self.headers().to_vec();
        headers.extend(more);
        self.platform.request(method, path, &headers, body).await
    }

    /// A call of the filesystem service.
    async fn files(&self, method: &str, message: Value) -> RawAnswer {
        let path = format!("/filesystem.Filesystem/{method}");
        let json = [("content-type", "application/json")];
        self.request("POST", &path, &json, message.to_string().as_bytes())
            .await
    }

    /// What a shell command printed.
    async fn shell(&self, line: &str) -> String {
        let mut command = Command::new("/bin/sh");
        command.args = vec!["-c".into(), line.into()];
        let output = async { self.envd.start(&command).await?.output().await };
        let output = tokio::time::timeout(DEADLINE, output).await;
        let output = output.unwrap_or_else(|_| panic!("{line:?} did not end"));
        let output = output.unwrap();
        format!("{}{}", output.stdout_text(), output.stderr_text())
    }

    async fn kill(&self) {
        let platform = self.client.platform();
        assert!(
            platform
                .kill_sandbox(&self.sandbox.sandbox_id)
                .await
                .unwrap()
        );
    }

    async fn stop(self) {
        self.kill().await;
        self.platform.stop().await;
    }
}

async fn create(client: &AgentRuntimeClient) -> (Sandbox, Envd) {
    let sandbox = client
        .platform()
        .create_sandbox(&NewSandbox::new("base", LIFE))
        .await
        .unwrap();
    let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    (sandbox, envd)
}

/// One way for each isolation: cgroups have no part in files.
async fn isolations() -> Vec<IsolationMode> {
    let mut all = IsolationMode::all();
    all.retain(|mode| mode.cgroups);
    all
}

/// The body of a call that starts a shell command and streams it.
fn start_body(line: &str) -> Vec<u8> {
    let message = json!({"process": {"cmd": "/bin/sh", "args": ["-c", line]}}).to_string();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message.as_bytes());
    body
}

const STREAM: (&str, &str) = ("content-type", "application/connect+json");
const START: &str = "/process.Process/Start";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_finds_commands_that_are_being_started() {
    for (number, mode) in IsolationMode::all().into_iter().enumerate() {
        let platform = TestPlatform::start(mode).await;
        let client = platform.client();
        let seconds = format!("32{number}{}", std::process::id());
        for _ in 0..8 {
            let (sandbox, envd) = create(&client).await;
            let started = Arc::new(tokio::sync::Notify::new());
            let starts = (0..6).map(|_| {
                let (envd, started) = (envd.clone(), Arc::clone(&started));
                let mut command = Command::new("/bin/sleep");
                command.args = vec![seconds.clone()];
                tokio::spawn(async move {
                    // Until the sandbox is gone.
                    while let Ok(events) = envd.start(&command).await {
                        started.notify_one();
                        drop(events);
                    }
                })
            });
            let starts: Vec<_> = starts.collect();
            started.notified().await;
            let killed = client.platform().kill_sandbox(&sandbox.sandbox_id).await;
            assert!(killed.unwrap(), "{mode:?}");
            for start in starts {
                start.await.unwrap();
            }
            assert_eq!(platform.directories(), [""; 0], "{mode:?}");
            eventually_some("an end of what was being started", async || {
                running(&seconds).is_empty().then_some(())
            })
            .await;
        }
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_of_a_command_kills_it_with_its_children() {
    for (number, mode) in IsolationMode::all().into_iter().enumerate() {
        let inside = Inside::start(mode).await;
        let seconds = format!("33{number}{}", std::process::id());
        let line = format!(
            "trap '' TERM HUP; sleep {seconds} & setsid sleep {seconds} & \
             sh -c 'trap \"\" TERM; sleep {seconds}; true' & echo started; wait"
        );
        let headers = [STREAM, ("connect-timeout-ms", "3000")];
        let answer = inside
            .request("POST", START, &headers, &start_body(&line))
            .await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("c3RhcnRlZAo="), "{mode:?}: {text}");
        assert!(text.contains("deadline_exceeded"), "{mode:?}: {text}");
        eventually_some("an end of the command", async || {
            running(&seconds).is_empty().then_some(())
        })
        .await;
        // One that ends in time is not affected.
        let body = start_body("echo short");
        let answer = inside.request("POST", START, &headers, &body).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("\"exitCode\":0"), "{mode:?}: {text}");
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sandbox_breaks_its_streams() {
    for mode in IsolationMode::all() {
        let inside = Inside::start(mode).await;
        let body = start_body("echo started; sleep 600");
        let command = inside.request("POST", START, &[STREAM], &body);
        let message = json!({"path": "/tmp"}).to_string();
        let mut watch_body = vec![0];
        watch_body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        watch_body.extend(message.as_bytes());
        let path = "/filesystem.Filesystem/WatchDir";
        let watch = inside.request("POST", path, &[STREAM], &watch_body);
        let kill = async {
            // Both streams are there once what they do is.
            let is_started = || async {
                let listed = inside.envd.list_processes().await.unwrap();
                !listed.is_empty()
            };
            while !is_started().await {}
            inside.kill().await;
        };
        let (command, watch, ()) = tokio::join!(command, watch, kill);
        for (what, answer) in [("command", command), ("watch", watch)] {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            // The body is cut: it lacks the chunk that ends it.
            let is_whole = answer.status == 200 && text.ends_with("0\r\n\r\n");
            assert!(!is_whole, "{mode:?}: the {what} ends well: {text}");
            assert!(!text.contains("exitCode"), "{mode:?}: {what}: {text}");
        }
        inside.platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_holds_up_no_other() {
    let mode = isolations().await[0];
    let inside = Inside::start(mode).await;
    // Its reader reads nothing after the head.
    let body = start_body("echo $$ > ~/pid; exec yes");
    let mut stopped = TcpStream::connect(inside.platform.platform.address())
        .await
        .unwrap();
    let [(id, sandbox), (token, secret)] = inside.headers();
    let head = format!(
        "POST {START} HTTP/1.1\r\nhost: {}\r\n{id}: {sandbox}\r\n{token}: {secret}\r\n\
         {}: {}\r\ncontent-length: {}\r\n\r\n",
        inside.platform.platform.address(),
        STREAM.0,
        STREAM.1,
        body.len()
    );
    stopped.write_all(head.as_bytes()).await.unwrap();
    stopped.write_all(&body).await.unwrap();
    let mut first = [0; 12];
    stopped.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");

    let listed = inside.envd.list_processes().await.unwrap();
    let yes = ProcessSelector::Pid(listed[0].pid);
    // More than all buffers on the way to the first hold.
    for (reader, wanted) in [("a second", 20_000_000), ("a third", 1_000_000)] {
        let read = async {
            let mut events = inside.envd.connect(&yes).await.unwrap();
            let mut count = 0;
            while count < wanted {
                match events.next().await.unwrap().expect("it goes on") {
                    ProcessEvent::Stdout(bytes) => count += bytes.len(),
                    ProcessEvent::Started { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        let read = tokio::time::timeout(DEADLINE, read).await;
        assert!(read.is_ok(), "{reader} reader waits for the first");
    }
    inside.envd.send_signal(&yes, Signal::Kill).await.unwrap();
    drop(stopped);
    inside.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_reads_the_end_of_much_output() {
    const LENGTH: usize = 40_000_000;
    let inside = Inside::start(isolations().await[0]).await;
    let mut command = Command::new("/bin/sh");
    command.args = vec!["-c".into(), format!("head -c {LENGTH} /dev/zero; echo end")];
    let mut events = inside.envd.start(&command).await.unwrap();
    let (mut count, mut pause_at, mut last) = (0, 0, Vec::new());
    loop {
        match events.next().await.unwrap() {
            Some(ProcessEvent::Stdout(bytes)) => {
                count += bytes.len();
                last = bytes;
                // Longer than the platform waits for output of a process that has ended, so that
                // the process ends while every buffer is full.
                if count >= pause_at {
                    pause_at += LENGTH / 10;
                    tokio::time::sleep(Duration::from_millis(600)).await;
                }
            }
            Some(ProcessEvent::Ended(_)) | None => break,
            Some(_) => {}
        }
    }
    assert_eq!(count, LENGTH + "end\n".len());
    assert!(last.ends_with(b"end\n"));
    inside.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_commands_see_one_tree() {
    for mode in isolations().await {
        let inside = Inside::start(mode).await;
        let one_root = mode.isolation == IsolationKind::Bubblewrap;
        // Read as commands read them.
        for path in [
            "/etc/passwd",
            "/etc/os-release",
            "/usr/bin/env",
            "/proc/version",
        ] {
            let answer = inside
                .request("GET", &format!("/files?path={path}"), &[], b"")
                .await;
            if one_root {
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                let sum = inside.shell(&format!("wc -c < {path}")).await;
                let whole = if answer.head.contains("content-length") {
                    answer.body.len().to_string()
                } else {
                    sum.trim().to_owned()
                };
                assert_eq!(whole, sum.trim(), "{path}");
            } else {
                assert_eq!(answer.status, 400, "{path}: {answer:?}");
                let message = answer.json()["message"].to_string();
                assert!(message.contains("the machine's"), "{message}");
            }
        }
        // Written where commands read, or refused.
        for (path, allowed) in [
            ("/etc/written", false),
            ("/usr/local/written", false),
            ("/proc/written", false),
            ("/dev/written", false),
            ("/var/tmp/written", one_root),
            ("/dev/shm/written", one_root),
            ("/data/below/written", one_root),
        ] {
            let query = format!("/files?path={path}");
            let answer = inside.request("POST", &query, &[], b"text").await;
            let made = json!({ "path": format!("{path}-directory") });
            let made = inside.files("MakeDir", made).await;
            if allowed {
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                assert_eq!(inside.shell(&format!("cat {path}")).await, "text");
                assert_eq!(made.status, 200, "{path}: {made:?}");
                let owner = inside
                    .shell(&format!("stat -c %U {path} {path}-directory"))
                    .await;
                assert_eq!(owner, "user\nuser\n", "{path}");
            } else if one_root {
                assert!([403, 404].contains(&answer.status), "{path}: {answer:?}");
                assert!([403, 404].contains(&made.status), "{path}: {made:?}");
            } else if !path.starts_with("/data") {
                assert_eq!(answer.status, 400, "{path}: {answer:?}");
                assert_eq!(made.status, 400, "{path}: {made:?}");
            }
        }
        // With the rights of a command, also where the platform has more.
        inside
            .shell("cd ~ && echo x > closed && chmod 0 closed && mkdir shut && chmod 0 shut")
            .await;
        for path in ["closed", "shut/file"] {
            for method in ["GET", "POST"] {
                let query = format!("/files?path={path}");
                let answer = inside.request(method, &query, &[], b"text").await;
                let is_root = inside.shell("id -u").await == "0\n";
                assert!(
                    answer.status == 403 || is_root,
                    "{method} {path}: {answer:?}"
                );
            }
        }
        // No device is opened.
        for path in ["/dev/tty", "/dev/pts/ptmx", "/dev/null", "/dev/zero"] {
            for method in ["GET", "POST"] {
                let query = format!("/files?path={path}");
                let answer = inside.request(method, &query, &[], b"text").await;
                assert_eq!(answer.status, 400, "{method} {path}: {answer:?}");
            }
        }
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_in_place() {
    for mode in isolations().await {
        let inside = Inside::start(mode).await;
        let write = async |path: &str, text: &str| {
            let query = format!("/files?path={path}");
            let answer = inside.request("POST", &query, &[], text.as_bytes()).await;
            assert_eq!(answer.status, 200, "{mode:?}: {path}: {answer:?}");
        };
        // Other names of a file, its mode, and links to it.
        inside
            .shell("cd ~ && echo old-and-longer > one && chmod 754 one && ln one two && ln -s one three && ln -s later four")
            .await;
        write("one", "new").await;
        assert_eq!(
            inside
                .shell("cd ~ && cat two && stat -c ' %a %h' one")
                .await,
            "new 754 2\n"
        );
        write("three", "through").await;
        assert_eq!(
            inside.shell("cd ~ && cat two && test -L three").await,
            "through"
        );
        write("four", "made").await;
        assert_eq!(inside.shell("cd ~ && cat later").await, "made");

        // A program that follows the file.
        let mut follow = Command::new("/bin/sh");
        follow.args = vec![
            "-c".into(),
            "cd ~; echo ready; exec tail -n +1 -f two".into(),
        ];
        let mut events = inside.envd.start(&follow).await.unwrap();
        let mut seen = String::new();
        while !seen.contains("through") {
            if let ProcessEvent::Stdout(bytes) = events.next().await.unwrap().unwrap() {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        write("one", "through and more").await;
        while !seen.contains("more") {
            let next = tokio::time::timeout(DEADLINE, events.next()).await;
            if let ProcessEvent::Stdout(bytes) = next.expect("in time").unwrap().unwrap() {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        drop(events);

        // A named pipe, whose reader may come later.
        inside.shell("cd ~ && mkfifo pipe").await;
        let (text, ()) = tokio::join!(
            inside.shell("cat ~/pipe; test -p ~/pipe && echo ' still'"),
            write("pipe", "passed on")
        );
        assert_eq!(text, "passed on still\n", "{mode:?}");

        // What is not there is removed.
        for path in ["nothing", "nothing/below"] {
            let removed = inside.files("Remove", json!({ "path": path })).await;
            assert_eq!(removed.status, 200, "{removed:?}");
        }
        let left = inside.shell("cd ~ && ls -A | grep -c upload").await;
        assert_eq!(left, "0\n", "{mode:?}");
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_reports_what_was_done_and_describes_it() {
    for mode in isolations().await {
        let inside = Inside::start(mode).await;
        inside.shell("mkdir ~/watched").await;
        let watch = async |settings: Value| {
            let mut message = json!({"path": "watched"});
            message
                .as_object_mut()
                .unwrap()
                .extend(settings.as_object().unwrap().clone());
            let answer = inside.files("CreateWatcher", message).await.json();
            answer["watcherId"].as_str().unwrap().to_owned()
        };
        let plain = watch(json!({})).await;
        let describing = watch(json!({"includeEntry": true, "allowNetworkMounts": true})).await;
        let answer = inside
            .request("POST", "/files?path=watched/new.txt", &[], b"hello")
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let removed = inside
            .files("Remove", json!({"path": "watched/new.txt"}))
            .await;
        assert_eq!(removed.status, 200, "{removed:?}");
        for (watcher, describes) in [(plain, false), (describing, true)] {
            let mut events: Vec<Value> = Vec::new();
            let deadline = tokio::time::Instant::now() + DEADLINE;
            while !events
                .iter()
                .any(|event| event["type"] == "EVENT_TYPE_REMOVE")
            {
                assert!(tokio::time::Instant::now() < deadline, "{events:?}");
                let answer = inside
                    .files("GetWatcherEvents", json!({ "watcherId": watcher }))
                    .await;
                events.extend(answer.json()["events"].as_array().unwrap().clone());
            }
            assert!(
                events.iter().all(|event| event["name"] == "new.txt"),
                "{events:?}"
            );
            let kinds: Vec<_> = events
                .iter()
                .map(|event| event["type"].as_str().unwrap())
                .collect();
            let kinds: Vec<_> = kinds
                .iter()
                .map(|kind| kind.trim_start_matches("EVENT_TYPE_"))
                .collect();
            // The kernel reports the count of names of a file that is removed as a change of mode.
            assert_eq!(&kinds[..3], ["CREATE", "CHMOD", "WRITE"], "{mode:?}");
            assert!(
                events
                    .iter()
                    .all(|event| describes || event["entry"].is_null())
            );
            assert!(events.last().unwrap()["entry"].is_null());
        }
        // A description is of the file as it is when the change is read by the platform.
        let again = watch(json!({"includeEntry": true})).await;
        let headers = [("x-metadata-author", "someone")];
        let answer = inside
            .request("POST", "/files?path=watched/kept.txt", &headers, b"hello")
            .await;
        assert_eq!(answer.json()[0]["metadata"], json!({"author": "someone"}));
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let entry = loop {
            assert!(
                tokio::time::Instant::now() < deadline,
                "no change is described"
            );
            let answer = inside
                .files("GetWatcherEvents", json!({ "watcherId": again }))
                .await;
            let events = answer.json()["events"].as_array().unwrap().clone();
            if let Some(event) = events
                .iter()
                .find(|event| event["type"] == "EVENT_TYPE_WRITE")
            {
                break event["entry"].clone();
            }
        };
        assert_eq!(entry["path"], "/home/user/watched/kept.txt");
        assert_eq!(entry["type"], "FILE_TYPE_FILE");
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_as_envd_describes_them() {
    for mode in isolations().await {
        let inside = Inside::start(mode).await;
        let line = "cd ~ && mkdir -p at/below && echo text > at/below/file && chmod 640 at/below/file \
                    && ln -s below/file at/link && ln -s ../../at at/below/up && ln -s nowhere at/broken \
                    && ln -s link at/chain && mkfifo at/pipe && chmod 1777 at/below";
        assert_eq!(inside.shell(line).await, "");
        let at = "/home/user/at";
        let (file, up) = (json!(format!("{at}/below/file")), json!(at));
        let broken = json!(format!("{at}/broken"));
        for (path, kind, mode, permissions, target) in [
            ("at", "DIRECTORY", 0o755, "drwxr-xr-x", Value::Null),
            ("at/below", "DIRECTORY", 0o777, "dtrwxrwxrwx", Value::Null),
            ("at/below/file", "FILE", 0o640, "-rw-r-----", Value::Null),
            ("at/link", "FILE", 0o640, "Lrwxrwxrwx", file.clone()),
            ("at/chain", "FILE", 0o640, "Lrwxrwxrwx", file),
            ("at/below/up", "DIRECTORY", 0o755, "Lrwxrwxrwx", up),
            ("at/broken", "UNSPECIFIED", 0, "Lrwxrwxrwx", broken),
            ("at/pipe", "UNSPECIFIED", 0o644, "prw-r--r--", Value::Null),
        ] {
            let entry = inside.files("Stat", json!({ "path": path })).await.json()["entry"].clone();
            assert_eq!(
                entry["type"],
                format!("FILE_TYPE_{kind}"),
                "{path}: {entry}"
            );
            assert_eq!(entry["mode"], mode, "{path}: {entry}");
            assert_eq!(entry["permissions"], permissions, "{path}: {entry}");
            assert_eq!(entry["symlinkTarget"], target, "{path}: {entry}");
            assert_eq!(entry["path"], format!("/home/user/{path}"), "{entry}");
            assert_eq!(
                [&entry["owner"], &entry["group"]],
                ["user", "user"],
                "{entry}"
            );
        }
        for (path, status) in [("at", 409), ("at/below/file", 400), ("at/below/up", 409)] {
            let made = inside.files("MakeDir", json!({ "path": path })).await;
            assert_eq!(made.status, status, "{path}: {made:?}");
        }

        // Metadata is kept with the file, replaced with it, and read from attributes.
        let write = async |headers: &[(&str, &str)]| {
            let answer = inside
                .request("POST", "/files?path=at/tagged", headers, b"text")
                .await;
            (answer.status, answer.json()[0]["metadata"].clone())
        };
        let stat = async || {
            let answer = inside.files("Stat", json!({"path": "at/tagged"})).await;
            answer.json()["entry"]["metadata"].clone()
        };
        let both = json!({"author": "mish", "purpose": "upload"});
        let headers = [
            ("x-metadata-author", "mish"),
            ("X-Metadata-Purpose", "upload"),
        ];
        assert_eq!(write(&headers).await, (200, both.clone()));
        assert_eq!(stat().await, both);
        let moved = json!({"source": "at/tagged", "destination": "at/moved"});
        let moved = inside.files("Move", moved).await.json();
        assert_eq!(moved["entry"]["metadata"], both);
        inside.shell("mv ~/at/moved ~/at/tagged").await;
        assert_eq!(write(&headers[..1]).await, (200, json!({"author": "mish"})));
        assert_eq!(write(&[]).await, (200, Value::Null));
        assert_eq!(stat().await, Value::Null);
        let long = "x".repeat(5000);
        for headers in [
            ("x-metadata-", "x"),
            ("x-metadata-key", &*long),
            ("x-metadata-key", "\u{fc}"),
        ] {
            assert_eq!(write(&[headers]).await.0, 400, "{headers:?}");
        }
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_a_device_that_the_sandbox_has() {
    for mode in isolations().await {
        let inside = Inside::start(mode).await;
        let line = "tty; test -c \"$(tty)\" && echo device; stat -c %u \"$(tty)\"; id -u; \
                    script -qec 'stty size; tty' /dev/null; echo ready; \
                    trap 'echo interrupted; stty size; exit 7' INT; while :; do read x; done";
        let command = Command {
            terminal: Some(TerminalSize {
                columns: 80,
                rows: 24,
            }),
            tag: Some("terminal".into()),
            ..Command::shell(line)
        };
        let mut events = inside.envd.start(&command).await.unwrap();
        let mut text = String::new();
        while !text.contains("ready") {
            let next = tokio::time::timeout(DEADLINE, events.next()).await;
            match next.unwrap_or_else(|_| panic!("{text}")).unwrap().unwrap() {
                ProcessEvent::Stdout(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                ProcessEvent::Started { .. } => {}
                other => panic!("{mode:?}: {other:?}: {text}"),
            }
        }
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("/dev/pts/"), "{mode:?}: {text}");
        assert_eq!(lines[1], "device", "{mode:?}: {text}");
        assert_eq!(lines[2], lines[3], "{mode:?}: another user's: {text}");
        // A program in it opens one more.
        assert!(lines[5].starts_with("/dev/pts/"), "{mode:?}: {text}");
        assert_ne!(lines[5], lines[0], "{mode:?}: {text}");

        let terminal = ProcessSelector::Tag("terminal".into());
        let size = TerminalSize {
            columns: 132,
            rows: 43,
        };
        inside.envd.resize_terminal(&terminal, size).await.unwrap();
        inside.envd.send_terminal(&terminal, b"\x03").await.unwrap();
        let output = tokio::time::timeout(DEADLINE, events.output()).await;
        let output = output.expect("Ctrl-C reaches the program").unwrap();
        let text = output.stdout_text();
        assert!(text.contains("interrupted\r\n43 132"), "{mode:?}: {text}");
        assert_eq!(output.status.exit_code, 7, "{mode:?}");
        inside.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sandbox_keeps_a_command_whose_timeout_has_passed() {
    for mode in IsolationMode::all() {
        let inside = Inside::start(mode).await;
        let headers = [STREAM, ("connect-timeout-ms", "1500")];
        let body = start_body("echo started; while :; do sleep 0.01; done");
        let stream = inside.request("POST", START, &headers, &body);
        let pause = async {
            while inside.envd.list_processes().await.unwrap().is_empty() {}
            let platform = inside.client.platform();
            assert!(
                platform
                    .pause_sandbox(&inside.sandbox.sandbox_id)
                    .await
                    .unwrap()
            );
        };
        let (answer, ()) = tokio::join!(stream, pause);
        // The stream has ended by the clock of the caller.
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("deadline_exceeded"), "{mode:?}: {text}");
        let path = format!("/sandboxes/{}/connect", inside.sandbox.sandbox_id);
        let resumed = inside
            .platform
            .request("POST", &path, &[], b"{\"timeout\": 60}")
            .await;
        assert_eq!(resumed.status, 201, "{resumed:?}");
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !inside.envd.list_processes().await.unwrap().is_empty() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{mode:?}: it goes on"
            );
        }
        inside.stop().await;
    }
}
