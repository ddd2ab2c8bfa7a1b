//! The target that `agent deploy` compiles for. The test machine need not have the static target: a
//! fake rustc reports other hosts and targets, and a fake cargo always builds for this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::scaffold::{command, project};
use crate::support::{Done, Invocation, Sandbox, on_runtime};

const GNU: &str = "x86_64-unknown-linux-gnu";
const MUSL: &str = "x86_64-unknown-linux-musl";

/// A fake toolchain with a host and installed targets.
struct Toolchain {
    /// The agent's name, unique because tests share a target folder.
    name: &'static str,
    sandbox: Sandbox,
    project: PathBuf,
    /// The sysroot of rustc, which may be in a folder of rustup or elsewhere.
    sysroot: PathBuf,
    host: &'static str,
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

impl Toolchain {
    fn new(name: &'static str, host: &'static str, targets: &[&str]) -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.up();
        let project = project(&sandbox, name, "hello");
        let sysroot = sandbox.path("rustup/toolchains/stand-in");
        for target in targets {
            let libraries = sysroot.join("lib/rustlib").join(target).join("lib");
            fs::create_dir_all(libraries).expect("made");
        }
        fs::create_dir_all(sandbox.path("bin")).expect("made");
        Self {
            name,
            sandbox,
            project,
            sysroot,
            host,
        }
    }

    /// Returns `agent deploy` with the fake toolchain.
    fn deploy(&self, arguments: &[&str]) -> Invocation {
        let cargo = Path::new(env!("CARGO"));
        let rustc = cargo.with_file_name("rustc");
        let bin = self.sandbox.path("bin");
        let (host, sysroot) = (self.host, self.sysroot.display());
        script(
            &bin.join("rustc"),
            &format!(
                "case \"$*\" in\n'--version --verbose') echo 'rustc 1.90.0'; echo 'host: {host}';;\n\
                 '--print sysroot') echo '{sysroot}';;\n*) exec '{}' \"$@\";;\nesac\n",
                rustc.display()
            ),
        );
        script(
            &bin.join("cargo"),
            &format!(
                "[ \"$1\" != build ] || echo \"$*\" >> '{}'\nfor word; do shift; case \"$word\" in\n\
                 --target) skip=yes;;\n*) [ -n \"$skip\" ] || set -- \"$@\" \"$word\"; skip=;;\nesac; done\n\
                 RUSTC='{}' exec '{}' \"$@\"\n",
                self.record().display(),
                rustc.display(),
                cargo.display()
            ),
        );
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
        command(&self.sandbox, &self.project, &["agent", "deploy"])
            .env("PATH", std::env::join_paths(path).expect("a PATH"))
            .env("CARGO", bin.join("cargo"))
            .args(arguments)
    }

    /// Deploys with `--remote` to the local platform.
    fn deploy_remote(&self, arguments: &[&str]) -> Done {
        let url = self.sandbox.running().expect("a platform").url().to_owned();
        self.deploy(&["--remote"])
            .args(arguments)
            .env("PPIO_API_KEY", self.sandbox.key())
            .env("PPIO_API_URL", url)
            .run()
    }

    fn record(&self) -> PathBuf {
        self.sandbox.path("builds")
    }

    /// Returns the target of the last build.
    fn built_for(&self) -> Option<String> {
        let record = fs::read_to_string(self.record()).expect("the record of the builds");
        let line = record.lines().last().expect("a build");
        let (_, target) = line.split_once(" --target ")?;
        target.split_whitespace().next().map(str::to_owned)
    }

    /// Returns the target in the template's metadata.
    fn template_target(&self) -> serde_json::Value {
        on_runtime(async {
            let template = self.sandbox.client().get_template(self.name).await;
            template.expect("a template").metadata["agent_target"].clone()
        })
    }
}

