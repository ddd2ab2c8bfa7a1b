//! A TCP proxy between a command and its platform.

use std::thread;

/// Forwards connections while it is open.
pub(crate) struct Relay {
    address: std::net::SocketAddr,
    gate: std::sync::Arc<std::sync::Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    is_closed: bool,
    connections: Vec<std::net::TcpStream>,
}

impl Relay {
    pub(crate) fn to(url: &str) -> Self {
        use std::net::{TcpListener, TcpStream};
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let gate = std::sync::Arc::new(std::sync::Mutex::new(Gate::default()));
        let seen = std::sync::Arc::clone(&gate);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut gate = seen.lock().expect("no panic");
                let Ok(far) = TcpStream::connect(&target) else {
                    continue;
                };
                if gate.is_closed {
                    continue;
                }
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let mut from = from.try_clone().expect("a socket");
                    let mut to = to.try_clone().expect("a socket");
                    thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
                gate.connections.extend([near, far]);
            }
        });
        Self { address, gate }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection, and new ones at once.
    pub(crate) fn close(&self) {
        let mut gate = self.gate.lock().expect("no panic");
        gate.is_closed = true;
        for connection in gate.connections.drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }

    pub(crate) fn open(&self) {
        self.gate.lock().expect("no panic").is_closed = false;
    }
}
