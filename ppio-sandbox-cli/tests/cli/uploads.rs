//! The progress of an upload: a bar on a terminal, events in JSON output.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use regex::Regex;

use crate::support::scaffold::{command, python_project};
use crate::support::{Invocation, Sandbox, eventually};

/// The size of a file in bytes, larger than the buffers of the connections between the command and
/// the platform.
const SIZE: usize = 24 << 20;
/// The number of bytes after which nothing more is forwarded until the gate is open: the first
/// requests and a small part of the files.
const MAX_FORWARDED: u64 = 1 << 20;

/// Forwards connections to the platform. Until the gate is open, forwards about [`MAX_FORWARDED`]
/// bytes.
struct GatedProxy {
    address: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    /// The number of forwarded bytes; `None` once the gate is open.
    passed: Mutex<Option<u64>>,
    opened: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.passed.lock().expect("no panic")
    }

    /// Counts bytes. If too many were forwarded, first waits until the gate is open.
    fn pass(&self, bytes: usize) {
        let mut passed = self.lock();
        while passed.is_some_and(|passed| passed > MAX_FORWARDED) {
            passed = self.opened.wait(passed).expect("no panic");
        }
        if let Some(passed) = passed.as_mut() {
            *passed += bytes as u64;
        }
    }
}

impl GatedProxy {
    fn before(url: &str) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let gate = Arc::new(Gate {
            passed: Mutex::new(Some(0)),
            opened: Condvar::new(),
        });
        let gate_of_all = Arc::clone(&gate);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect(&target).expect("the platform listens");
                let (near, far) = (Arc::new(near), Arc::new(far));
                let gate = Arc::clone(&gate_of_all);
                let (from, to) = (Arc::clone(&near), Arc::clone(&far));
                thread::spawn(move || pump(&from, &to, |bytes| gate.pass(bytes)));
                thread::spawn(move || pump(&far, &near, |_| {}));
            }
        });
        Self { address, gate }
    }

    fn open(&self) {
        *self.gate.lock() = None;
        self.gate.opened.notify_all();
    }
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, pass: impl Fn(usize)) {
    let mut part = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut part) {
        pass(count);
        if to.write_all(&part[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Returns a project with an incompressible file.
fn large_project(sandbox: &Sandbox, name: &str, size: usize) -> PathBuf {
    let folder = python_project(sandbox, name);
    fs::write(folder.join("agent.py"), "pass\n").expect("written");
    fs::remove_file(folder.join("requirements.txt")).expect("there");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = noise.take(size / 8).flatten().collect();
    fs::write(folder.join("model.bin"), noise).expect("written");
    folder
}

/// Returns `agent deploy` to a platform by its address and API key.
fn deploy(sandbox: &Sandbox, folder: &Path, url: &str) -> Invocation {
    command(sandbox, folder, &["agent", "deploy", "--remote"])
        .env("PPIO_API_KEY", sandbox.key())
        .env("PPIO_API_URL", url)
        .env("TERM", "xterm-256color")
}

#[test]
fn a_terminal_shows_a_progress_bar() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = large_project(&sandbox, "my-large", SIZE);
    let proxy = GatedProxy::before(sandbox.running().expect("a platform").url());
    let url = format!("http://{}", proxy.address);
    let bar = Regex::new(
        r"uploading 7 files \[([=> ]{24})\] ([0-9.]+) (KiB|MiB) / 24\.[0-9]+ MiB, [0-9.]+ [KMG]?i?B/s",
    )
    .expect("a pattern");
    let mut seen = String::new();
    let (written, code) = deploy(&sandbox, &folder, &url).run_on_pty(|terminal| {
        eventually("a part of the upload is sent", || {
            seen = terminal.output();
            bar.captures_iter(&seen)
                .last()
                .is_some_and(|line| &line[3] == "MiB" && line[1].contains('='))
        });
        let drawn = bar.captures_iter(&seen).last().expect("a bar");
        let sent: f64 = drawn[2].parse().expect("a number");
        // Bytes that the platform has not received are not counted.
        assert!((0.5..20.0).contains(&sent), "{sent} MiB");
        assert!(drawn[1].ends_with(' '), "{:?}", &drawn[1]);
        proxy.open();
    });
    assert_eq!(code, Some(0), "{written}");
    assert!(written.contains("uploaded 7 files (24."), "{written}");
    // The bar is removed before the result.
    let shown = crate::support::snapshot::screen(&written);
    assert!(!shown.contains("uploading"), "{shown}");
    assert!(shown.contains("uploaded 7 files"), "{shown}");
}

#[test]
fn uploaded_files_are_reused_and_no_bar_is_drawn_without_a_terminal() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = large_project(&sandbox, "my-small", 100_000);
    let url = sandbox.running().expect("a platform").url().to_owned();
    let done = deploy(&sandbox, &folder, &url).run().code(0);
    assert!(!done.stderr.contains(['\r', '\u{1b}']), "{done:?}");
    assert!(!done.stderr.contains("uploading"), "{done:?}");
    done.says("uploaded 7 files (100 KiB)");
    let done = deploy(&sandbox, &folder, &url).run().code(0);
    assert!(!done.stderr.contains("uploaded"), "{done:?}");
    done.says("reused 7 files of an earlier upload (100 KiB)");
}

#[test]
fn json_output_reports_the_sent_bytes() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = large_project(&sandbox, "my-large", SIZE);
    let proxy = GatedProxy::before(sandbox.running().expect("a platform").url());
    let url = format!("http://{}", proxy.address);
    let mut deploying = deploy(&sandbox, &folder, &url).arg("--json").spawn();
    let reported = |stdout: &str| -> Vec<(u64, u64)> {
        let events = stdout.lines().filter_map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            (event["event"] == "uploading").then(|| {
                let number = |name: &str| event[name].as_u64().expect("a number");
                (number("sent"), number("bytes"))
            })
        });
        events.collect()
    };
    eventually("a part of the upload is sent", || {
        let reported = reported(&deploying.stdout());
        reported.iter().any(|&(sent, all)| 0 < sent && sent < all) || deploying.has_ended()
    });
    assert!(!deploying.has_ended());
    assert!(
        reported(&deploying.stdout())
            .iter()
            .all(|&(sent, all)| sent < all)
    );
    proxy.open();
    let done = deploying.wait().code(0);
    let lines = done.json_lines();
    let uploaded = lines.iter().find(|event| event["event"] == "uploaded");
    let uploaded = uploaded.expect("an event");
    assert_eq!(
        (&uploaded["files"], &uploaded["reused"]),
        (&7.into(), &false.into())
    );
}
