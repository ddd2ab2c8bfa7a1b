//! A key goes to its own vendor's platform or nowhere: what is not PPIO's does not make commands leave this machine.

mod support;

use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;

use support::Sandbox;

/// A proxy that hangs up on everyone, and remembers who was asked for.
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

    /// Answers with what was sent by now; for a command that has ended.
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
fn a_key_of_e2b_alone_goes_to_e2b_where_that_is_said() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::new();
    let list = |arguments: &[&str]| {
        let command = sandbox.command(["agent", "list"]).args(arguments);
        command
            .env("E2B_API_KEY", "e2b-key")
            .env("HTTPS_PROXY", proxy.url())
            // Does not go with this key.
            .env("PPIO_DOMAIN", "sandbox.ppio.cn")
    };
    // By default on this machine, where no platform runs.
    let done = list(&[]).run().code(3);
    assert!(
        done.stderr.contains("the local platform is not running"),
        "{}",
        done.stderr
    );
    assert_eq!(proxy.heads(), [""; 0]);

    // There is no address of PPIO's that it is sent to.
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
