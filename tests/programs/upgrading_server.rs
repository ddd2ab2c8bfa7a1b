//! Answers every upgrade request on `PPIO_AGENT_PORT` with a switch of protocols, then echoes
//! bytes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

fn main() {
    let port = std::env::var("PPIO_AGENT_PORT").expect("the port is set");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port is free");
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
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !head.contains("upgrade: websocket") || !head.contains("connection: upgrade") {
        stream.write_all(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n")?;
        return Ok(());
    }
    let answer =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    stream.write_all(answer.as_bytes())?;
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}
