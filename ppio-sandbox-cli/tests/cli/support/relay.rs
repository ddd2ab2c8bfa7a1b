//! A TCP proxy between a command and its platform.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards connections while it is open.
pub(crate) struct Relay {
    address: SocketAddr,
    gate: Arc<Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    is_closed: bool,
    connections: Vec<TcpStream>,
    /// The number of bytes that the platform may still send before the gate closes.
    budget: Option<usize>,
}

impl Gate {
    fn close(&mut self) {
        self.is_closed = true;
        self.budget = None;
        for connection in self.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Relay {
    pub(crate) fn to(url: &str) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let gate = Arc::new(Mutex::new(Gate::default()));
        let shared_gate = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut gate = shared_gate.lock().expect("no panic");
                let Ok(platform) = TcpStream::connect(&target) else {
                    continue;
                };
                if gate.is_closed {
                    continue;
                }
                let handle = |stream: &TcpStream| stream.try_clone().expect("a socket");
                let (from, to) = (handle(&client), handle(&platform));
                thread::spawn(move || forward(from, to, <[u8]>::len));
                let (from, to) = (handle(&platform), handle(&client));
                let shared_gate = Arc::clone(&shared_gate);
                thread::spawn(move || {
                    // `spend` only sets the flag, so that the bytes within the budget are sent
                    // first.
                    forward(from, to, |piece| spend(&shared_gate, piece.len()));
                    let mut gate = shared_gate.lock().expect("no panic");
                    if gate.is_closed {
                        gate.close();
                    }
                });
                gate.connections.extend([client, platform]);
            }
        });
        Self { address, gate }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection, and new ones immediately.
    pub(crate) fn close(&self) {
        self.gate.lock().expect("no panic").close();
    }

    /// Calls [`close`](Self::close) when the platform sends more than this many further bytes.
    pub(crate) fn close_after(&self, bytes: usize) {
        self.gate.lock().expect("no panic").budget = Some(bytes);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.lock().expect("no panic").is_closed
    }

    pub(crate) fn open(&self) {
        self.gate.lock().expect("no panic").is_closed = false;
    }
}

/// Forwards as many bytes of each piece as `allowed` returns, until that is less than the piece.
fn forward(mut from: TcpStream, mut to: TcpStream, allowed: impl Fn(&[u8]) -> usize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let piece = &buffer[..count];
        let allowed = allowed(piece);
        if to.write_all(&piece[..allowed]).is_err() || allowed < count {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Takes `count` bytes from the budget and returns how many of them may be sent. Marks the gate as
/// closed if the budget is smaller.
fn spend(gate: &Mutex<Gate>, count: usize) -> usize {
    let mut gate = gate.lock().expect("no panic");
    match &mut gate.budget {
        None => count,
        Some(left) if *left >= count => {
            *left -= count;
            count
        }
        Some(left) => {
            let left = *left;
            gate.is_closed = true;
            left
        }
    }
}
