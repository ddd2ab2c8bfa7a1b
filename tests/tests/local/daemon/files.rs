//! The files of a sandbox: what file calls read, write, describe and watch.

use ppio_agent_client::platform::{Command, ProcessEvent};
use ppio_sandbox_local::IsolationKind;
use serde_json::{Value, json};

use super::{DEADLINE, TestSandbox, isolations};

#[tokio::test(flavor = "multi_thread")]
async fn file_calls_and_commands_have_the_same_files() {
    for mode in isolations().await {
        let inside = TestSandbox::start(mode).await;
        let one_root = mode.isolation == IsolationKind::Bubblewrap;
        // File calls read the files that commands read, or are refused.
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
        // Files are written where commands read them, or the call is refused.
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
        // File calls have only the rights of a command, even where the platform has more rights.
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
        // File calls open no device.
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
        let inside = TestSandbox::start(mode).await;
        let write = async |path: &str, text: &str| {
            let query = format!("/files?path={path}");
            let answer = inside.request("POST", &query, &[], text.as_bytes()).await;
            assert_eq!(answer.status, 200, "{mode:?}: {path}: {answer:?}");
        };
        // A write keeps the other names of a file, its mode, and the links to it.
        inside
            .shell(
                "cd ~ && echo old-and-longer > one && chmod 754 one && ln one two && ln -s \
             one three && ln -s later four",
            )
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

        // A program that follows the file reads what is written.
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

        // A write to a named pipe waits for its reader, which may come later.
        inside.shell("cd ~ && mkfifo pipe").await;
        let (text, ()) = tokio::join!(
            inside.shell("cat ~/pipe; test -p ~/pipe && echo ' still'"),
            write("pipe", "passed on")
        );
        assert_eq!(text, "passed on still\n", "{mode:?}");

        // Removing a path that does not exist succeeds.
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
async fn a_watch_reports_changes_with_descriptions() {
    for mode in isolations().await {
        let inside = TestSandbox::start(mode).await;
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
            // When a file is removed, the kernel reports the change of its link count as a change
            // of mode.
            assert_eq!(&kinds[..3], ["CREATE", "CHMOD", "WRITE"], "{mode:?}");
            assert!(
                events
                    .iter()
                    .all(|event| describes || event["entry"].is_null())
            );
            assert!(events.last().unwrap()["entry"].is_null());
        }
        // The `entry` of an event describes the file as it is when the platform reads the change.
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
async fn entries_have_the_fields_of_envd() {
    for mode in isolations().await {
        let inside = TestSandbox::start(mode).await;
        let line = "cd ~ && mkdir -p at/below && echo text > at/below/file && chmod 640 \
                    at/below/file && ln -s below/file at/link && ln -s ../../at at/below/up && \
                    ln -s nowhere at/broken && ln -s link at/chain && mkfifo at/pipe && chmod \
                    1777 at/below";
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

        // Metadata is stored with the file, replaced with it, and read from its attributes.
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