#[test]
fn the_static_target_is_used_if_it_is_installed() {
    let toolchain = Toolchain::new("my-static", GNU, &[GNU, MUSL]);
    let done = toolchain.deploy(&["--local"]).run().code(0);
    assert!(!done.stderr.contains("warning"), "{done:?}");
    assert_eq!(toolchain.built_for().as_deref(), Some(MUSL));
    assert_eq!(toolchain.template_target(), json!(MUSL));

    let done = toolchain.deploy_remote(&[]).code(0);
    assert!(!done.stderr.contains("warning"), "{done:?}");
    assert_eq!(toolchain.built_for().as_deref(), Some(MUSL));

    // `--target` overrides the static target.
    toolchain.deploy_remote(&["--target", "host"]).code(0);
    assert_eq!(toolchain.built_for(), None);
    assert_eq!(toolchain.template_target(), json!("host"));

    // A dependency with C code may fail for the static target alone.
    let main = toolchain.project.join("src/main.rs");
    fs::write(main, "fn main() { nothing }\n").expect("written");
    let hint = format!("try again, or with `--target host` if the build fails only for {MUSL}");
    toolchain.deploy_remote(&[]).code(1).says(&hint);
    let done = toolchain.deploy_remote(&["--target", "host"]).code(1);
    assert!(!done.stderr.contains("--target host"), "{done:?}");
}

#[test]
fn without_the_static_target_a_warning_names_the_c_library_and_the_installation() {
    let toolchain = Toolchain::new("my-dynamic", GNU, &[GNU]);
    let done = toolchain.deploy_remote(&[]).code(0);
    assert_eq!(toolchain.built_for(), None);
    assert_eq!(toolchain.template_target(), json!("host"));
    let command = format!("run `rustup target add --toolchain stand-in {MUSL}` and deploy again");
    let done = done
        .says("warning: the program is built for x86_64-unknown-linux-gnu and needs ")
        .says(" or newer in the sandbox; ")
        .says(&command);
    assert_eq!(done.stderr.matches("warning").count(), 1, "{done:?}");

    let events = toolchain.deploy_remote(&["--json"]).code(0).json_lines();
    let warning = events.iter().find(|event| event["event"] == "warning");
    let message = warning.expect("a warning")["message"].as_str();
    assert!(message.is_some_and(|message| message.contains(&command)));

    // Local sandboxes run programs of this machine.
    let done = toolchain.deploy(&["--local"]).run().code(0);
    assert!(!done.stderr.contains("warning"), "{done:?}");
    assert_eq!(toolchain.built_for(), None);
}

#[test]
fn without_rustup_the_help_does_not_name_a_toolchain() {
    let mut toolchain = Toolchain::new("my-distributed", GNU, &[]);
    toolchain.sysroot = toolchain.sandbox.path("usr");
    let from = format!(
        "install Rust's standard library for {MUSL} from the source of the Rust in {}",
        toolchain.sysroot.display()
    );
    let done = toolchain.deploy_remote(&[]).code(0).says(&from);
    assert!(!done.stderr.contains("--toolchain"), "{done:?}");
}

#[test]
fn other_hosts_need_the_static_target_for_the_cloud() {
    for host in ["aarch64-apple-darwin", "aarch64-unknown-linux-gnu"] {
        let toolchain = Toolchain::new("my-foreign", host, &[host]);
        toolchain
            .deploy_remote(&[])
            .code(4)
            .says(&format!("a program for {host} does not run in the cloud's"))
            .says(&format!("rustup target add --toolchain stand-in {MUSL}"));
        assert!(!toolchain.record().exists(), "a build was started");

        let toolchain = Toolchain::new("my-foreign", host, &[host, MUSL]);
        toolchain.deploy_remote(&[]).code(0);
        assert_eq!(toolchain.built_for().as_deref(), Some(MUSL));
        // Locally, the program is compiled for the host: the static target of the host's
        // architecture is not installed.
        toolchain.deploy(&["--local"]).run().code(0);
        assert_eq!(toolchain.built_for(), None);
    }
}
