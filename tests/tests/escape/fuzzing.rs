//! Checks that a sandbox with random, hostile behaviour leaves nothing outside of its directory and
//! prints no secret of the machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use ppio_agent_client::platform::{Command as Run, NewTemplate};
use serde_json::{Value, json};
use tar::EntryType;

use crate::setting::{Inside, Platform, Setting, Start, quote};

/// The variable that sets how long each setting is tested, in seconds.
const SECONDS: &str = "PPIO_ESCAPE_SECONDS";
/// The variable with the seed of the random behaviour, to repeat an earlier test run.
const SEED: &str = "PPIO_ESCAPE_SEED";
/// The minimum number of rounds, however long they take.
const MIN_ROUNDS: usize = 10;

const NAMES: &[&str] = &[
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_DEBUG_OUTPUT",
    "LD_DEBUG",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "LOCPATH",
    "MALLOC_TRACE",
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "PS4",
    "HOME",
    "TMPDIR",
    "PWD",
    "POSIXLY_CORRECT",
    "UTIL_LINUX_DEBUG",
    "LIBMOUNT_FSTAB",
    "PYTHONPATH",
    "PPIO_LOCAL_SANDBOX",
    "PPIO_LOCAL_DIRECTORY",
    "PPIO_LOCAL_VARIABLE_0",
    "BASH_FUNC_echo%%",
    "-i",
    "a b",
    "",
];
const PARTS: &[&str] = &[
    "..", "..", "..", ".", "", "proc", "self", "1", "root", "cwd", "fd", "9", "etc", "shadow",
    "app", "home", "user", "tmp", "link", "link2", "run", "key", "dev", "shm", ".ppio", "system",
    "usr", "bin", "lib64", "sys", "kernel", "oldroot", "newroot",
];

struct Fuzz<'a> {
    random: Rng,
    platform: &'a Platform,
    /// Paths of the machine that a sandbox may guess.
    targets: Vec<String>,
}

