//! `--healthcheck`: asks the service on this machine whether it is well.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::app::AgentRuntimeApp;
use crate::server::reachable;

/// Each step's deadline; container platforms give a check about 30 s.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn ask(app: &AgentRuntimeApp) -> ExitCode {
    let settings = &app.agent().settings;
    match status_line(&settings.host, settings.port) {
        Ok(line) if line.split(' ').nth(1) == Some("200") => ExitCode::SUCCESS,
        Ok(line) => {
            eprintln!("unhealthy: {}", line.trim_end());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("unhealthy: {}: {error}", settings.address());
            ExitCode::FAILURE
        }
    }
}

fn status_line(host: &str, port: u16) -> io::Result<String> {
    let address = (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))?;
    let mut stream = TcpStream::connect_timeout(&reachable(address), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}
