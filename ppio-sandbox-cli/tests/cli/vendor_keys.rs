//! An API key is sent only to its vendor, and one that is not PPIO's does not select the cloud.

use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;

use crate::support::Sandbox;

/// A proxy that closes every connection and records the requested hosts.
struct Proxy(TcpListener);

impl Proxy {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("it is bound"))
    }

    /// The recorded requests, after the command has exited.
    fn heads(&self) -> Vec<String> {
        let mut heads = Vec::new();
        loop {
            match self.0.accept() {
                Ok((mut client, _)) => {
                    let mut head = Vec::new();
                    client.set_nonblocking(false).expect("a socket");
                    client
                        .read_to_end(&mut head)
                        .expect("the other side is gone");
                    heads.push(String::from_utf8_lossy(&head).into_owned());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heads,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_key_of_e2b_is_used_with_remote_alone() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::new();
    let list = |arguments: &[&str]| {
        let command = sandbox.command(["agent", "list"]).args(arguments);
        command
            .env("E2B_API_KEY", "e2b-key")
            .env("HTTPS_PROXY", proxy.url())
            // Another vendor's address.
            .env("PPIO_DOMAIN", "sandbox.ppio.cn")
    };
    // The default is the local platform, which is not running.
    let done = list(&[]).run().code(3);
    assert!(
        done.stderr.contains("the local platform is not running"),
        "{}",
        done.stderr
    );
    assert_eq!(proxy.heads(), [""; 0]);

    // It is never sent to an address of PPIO.
    let done = list(&["--remote"])
        .env("E2B_API_URL", "https://api.sandbox.ppio.cn")
        .run()
        .code(2);
    assert!(
        done.stderr.contains("E2B_API_KEY is a key of E2B"),
        "{}",
        done.stderr
    );
    let done = list(&["--remote"])
        .env("E2B_API_URL", "http://127.0.0.1:9")
        .run()
        .code(3);
    assert!(done.stderr.contains("E2B_API_URL"), "{}", done.stderr);
    assert_eq!(proxy.heads(), [""; 0]);
}
