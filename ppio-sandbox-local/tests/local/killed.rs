//! A platform that is killed in the middle of its work starts again without anything that was
//! unfinished.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ppio_sandbox_local::LocalPlatform;
use ppio_test_support::{
    RawAnswer, eventually, eventually_some, processes_marked, processes_running, raw_request,
    test_program,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// How many templates are built in each round, and how many sandboxes are created.
const BUILDS: u64 = 4;
/// How many calls are made in each round: two for a build and one for a sandbox.
const CALLS: u64 = 3 * BUILDS;
/// One round for each number of answered calls, and one for each number of finished builds.
const ROUNDS: u64 = 1 + CALLS + BUILDS;
/// The content of a complete template; each line is written by a `RUN` step.
const CONTENT: &str = "one\ntwo\nthree\n";

struct Process {
    child: Child,
    address: SocketAddr,
    key: String,
}

impl Process {
    fn start(home: &Path, isolated: bool) -> Self {
        let mut child = Command::new(test_program("local-platform"))
            .arg(home)
            .args((!isolated).then_some("process-groups"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().parse().expect("the platform started");
        let found = LocalPlatform::running_at(home).expect("a running platform is found");
        assert_eq!(found.pid(), child.id());
        Self {
            child,
            address,
            key: found.api_key().to_owned(),
        }
    }

    fn caller(&self) -> Caller {
        Caller {
            address: self.address,
            key: self.key.clone(),
            answered: Arc::default(),
        }
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // This also runs if the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
struct Caller {
    address: SocketAddr,
    key: String,
    /// How many calls were answered, those of clones included.
    answered: Arc<AtomicU64>,
}

impl Caller {
    async fn call(&self, method: &str, path: &str, body: Value) -> RawAnswer {
        let key = [("x-api-key", self.key.as_str())];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = raw_request(self.address, method, path, &key, body.as_bytes()).await;
        self.answered.fetch_add(1, Ordering::Relaxed);
        answer
    }

    async fn build(&self, name: &str) {
        let new = self
            .call("POST", "/v3/templates", json!({ "name": name }))
            .await;
        assert_eq!(new.status, 202, "{new:?}");
        let new = new.json();
        let mut steps = vec![json!({"type": "WORKDIR", "args": ["/app"]})];
        for line in CONTENT.lines() {
            let command = format!("echo {line} >> content");
            steps.push(json!({"type": "RUN", "args": [command]}));
        }
        let path = format!(
            "/v2/templates/{}/builds/{}",
            new["templateID"].as_str().unwrap(),
            new["buildID"].as_str().unwrap()
        );
        let started = self.call("POST", &path, json!({ "steps": steps })).await;
        assert_eq!(started.status, 202, "{started:?}");
    }

    async fn create(&self, template: &str) -> Value {
        let body = json!({"templateID": template, "timeout": 600});
        let made = self.call("POST", "/sandboxes", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()
    }

    /// Checks that every listed template is complete: a sandbox of the template has everything that
    /// the build wrote. Returns the number of templates.
    async fn check_templates(&self) -> usize {
        let listed = self.call("GET", "/templates", Value::Null).await.json();
        let listed = listed.as_array().unwrap();
        assert!(
            listed
                .iter()
                .any(|template| template["templateID"] == "base")
        );
        for template in listed {
            assert_eq!(template["buildStatus"], "ready", "{template}");
            let sandbox = self.create(template["templateID"].as_str().unwrap()).await;
            if template["templateID"] != "base" {
                let token = [(
                    "x-access-token",
                    sandbox["envdAccessToken"].as_str().unwrap(),
                )];
                let file =
                    raw_request(self.address, "GET", "/files?path=/app/content", &token, b"").await;
                assert_eq!(String::from_utf8_lossy(&file.body), CONTENT, "{template}");
            }
            let path = format!("/sandboxes/{}", sandbox["sandboxID"].as_str().unwrap());
            assert_eq!(self.call("DELETE", &path, Value::Null).await.status, 204);
        }
        listed.len()
    }
}

/// Returns the number of directories of templates, for comparison with the list.
fn template_directories(home: &Path) -> usize {
    fs::read_dir(home.join("templates")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_platform_starts_again_consistent() {
    let home: TempDir = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    for round in 0..ROUNDS {
        let platform = Process::start(&home, round % 4 < 2);
        let caller = platform.caller();
        let listed = caller.check_templates().await;
        assert_eq!(
            listed,
            template_directories(&home),
            "no unfinished template is left"
        );

        let before = caller.answered.load(Ordering::Relaxed);
        let mut work = JoinSet::new();
        for number in 0..BUILDS {
            let (builder, creator) = (caller.clone(), caller.clone());
            work.spawn(async move { builder.build(&format!("built-{round}-{number}")).await });
            work.spawn(async move {
                creator.create("base").await;
            });
        }
        // The platform is killed at a different moment in each round: the calls are answered one
        // after the other, then the builds end.
        if round <= CALLS {
            let answered = || caller.answered.load(Ordering::Relaxed) - before;
            eventually("answered calls", || answered() >= round).await;
        } else {
            let built = usize::try_from(round - CALLS).unwrap();
            eventually_some("finished builds", async || {
                let all = caller.call("GET", "/templates", Value::Null).await.json();
                (all.as_array()?.len() >= listed + built).then_some(())
            })
            .await;
        }
        platform.kill();
        // Calls that were cut off fail, which is not tested here.
        work.shutdown().await;

        if round % 2 == 0 {
            // The other rounds start immediately, while the watchdog of the last platform is still
            // running.
            eventually_some("processes that outlive the platform", async || {
                processes_marked(&home).is_empty().then_some(())
            })
            .await;
        }
    }
    let platform = Process::start(&home, true);
    let listed = platform.caller().check_templates().await;
    assert!(listed > 1, "no build was ever finished");
    platform.kill();
    eventually_some("processes that outlive the last platform", async || {
        processes_marked(&home).is_empty().then_some(())
    })
    .await;
    eventually_some("files that outlive the last platform", async || {
        (fs::read_dir(home.join("run")).unwrap().count() == 0).then_some(())
    })
    .await;
    assert!(LocalPlatform::running_at(&home).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_processes_end_with_the_platform() {
    for watched in [true, false] {
        let home: TempDir = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let platform = Process::start(&home, false);
        let caller = platform.caller();
        // No other program sleeps for this number of seconds.
        let seconds = format!("33{}{}", u8::from(watched), std::process::id());
        let new = json!({"name": "hiding"});
        let new = caller.call("POST", "/v3/templates", new).await.json();
        let (template, build) = (
            new["templateID"].as_str().unwrap(),
            new["buildID"].as_str().unwrap(),
        );
        let hide = format!("(setsid env -i sleep {seconds} >/dev/null 2>&1 &); exec sleep 600");
        let path = format!("/v2/templates/{template}/builds/{build}");
        let started = caller.call("POST", &path, json!({ "startCmd": hide }));
        assert_eq!(started.await.status, 202);
        eventually_some("a template that is built", async || {
            let all = caller.call("GET", "/templates", Value::Null).await.json();
            (all.as_array()?.len() == 2).then_some(())
        })
        .await;
        caller.create(template).await;
        // At first, the process still runs `env`, which clears the environment.
        let sleeper = eventually_some("a process that hides", async || {
            let sleeper = *processes_running(&seconds).first()?;
            (!processes_marked(&home).contains(&sleeper)).then_some(sleeper)
        })
        .await;

        if !watched {
            let run = fs::read_dir(home.join("run")).unwrap();
            let run = run.flatten().next().unwrap().path();
            let watchdogs = processes_running(run.to_str().unwrap());
            assert_eq!(watchdogs.len(), 1);
            let watchdog = Pid::from_raw(watchdogs[0]).unwrap();
            kill_process(watchdog, Signal::KILL).unwrap();
        }
        platform.kill();
        if !watched {
            assert_eq!(processes_running(&seconds), [sleeper]);
            Process::start(&home, false).kill();
        }
        eventually_some("the end of a process that hides", async || {
            processes_running(&seconds).is_empty().then_some(())
        })
        .await;
        eventually_some("files that outlive the platform", async || {
            (fs::read_dir(home.join("run")).unwrap().count() == 0).then_some(())
        })
        .await;
    }
}