impl Fuzz<'_> {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.random.usize(..from.len())]
    }

    fn path(&mut self) -> String {
        if self.random.u8(..4) == 0 {
            let target = self.targets[self.random.usize(..self.targets.len())].clone();
            let before = self.pick(&[
                "",
                "",
                "/proc/1/root",
                "/app/../..",
                "/app/link/../..",
                "link",
            ]);
            return format!("{before}{target}");
        }
        let count = self.random.usize(1..8);
        let parts: Vec<_> = (0..count).map(|_| self.pick(PARTS)).collect();
        let start = self.pick(&["/", "", "~/", "../"]);
        format!("{start}{}", parts.join("/"))
    }

    fn value(&mut self) -> String {
        match self.random.u8(..4) {
            0 => self.path(),
            1 => format!("{}:{}", self.path(), self.path()),
            2 => (0..self.random.usize(..40))
                .map(|_| self.random.char('\u{1}'..'\u{ff}'))
                .collect(),
            _ => self
                .pick(&[
                    "$(cat /etc/shadow)",
                    "() { :; }; id",
                    "--",
                    "-S",
                    "\n",
                    "%n%s",
                    "${HOME}",
                ])
                .to_owned(),
        }
    }

    fn command(&mut self) -> Run {
        let (one, other) = (self.path(), self.path());
        let mut command = match self.random.u8(..6) {
            0 => Run::new(one),
            1 => {
                Run::new(self.pick(&["a=b", "-i", "--help", "-", "env", "setsid", "LD_PRELOAD=x"]))
            }
            number => {
                let line = match number {
                    2 => format!("cat {} {}", quote(&one), quote(&other)),
                    3 => format!("ln -sfn {} {}", quote(&one), quote(&other)),
                    4 => format!(
                        "mkdir -p {}; cp -a {} {}; echo planted > {}",
                        quote(&one),
                        quote(&other),
                        quote(&one),
                        quote(&other)
                    ),
                    _ => format!(
                        "mv {} {}; rm -f {}",
                        quote(&one),
                        quote(&other),
                        quote(&other)
                    ),
                };
                let mut command = Run::new("/bin/sh");
                command.args = vec!["-c".into(), line];
                command
            }
        };
        command.envs = (0..self.random.usize(..4))
            .map(|_| (self.pick(NAMES).to_owned(), self.value()))
            .collect();
        if self.random.bool() {
            command.cwd = Some(self.path());
        }
        command
    }

    async fn round(&mut self, inside: &Inside) {
        let (path, other) = (self.path(), self.path());
        let doing = format!("{path} {other}");
        let envd = &inside.envd;
        let output = match self.random.u8(..11) {
            0 => envd
                .read_file(&path)
                .await
                .map(|file| String::from_utf8_lossy(&file).into_owned()),
            1 => envd
                .write_file(&path, "planted")
                .await
                .map(|_| String::new()),
            2 => envd.rename(&path, &other).await.map(|_| String::new()),
            3 => envd.make_dir(&path).await.map(|_| String::new()),
            4 => envd.remove(&path).await.map(|()| String::new()),
            5 => envd
                .list_dir(&path, 2)
                .await
                .map(|list| format!("{list:?}")),
            6 => Ok(self.request(inside).await),
            7 => Ok(self.build().await),
            _ => {
                let command = self.command();
                let run = async { envd.start(&command).await?.output().await };
                match tokio::time::timeout(Duration::from_secs(2), run).await {
                    Ok(output) => output
                        .map(|output| format!("{}{}", output.stdout_text(), output.stderr_text())),
                    // A command that does not end affects only its sandbox.
                    Err(_) => Ok(String::new()),
                }
            }
        };
        let output = output.unwrap_or_else(|error| error.to_string());
        self.platform.check(&doing, &output);
    }

    /// Builds a template that copies from an archive of random entries; returns the output of the
    /// build.
    async fn build(&mut self) -> String {
        let client = self.platform.client();
        let api = client.platform();
        let template = NewTemplate {
            name: format!("fuzz-{}", self.random.u32(..)),
            ..NewTemplate::default()
        };
        let ticket = api.create_template(&template).await.unwrap();
        let id = &ticket.template_id;
        let hash = format!("{:064x}", self.random.u128(..));
        let upload = api.file_upload(id, &hash).await.unwrap();
        let printed = match api.upload_files(&upload.url.unwrap(), self.archive()).await {
            Ok(()) => self.copy(id, &ticket.build_id, &hash).await,
            Err(error) => error.report().to_string(),
        };
        api.delete_template(id).await.unwrap();
        printed
    }

    async fn copy(&mut self, template: &str, build: &str, hash: &str) -> String {
        let (from, to) = (self.path(), self.path());
        let look = format!("cat /* /app/* {} 2>&1 | head -c 65536", quote(&to));
        let steps = json!([
            {"type": "COPY", "args": [from, to], "filesHash": hash},
            {"type": "RUN", "args": [look]},
        ]);
        let path = format!("/v2/templates/{template}/builds/{build}");
        let started = self
            .platform
            .request("POST", &path, json!({ "steps": steps }));
        let started = started.await;
        if started.status != 202 {
            return String::from_utf8_lossy(&started.body).into_owned();
        }
        let path = format!("/templates/{template}/builds/{build}/status");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self
                .platform
                .request("GET", &path, Value::Null)
                .await
                .json();
            if matches!(status["status"].as_str(), Some("ready" | "error")) {
                return status.to_string();
            }
            assert!(Instant::now() < deadline, "{status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns a tar.gz of files and links with random names and targets.
    fn archive(&mut self) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for _ in 0..self.random.usize(1..8) {
            let mut header = tar::Header::new_gnu();
            let kind = [
                EntryType::Regular,
                EntryType::Directory,
                EntryType::Symlink,
                EntryType::Link,
            ][self.random.usize(..4)];
            header.set_entry_type(kind);
            header.set_mode([0o644, 0o755, 0o4755, 0][self.random.usize(..4)]);
            let content: &[u8] = if kind == EntryType::Regular {
                b"planted"
            } else {
                b""
            };
            header.set_size(content.len() as u64);
            // The setters of `tar` reject such names and targets.
            let (name, target) = (self.path(), self.path());
            let old = header.as_old_mut();
            for (field, text) in [(&mut old.name, name), (&mut old.linkname, target)] {
                let length = text.len().min(field.len() - 1);
                field[..length].copy_from_slice(&text.as_bytes()[..length]);
            }
            header.set_cksum();
            archive.append(&header, content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// Sends a request to a port that is chosen at random.
    async fn request(&mut self, inside: &Inside) -> String {
        let port = [8080, 49_983, 22, 0, self.random.u16(..)][self.random.usize(..5)];
        let host = format!("{port}-{}.localhost", inside.sandbox.sandbox_id);
        let address = self
            .platform
            .running
            .url()
            .trim_start_matches("http://")
            .parse()
            .unwrap();
        let path = format!("/{}", self.path().replace([' ', '\n'], ""));
        let answer =
            ppio_test_support::raw_request(address, "GET", &path, &[("host", &host)], b"").await;
        String::from_utf8_lossy(&answer.body).into_owned()
    }
}

/// Records every file below a directory, except `leave_out`: its kind, mode, owner and content.
fn snapshot(directory: &Path, leave_out: &[PathBuf], files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if leave_out.contains(&path) {
            continue;
        }
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let seen = format!("{:o} {} {content:?}", metadata.mode(), metadata.uid());
        files.insert(path.clone(), seen);
        if metadata.is_dir() {
            snapshot(&path, leave_out, files);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_operations_of_a_sandbox_do_not_escape() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds = number(SECONDS).unwrap_or(5);
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    println!("{SEED}={seed}");
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::FromTerminal).await;
        let planted = json!([{"type": "RUN", "args": ["ln -s / link; ln -s ../../.. ../link2"]}]);
        let template = platform.template("fuzzing", json!({}), planted).await;
        let outside = platform.outside.path();
        let live = [outside.join("home/run"), outside.join("home/templates")];
        let look = || {
            let mut files = BTreeMap::new();
            snapshot(outside, &live, &mut files);
            let system = ["/etc/passwd", "/etc/hosts", "/proc/sys/kernel/core_pattern"];
            files.extend(system.map(|file| (file.into(), fs::read_to_string(file).unwrap())));
            files
        };
        let before = look();
        let mut fuzz = Fuzz {
            random: Rng::with_seed(seed),
            platform: &platform,
            targets: platform
                .secrets
                .iter()
                .map(|(place, _)| place.display().to_string())
                .collect(),
        };
        fuzz.targets
            .push(outside.join("witness/planted").display().to_string());
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut inside = platform.sandbox(&template).await;
        let mut rounds = 0;
        while rounds < MIN_ROUNDS || Instant::now() < deadline {
            rounds += 1;
            fuzz.round(&inside).await;
            if rounds % 200 == 0 {
                // Later rounds test little in a sandbox that has damaged itself, so it is replaced.
                inside.kill().await;
                inside = platform.sandbox(&template).await;
            }
        }
        inside.kill().await;
        let after = look();
        assert_eq!(before, after, "{setting:?}: the machine changed");
        assert!(platform.running.is_running());
    }
}
