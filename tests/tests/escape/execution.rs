//! Checks that code of a sandbox runs neither outside of the sandbox nor inside with rights that
//! the sandbox lacks.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ppio_agent_client::platform::Command as Run;
use serde_json::json;

use crate::setting::{Inside, Platform, Setting, Start, compile};

/// The source of a library that records the program that loads it and the rights of that program:
/// in a directory that a sandbox with namespaces cannot see, and in a directory of the sandbox.
const SPY: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void spy(void) {
    char exe[512] = "", line[512], caps[64] = "";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) strcpy(exe, "?");
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        sscanf(line, "CapEff: %63s", caps);
    if (status) fclose(status);
    const char *places[] = { WITNESS, "/app/loaded" };
    for (int i = 0; i < 2; i++) {
        int file = open(places[i], O_WRONLY | O_CREAT | O_APPEND, 0666);
        if (file < 0) continue;
        dprintf(file, "uid %d caps %s %s\n", (int) geteuid(), caps, exe);
        close(file);
    }
}
"#;

/// The source of a replacement for the dynamic loader. It records the rights of the program and
/// exits.
const LOADER: &str = r#"
#if defined(__x86_64__)
static long call(long n, long a, long b, long c, long d) {
    long r; register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return r;
}
enum { READ = 0, WRITE = 1, EXIT = 60, OPENAT = 257 };
#elif defined(__aarch64__)
static long call(long n, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = n; register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b; register long x2 __asm__("x2") = c; register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
enum { READ = 63, WRITE = 64, EXIT = 93, OPENAT = 56 };
#endif
static char text[4096];
void _start(void) {
    long status = call(OPENAT, -100, (long) "/proc/self/status", 0, 0);
    long count = call(READ, status, (long) text, sizeof text, 0);
    long trace = call(OPENAT, -100, (long) "/app/trace", 02 | 0100 | 02000, 0666);
    call(WRITE, trace, (long) text, count, 0);
    for (;;) call(EXIT, 0, 0, 0, 0);
}
"#;

/// The location of the dynamic loader on this machine: a directory of links, and a file name.
const LOADER_LOCATION: (&str, &str) = if cfg!(target_arch = "x86_64") {
    ("/lib64", "ld-linux-x86-64.so.2")
} else {
    ("/lib", "ld-linux-aarch64.so.1")
};

fn spy(platform: &Platform) -> Vec<u8> {
    let library = platform.outside.path().join("spy.so");
    let witness = format!("-DWITNESS=\"{}/loaded\"", platform.witness().display());
    compile(SPY, &library, &["-shared", "-fPIC", &witness]);
    fs::read(library).unwrap()
}

fn loader(platform: &Platform) -> Vec<u8> {
    let loader = platform.outside.path().join("loader");
    let options = [
        "-nostdlib",
        "-static",
        "-ffreestanding",
        "-fno-stack-protector",
        "-s",
        "-O1",
    ];
    compile(LOADER, &loader, &options);
    fs::read(loader).unwrap()
}

/// Returns a command that writes `file` to `target` in a sandbox, as a program.
fn unpack(file: &[u8], target: &str) -> String {
    let text = STANDARD.encode(file);
    format!("printf %s {text} | base64 -d > {target}; chmod 755 {target}")
}

/// Returns a command that creates programs with the names of those that start sandbox processes.
fn impostors(platform: &Platform, directory: &str) -> String {
    let trace = platform.witness().join("impostor");
    let names = "sh bash env nsenter setpriv setsid taskset unshare bwrap prlimit true";
    format!(
        "mkdir -p {directory}; for name in {names}; do \
         printf '#!/bin/sh\\necho \"$0 $(id -u)\" >> {}\\n' > {directory}/$name; \
         chmod 755 {directory}/$name; done",
        trace.display()
    )
}

/// Returns variables that make a program run other code, which is below `inside` or in `/app`.
fn variables(inside: &str) -> Vec<(String, String)> {
    let (library, programs) = (format!("{inside}/app/spy.so"), format!("{inside}/app/bin"));
    let both = format!("{library}:/app/spy.so");
    vec![
        ("LD_PRELOAD".into(), both.clone()),
        ("LD_AUDIT".into(), both),
        ("LD_LIBRARY_PATH".into(), format!("{programs}:/app")),
        ("BASH_ENV".into(), format!("{programs}/true")),
        ("ENV".into(), format!("{programs}/true")),
        ("PATH".into(), format!("{programs}:/app/bin:/usr/bin:/bin")),
        ("SHELL".into(), format!("{programs}/sh")),
        ("IFS".into(), "/".into()),
    ]
}

/// Checks what the spies and impostors have recorded.
async fn check(platform: &Platform, inside: &Inside, doing: &str) {
    let setting = platform.setting;
    for name in ["loaded", "impostor"] {
        let trace = fs::read_to_string(platform.witness().join(name)).unwrap_or_default();
        if setting.bubblewrap {
            assert_eq!(trace, "", "{setting:?}: {doing} ran code outside");
        }
        if setting.as_root {
            let as_root = |line: &str| line.starts_with("uid 0 ") || line.ends_with(" 0");
            assert!(!trace.lines().any(as_root), "{setting:?}: {doing}: {trace}");
        }
    }
    if setting.bubblewrap {
        let loaded = inside.envd.read_file("/app/loaded").await;
        let loaded = String::from_utf8(loaded.unwrap().to_vec()).unwrap();
        assert!(!loaded.is_empty(), "the library is never loaded");
        for line in loaded.lines() {
            let harmless = line.contains("caps 0000000000000000") && !line.starts_with("uid 0 ");
            assert!(
                harmless,
                "{setting:?}: {doing} runs code with rights: {line}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_variables_of_a_call_run_no_code_outside() {
    for setting in Setting::confining() {
        let platform = Platform::start(setting, Start::Plain).await;
        // The template has fewer processors than the machine. Without a cgroup, `taskset` limits
        // the processors of the sandbox.
        let template = platform.template("small", json!({"cpuCount": 1}), json!([]));
        let inside = platform.sandbox(&template.await).await;
        let directory = inside.shell("printf %s \"$PPIO_LOCAL_SANDBOX\"").await;
        let root = format!("{directory}/root");
        inside
            .envd
            .write_file("/app/spy.so", spy(&platform))
            .await
            .unwrap();
        let base = if setting.bubblewrap { "" } else { &root };
        inside
            .shell(&impostors(&platform, &format!("{base}/app/bin")))
            .await;
        // Traces of the sandbox's own programs do not count.
        let _ = fs::remove_file(platform.witness().join("impostor"));

        for (name, value) in variables(&root) {
            let mut command = Run::new("/usr/bin/id");
            command.envs = [(name, value)].into();
            inside.run(&command).await;
        }
        let mut command = Run::new("/usr/bin/id");
        command.envs = variables(&root).into_iter().collect();
        inside.run(&command).await;
        check(&platform, &inside, "a variable of a call").await;
        inside.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_variables_of_a_template_run_no_code_outside() {
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::Plain).await;
        let unpack = unpack(&spy(&platform), "/app/spy.so");
        // A template cannot name the directory of its sandboxes, so the variables name another
        // directory, which the test fills.
        let outside = platform.outside.path().to_str().unwrap();
        fs::create_dir_all(platform.outside.path().join("app/bin")).unwrap();
        fs::copy(
            platform.outside.path().join("spy.so"),
            platform.outside.path().join("app/spy.so"),
        )
        .unwrap();
        let pairs: Vec<_> = variables(outside)
            .into_iter()
            .filter(|(name, _)| name.starts_with("LD_"))
            .flat_map(|(name, value)| [name, value])
            .collect();
        let steps = json!([
            {"type": "RUN", "args": [unpack]},
            {"type": "ENV", "args": pairs},
            {"type": "RUN", "args": ["/usr/bin/id"]},
        ]);
        let template = platform
            .template("spying", json!({"cpuCount": 1}), steps)
            .await;
        let inside = platform.sandbox(&template).await;
        inside.run(&Run::new("/usr/bin/id")).await;
        check(&platform, &inside, "a variable of a template").await;
        inside.kill().await;
    }
}

/// Checks the lines of `/proc/self/status` that the loader recorded: none of them shows any rights.
fn check_trace(setting: Setting, trace: &str) {
    for line in trace.lines() {
        if let Some(ids) = line.strip_prefix("Uid:") {
            let as_root = ids.split_whitespace().any(|id| id == "0");
            assert!(!as_root, "{setting:?}: a planted loader runs as {ids}");
        }
        if let Some(rights) = line
            .strip_prefix("CapEff:")
            .or(line.strip_prefix("CapPrm:"))
        {
            let none = rights.trim().bytes().all(|digit| digit == b'0');
            assert!(
                none,
                "{setting:?}: a planted loader has the rights {rights}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_replaced_at_run_time_has_no_rights() {
    let (place, name) = LOADER_LOCATION;
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::Plain).await;
        let inside = platform.sandbox("base").await;
        inside
            .shell(&unpack(&loader(&platform), "/app/loader"))
            .await;
        inside.envd.rename(place, "/app/old").await.unwrap();
        inside.envd.make_dir(place).await.unwrap();
        let planted = format!("{place}/{name}");
        inside.envd.rename("/app/loader", &planted).await.unwrap();

        inside.run(&Run::new("/usr/bin/id")).await;
        let trace = inside.envd.read_file("/app/trace").await.unwrap();
        let trace = String::from_utf8(trace.to_vec()).unwrap();
        assert!(trace.contains("CapEff"), "the planted loader never runs");
        check_trace(setting, &trace);
        inside.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_created_by_a_template_are_replaced() {
    let (place, name) = LOADER_LOCATION;
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::Plain).await;
        let secret = platform.outside.path();
        let steps = json!([{"type": "RUN", "args": [format!(
            "mkdir /app/planted; {}; cp /app/planted/{name} /app/planted/sh; \
             ln -sfn {} /opt; ln -sfn /app/planted /bin; ln -sfn /app/planted {place}",
            unpack(&loader(&platform), &format!("/app/planted/{name}")),
            secret.display(),
        )]}]);
        let template = platform.template("planted", json!({}), steps).await;
        let inside = platform.sandbox(&template).await;
        assert_eq!(inside.shell("echo fine").await, "fine\n", "{setting:?}");
        assert!(
            !inside.envd.exists("/app/trace").await.unwrap(),
            "{setting:?}: a loader of the template ran"
        );
        platform.check("a link of a template", &inside.shell("cat /opt/*").await);
        inside.kill().await;
    }
}
