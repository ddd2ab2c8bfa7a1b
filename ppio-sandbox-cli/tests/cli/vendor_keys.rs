//! An API key is sent only to its vendor, and a key that is not PPIO's does not select the cloud.

use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::support::{Invocation, Sandbox};

/// Commands that use a platform.
const COMMANDS: [&[&str]; 8] = [
    &["agent", "list"],
    &["agent", "invoke", "--input", "x"],
    &["agent", "status"],
    &["agent", "logs"],
    &["agent", "stop"],
    &["agent", "delete", "--yes"],
    &["agent", "deploy"],
    &["doctor"],
];

/// A proxy that closes every connection and records the request lines and headers.
struct Proxy {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let recorded = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let head = head_of(&client);
                recorded.lock().expect("no panic").push(head);
                let _ = client.shutdown(Shutdown::Both);
            }
        });
        Self { url, heads }
    }

    /// Returns the recorded request lines and headers, one text for each request.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

fn head_of(mut client: &TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Returns the command in a deployed Python project, with all requests to other machines sent to
/// the proxy.
fn command(sandbox: &Sandbox, proxy: &Proxy, arguments: &[&str]) -> Invocation {
    let folder = sandbox.project("agent", "tmpl_1");
    let file = folder.join("agent.yaml");
    let text = std::fs::read_to_string(&file).expect("agent.yaml");
    std::fs::write(&file, text.replace("src/main.rs", "agent.py")).expect("agent.yaml");
    std::fs::write(folder.join("agent.py"), "pass\n").expect("agent.py");
    ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].iter().fold(
        sandbox.command(arguments).in_folder(folder),
        |command, variable| command.env(variable, &proxy.url),
    )
}

#[test]
fn a_key_is_not_sent_to_a_host_of_another_vendor() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::new();
    for (variables, said) in [
        (
            &[
                ("E2B_API_KEY", "secret"),
                ("E2B_API_URL", "https://api.sandbox.ppio.cn"),
            ][..],
            "E2B_API_KEY is a key of E2B and is not sent to api.sandbox.ppio.cn",
        ),
        (
            &[
                ("E2B_API_KEY", "secret"),
                ("E2B_DOMAIN", "cn-beijing-1.sandbox.ppio.com"),
            ],
            "set PPIO_API_KEY, or set E2B_DOMAIN",
        ),
        (
            &[
                ("E2B_API_KEY", "secret"),
                ("E2B_DOMAIN", "sandbox.novita.ai"),
            ],
            "a host of Novita",
        ),
        (
            &[("PPIO_API_KEY", "secret"), ("PPIO_DOMAIN", "e2b.app")],
            "set E2B_API_KEY, or set PPIO_DOMAIN",
        ),
        (
            &[
                ("PPIO_API_KEY", "secret"),
                ("PPIO_API_URL", "https://api.sandbox.novita.ai"),
            ],
            "a host of Novita",
        ),
        (
            &[
                ("NOVITA_API_KEY", "secret"),
                ("NOVITA_DOMAIN", "sandbox.novita.ai"),
            ],
            "NOVITA_API_KEY is a key of Novita",
        ),
        (&[("E2B_DOMAIN", "e2b.app")], "PPIO_API_KEY is not set"),
    ] {
        for arguments in COMMANDS {
            let arguments = [arguments, &["--remote"]].concat();
            let mut command = command(&sandbox, &proxy, &arguments);
            for (name, value) in variables {
                command = command.env(name, value);
            }
            let done = command.run().code(2);
            let output = format!("{}{}", done.stdout, done.stderr);
            assert!(output.contains(said), "no {said:?} in {done:?}");
            assert!(!output.contains("secret"), "{done:?}");
        }
    }
    assert_eq!(proxy.heads(), [""; 0]);
}

#[test]
fn a_key_of_another_vendor_does_not_select_the_cloud() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::new();
    let variables = [
        ("E2B_API_KEY", "secret"),
        ("E2B_ACCESS_TOKEN", "secret"),
        ("NOVITA_API_KEY", "secret"),
        ("PPIO_API_KEY", " "),
        ("PPIO_DOMAIN", "sandbox.ppio.cn"),
        ("PPIO_API_URL", "https://api.sandbox.ppio.cn"),
    ];
    let command = |arguments: &[&str]| {
        let command = command(&sandbox, &proxy, arguments);
        variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value))
    };
    for arguments in COMMANDS {
        match arguments {
            // This command starts the local platform.
            ["agent", "deploy"] => {}
            ["doctor"] => {
                let done = command(&["doctor", "--json"]).run().code(0);
                let report: Value = done.json();
                let checks = report["checks"].as_array().expect("a list");
                let key = checks.iter().find(|check| check["name"] == "key");
                assert_eq!(
                    key.expect("a check")["message"],
                    "PPIO_API_KEY is not set: the local platform is used, and E2B_API_KEY only \
                     with `--remote`"
                );
            }
            _ => {
                command(arguments)
                    .run()
                    .code(3)
                    .says("the local platform is not running")
                    .says("or use E2B_API_KEY with `--remote`");
            }
        }
    }
    assert_eq!(proxy.heads(), [""; 0]);

    // With `--remote` the key is sent to E2B, and to no address of another vendor.
    let certificates = sandbox.path("certificates");
    std::fs::create_dir(&certificates).expect("a folder");
    let remote = || command(&["agent", "list", "--remote"]);
    remote()
        .env("SSL_CERT_DIR", &certificates)
        .run()
        .code(3)
        .says("SSL_CERT_DIR: found no certificate");
    assert_eq!(proxy.heads(), [""; 0]);
    remote()
        // An empty variable counts as not set, so that it is not an error.
        .env("SSL_CERT_FILE", "")
        .env("SSL_CERT_DIR", "")
        .run()
        .code(3)
        .says("cannot connect to api.e2b.app");
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with("CONNECT api.e2b.app:443 "), "{head}");
        assert!(!head.contains("secret"), "{head}");
    }
}
