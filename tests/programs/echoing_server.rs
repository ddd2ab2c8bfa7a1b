//! Answers every request on `PPIO_AGENT_PORT` of `PPIO_AGENT_HOST` with its own request headers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

fn main() {
    let variable = |name: &str| std::env::var(name).expect("a variable that the platform sets");
    let port: u16 = variable("PPIO_AGENT_PORT").parse().expect("a port");
    let address = (&*variable("PPIO_AGENT_HOST"), port);
    let listener = TcpListener::bind(address).expect("the port is free");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let length = head.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    )?;
    stream.write_all(&head)?;
    // Reads the rest of the request, because closing a socket with unread bytes resets the
    // connection.
    stream.shutdown(std::net::Shutdown::Write)?;
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}
