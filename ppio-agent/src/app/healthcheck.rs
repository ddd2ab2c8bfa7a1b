//! `--healthcheck`: calls `/ping` of the service on this machine.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::start_error::StartError;
use crate::config::settings::Settings;
use crate::server::reachable;

/// The timeout of the connection attempt, of each read and of each write. Container platforms allow
/// about 30 s for a check.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns `Ok` if the service answers `/ping` with a 200, otherwise [`StartError::Unhealthy`].
pub(crate) fn check(settings: &Settings) -> Result<(), StartError> {
    match status_line(&settings.values.host, settings.values.port) {
        Ok(line) if line.split(' ').nth(1) == Some("200") => Ok(()),
        Ok(line) => Err(StartError::Unhealthy(line.trim_end().to_owned())),
        Err(error) => Err(StartError::Unhealthy(format!(
            "{}: {error}",
            settings.address()
        ))),
    }
}

fn status_line(host: &str, port: u16) -> io::Result<String> {
    let address = (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))?;
    let mut stream = TcpStream::connect_timeout(&reachable(address), PING_TIMEOUT)?;
    stream.set_read_timeout(Some(PING_TIMEOUT))?;
    stream.set_write_timeout(Some(PING_TIMEOUT))?;
    stream.write_all(b"GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}
