//! The templates of the local platform: what is stored, listed and deleted.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use ppio_agent_client::platform::NewSandbox;
use ppio_sandbox_local::{BuiltTemplate, IsolationKind, LocalPlatform, TemplateSpec};
use ppio_test_support::{eventually_some, processes_running as running, raw_request};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

/// The log of the test's own thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Removes and returns everything at `WARN` and above.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

async fn start(home: &Path) -> LocalPlatform {
    LocalPlatform::builder()
        .home(home)
        .isolation(IsolationKind::ProcessGroup)
        .start()
        .await
        .unwrap()
}

async fn build(platform: &LocalPlatform, name: &str) -> BuiltTemplate {
    let spec = TemplateSpec::new(name);
    platform.build_template(spec).await.unwrap()
}

async fn listed(platform: &LocalPlatform) -> Vec<String> {
    let key = [("x-api-key", platform.api_key())];
    let answer = raw_request(platform.address(), "GET", "/templates", &key, b"").await;
    let answer: Value = answer.json();
    let templates = answer.as_array().unwrap().iter();
    templates
        .map(|template| template["templateID"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns the log since the last call, without the warnings at each start about this machine's
/// limits.
fn warned(log: &Log) -> String {
    let text = log.take();
    let lines = text.lines();
    let lines = lines.filter(|line| !line.contains("that this machine does not enforce"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn an_unreadable_template_does_not_affect_the_others() {
    let log = Log::default();
    let _subscriber = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(log.clone())
            .with_ansi(false)
            .finish(),
    );
    let home = tempfile::tempdir().unwrap();
    let platform = start(home.path()).await;
    let good = build(&platform, "good").await;
    let broken = build(&platform, "broken").await;
    platform.shutdown().await.unwrap();
    assert_eq!(warned(&log), "", "the first start logs no warning");

    let record = home
        .path()
        .join("templates")
        .join(&broken.id)
        .join("template.json");
    let whole = fs::read_to_string(&record).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&whole).unwrap();
        change(&mut document);
        document.to_string().into_bytes()
    };
    for (content, why) in [
        (whole.as_bytes()[..whole.len() / 2].to_vec(), "EOF"),
        (Vec::new(), "EOF"),
        (b"[]".to_vec(), "invalid"),
        (b"\xff\xfe".to_vec(), "expected value"),
        (with(&|record| record["name"] = json!(5)), "invalid type"),
        (
            with(&|record| record["tags"] = json!(["v1"])),
            "invalid type",
        ),
        (
            with(&|record| record["created_at"] = json!("yesterday")),
            "timestamp",
        ),
        (with(&|record| record["id"] = json!(good.id)), &good.id),
        (
            with(&|record| record["last_spawned_unix"] = json!(u64::MAX)),
            "18446744073709551615",
        ),
        (with(&|record| record["name"] = json!("good")), "same name"),
    ] {
        fs::write(&record, &content).unwrap();
        let platform = start(home.path()).await;
        assert_eq!(listed(&platform).await, ["base", &good.id], "{why}");
        let found = warned(&log);
        assert_eq!(found.lines().count(), 1, "{found}");
        for part in ["WARN", &broken.id, why, "left out"] {
            assert!(found.contains(part), "{part}: {found}");
        }
        platform.shutdown().await.unwrap();
        assert_eq!(fs::read(&record).unwrap(), content, "{why}");
    }
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    fs::write(home.path().join("templates/notes"), "").unwrap();
    // The template `base`, which every platform has, is created anew, and its old record is set
    // aside.
    let base = home.path().join("templates/base");
    fs::write(base.join("template.json"), "{").unwrap();
    let platform = start(home.path()).await;
    assert_eq!(listed(&platform).await, [&good.id, "base"]);
    let found = warned(&log);
    assert_eq!(found.lines().count(), 3, "{found}");
    assert_eq!(
        fs::read(base.join("template.json.unreadable")).unwrap(),
        b"{"
    );
    platform.shutdown().await.unwrap();

    // Once the record of `broken` is repaired, this template is listed again.
    fs::remove_dir(&record).unwrap();
    fs::write(&record, &whole).unwrap();
    let platform = start(home.path()).await;
    assert_eq!(listed(&platform).await, [&good.id, &broken.id, "base"]);
    platform.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_template_ends_its_builds() {
    for (number, mode) in IsolationMode::all().into_iter().enumerate() {
        let platform = TestPlatform::start(mode).await;
        // No other program sleeps for this number of seconds.
        let seconds = format!("32{number}{}", std::process::id());
        let command = format!("sleep {seconds} & setsid sleep {seconds} & sleep {seconds}");
        // As many builds as run concurrently, and one that is queued.
        let names: Vec<_> = (0..5).map(|number| format!("slow-{number}")).collect();
        let specs = names
            .iter()
            .map(|name| TemplateSpec::new(name).run(&command));
        let building = join_all(specs.map(|spec| platform.platform.build_template(spec)));
        let deleting = async {
            eventually_some("three processes of each of four builds", async || {
                (running(&seconds).len() == 12).then_some(())
            })
            .await;
            let id = |name: &str| format!("/templates/aliases/{name}");
            let mut ids = Vec::new();
            for name in &names {
                let found = platform.request("GET", &id(name), &[], b"").await;
                ids.push(found.json()["templateID"].as_str().unwrap().to_owned());
            }
            let path = format!("/templates/{}/files/abc", ids[0]);
            let link = platform.request("GET", &path, &[], b"").await.json();
            for (id, name) in ids.iter().zip(&names) {
                let path = format!("/templates/{name}");
                let deleted = platform.request("DELETE", &path, &[], b"").await;
                assert_eq!(deleted.status, 204, "{deleted:?}");
                let files = platform.platform.home().join("templates").join(id);
                assert!(!files.exists(), "{mode:?}: files of {name} are left");
            }
            assert_eq!(running(&seconds), [0; 0], "{mode:?}");
            assert_eq!(platform.directories(), [""; 0], "{mode:?}");
            let again = platform.request("DELETE", "/templates/slow-0", &[], b"");
            assert_eq!(again.await.status, 404);

            // An upload link that was created before the deletion restores nothing.
            let link = link["url"].as_str().unwrap();
            let path = &link[link.find("/uploads/").unwrap()..];
            let late = platform.request_without_key("PUT", path, &[], b"late");
            assert_eq!(late.await.status, 404);
            let files = platform.platform.home().join("templates").join(&ids[0]);
            assert!(!files.exists(), "an upload restores deleted files");
        };
        let (built, ()) = tokio::join!(building, deleting);
        for outcome in built {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("deleted"), "{error}");
        }
        platform.stop().await;
    }
}

/// Requests a build of "agent" with `version` in its metadata, and starts it with one command.
async fn build_over_http(
    platform: &TestPlatform,
    version: &str,
    command: &str,
) -> (String, String) {
    let new = json!({"name": format!("agent:{version}"), "metadata": {"version": version}});
    let new = platform
        .request("POST", "/v3/templates", &[], new.to_string().as_bytes())
        .await;
    assert_eq!(new.status, 202, "{new:?}");
    let new = new.json();
    let ids = [&new["templateID"], &new["buildID"]].map(|id| id.as_str().unwrap().to_owned());
    let [template, build] = ids;
    let path = format!("/v2/templates/{template}/builds/{build}");
    let start = json!({"steps": [{"type": "RUN", "args": [command]}]});
    let started = platform
        .request("POST", &path, &[], start.to_string().as_bytes())
        .await;
    assert_eq!(started.status, 202, "{started:?}");
    (template, build)
}

async fn end_of_build(platform: &TestPlatform, template: &str, build: &str) -> String {
    let path = format!("/templates/{template}/builds/{build}/status");
    eventually_some("the end of the build", async || {
        let answer = platform.request("GET", &path, &[], b"").await.json();
        let status = answer["status"].as_str().unwrap().to_owned();
        (!["waiting", "building"].contains(&status.as_str())).then_some(status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_successful_build_changes_its_template() {
    let platform = TestPlatform::with(|builder| builder).await;
    let mut template = String::new();
    // Each row ends with the details of the template afterwards, and its tags.
    for (version, command, ends, expected, tags) in [
        ("v1", "true", "ready", "v1", json!(["v1"])),
        ("v2", "exit 3", "error", "v1", json!(["v1"])),
        ("v3", "true", "ready", "v3", json!(["v1", "v3"])),
    ] {
        let build;
        (template, build) = build_over_http(&platform, version, command).await;
        assert_eq!(end_of_build(&platform, &template, &build).await, ends);
        let listed = platform
            .request("GET", "/templates?metadata=true", &[], b"")
            .await
            .json();
        let listed = listed.as_array().unwrap().iter();
        let found: Vec<_> = listed
            .filter(|found| found["templateID"] == *template)
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["metadata"], json!({ "version": expected }));
        assert_eq!(found[0]["tags"], tags);
    }
    // This build is requested and never started.
    let new = br#"{"name": "agent", "metadata": {"version": "v4"}, "tags": ["v4"]}"#;
    assert_eq!(
        platform
            .request("POST", "/v3/templates", &[], new)
            .await
            .status,
        202
    );
    let path = format!("/templates/{template}");
    let detail = platform.request("GET", &path, &[], b"").await.json();
    assert_eq!(detail["metadata"], json!({"version": "v3"}));
    assert_eq!(detail["tags"], json!(["v1", "v3"]));
    // A build is reported as ready shortly before its directory is removed.
    eventually_some("the end of the builds", async || {
        platform.directories().is_empty().then_some(())
    })
    .await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_build_cannot_redirect_steps_or_sandboxes() {
    let life = Duration::from_secs(120);
    let files = tempfile::tempdir().unwrap();
    fs::create_dir(files.path().join("sub")).unwrap();
    fs::write(files.path().join("sub/planted"), "planted").unwrap();
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("agent.yaml"), "not of this sandbox").unwrap();
        let (seconds, place) = (
            format!("34{}", std::process::id()),
            outside.path().display(),
        );
        // Commands run in `/app`.
        let own = "../.ppio/system";
        let touch = match mode.isolation {
            // With a process group, `/etc` is that of this machine.
            IsolationKind::ProcessGroup => "true",
            _ => "touch /etc/profile.d/planted",
        };
        let spec = TemplateSpec::new("linking")
            .run(format!("ln -s '{place}' sub; ln -s '{place}/agent.yaml' agent.yaml"))
            .run(format!("rm -rf ../home {own}/etc/profile.d; ln -s '{place}' ../home; ln -s '{place}' {own}/etc/profile.d"))
            .run(format!("sleep {seconds} & echo left"))
            .directory(files.path())
            .run(touch);
        let mut log = Vec::new();
        let built = platform
            .platform
            .build_template_with(spec, |line| log.push(line.to_owned()));
        let template = built.await.unwrap();
        assert_eq!(running(&seconds), [0; 0], "{mode:?}");
        assert!(log.contains(&"left".to_owned()), "{log:?}");
        assert!(
            !log.iter()
                .any(|line| line.contains("agent.yaml is left out")),
            "{log:?}"
        );

        let client = platform.client();
        let api = client.platform();
        let new = NewSandbox::new(&template.id, life);
        let sandbox = api.create_sandbox(&new).await.unwrap();
        let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
        assert_eq!(envd.read_file("/app/sub/planted").await.unwrap(), "planted");
        api.kill_sandbox(&sandbox.sandbox_id).await.unwrap();
        let left: Vec<_> = fs::read_dir(outside.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["agent.yaml"], "{mode:?}");
        platform.stop().await;
    }
}

/// The number of builds in each mode. One build is too short to encounter the swapped link at every
/// moment.
const SWAPPED_BUILDS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_background_process_of_a_step_cannot_redirect_a_copy() {
    let files = tempfile::tempdir().unwrap();
    fs::create_dir_all(files.path().join("door/below")).unwrap();
    for name in (0..50).map(|number| format!("door/planted-{number}")) {
        fs::write(files.path().join(name), "planted").unwrap();
    }
    fs::write(files.path().join("door/below/planted"), "planted").unwrap();
    // With a cgroup no process is left behind.
    let all = IsolationMode::all().into_iter();
    for mode in all.filter(|mode| !mode.cgroups) {
        let platform = TestPlatform::start(mode).await;
        let outside = tempfile::tempdir().unwrap();
        let place = outside.path().display().to_string();
        fs::write(outside.path().join("secret"), "outside").unwrap();
        let mut met = 0;
        for number in 0..SWAPPED_BUILDS {
            // Without a cgroup, a process in its own process group is not found once it has removed
            // the marks of its sandbox.
            let swap = format!(
                "(setsid env -i prlimit --locks=7 ./swapping-links '{place}' >/dev/null 2>&1 &); \
                 for i in $(seq 500); do [ -e ready ] && exit 0; sleep 0.02; done; exit 1"
            );
            let spec = TemplateSpec::new(format!("swapped-{number}"))
                .binary(env!("CARGO_BIN_EXE_swapping-links"))
                .run(swap)
                .directory(files.path());
            // A copy that encounters the swapped link replaces the link or fails.
            let _ = platform.platform.build_template(spec).await;
            let left = running(&place);
            met += left.len();
            for pid in left {
                let pid = rustix::process::Pid::from_raw(pid).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            let mut found: Vec<_> = fs::read_dir(outside.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            found.sort();
            assert_eq!(found, ["secret"], "{mode:?}, build {number}");
        }
        let escapes = mode.isolation == IsolationKind::ProcessGroup;
        assert!(met > 0 || !escapes, "{mode:?}: no process was left behind");
        assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"outside");
        eventually_some("the end of every program", async || {
            running(&place).is_empty().then_some(())
        })
        .await;
        platform.stop().await;
    }
}
