//! A platform that creates templates and never reads the body of an upload.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::json;

use super::DEADLINE;

pub(crate) struct StallingPlatform {
    address: SocketAddr,
    uploads: Receiver<Upload>,
}

/// An upload whose body was not read.
pub(crate) struct Upload {
    length: usize,
    body: BufReader<TcpStream>,
}

impl StallingPlatform {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (sender, uploads) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || serve(stream, address, &sender));
            }
        });
        Self { address, uploads }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for an upload.
    pub(crate) fn upload(&self) -> Upload {
        let upload = self.uploads.recv_timeout(DEADLINE);
        upload.expect("an upload")
    }
}

impl Upload {
    /// Reads what was sent. Returns the number of missing bytes.
    pub(crate) fn missing(mut self) -> usize {
        let mut received = Vec::new();
        // A reset ends the body as well.
        let _ = self.body.read_to_end(&mut received);
        self.length - received.len()
    }
}

/// Answers one request; connections are not reused.
fn serve(stream: TcpStream, address: SocketAddr, sender: &Sender<Upload>) {
    let mut answer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().expect("a length"))
    });
    let length: usize = length.unwrap_or(0);
    if head.starts_with("PUT ") {
        let body = reader;
        let _ = sender.send(Upload { length, body });
        return;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let (status, document) = if head.starts_with("POST /v3/templates ") {
        let ticket = json!({"templateID": "tmpl_1", "buildID": "build_1", "names": [], "aliases": [], "tags": []});
        ("202 Accepted", ticket)
    } else {
        let url = format!("http://{address}/storage");
        ("201 Created", json!({"present": false, "url": url}))
    };
    let document = document.to_string();
    let _ = write!(
        answer,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{document}",
        document.len()
    );
}
