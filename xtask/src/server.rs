//! A measured server as a process: its start-up time, memory and processor time.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Error;

/// The time limit for the first answer to a ping, long enough for the slowest interpreter.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    process: Child,
    /// The address that the server listens on.
    pub(crate) address: SocketAddr,
    /// The time from the start of the process to the last byte of the first answer to `GET /ping`.
    pub(crate) start_up: Duration,
}

impl Server {
    /// Starts `command` on a free port and waits for the first answer to a ping. The output goes to
    /// `log`.
    pub(crate) fn start(
        mut command: Command,
        log: &Path,
        worker_threads: u32,
    ) -> Result<Self, Error> {
        let address = free_address()?;
        let output = File::create(log)
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        command
            .env("PPIO_AGENT_HOST", address.ip().to_string())
            .env("PPIO_AGENT_PORT", address.port().to_string())
            .env("TOKIO_WORKER_THREADS", worker_threads.to_string())
            .stdin(Stdio::null())
            .stdout(output.0)
            .stderr(output.1);
        let started = Instant::now();
        let process = command.spawn().map_err(|error| {
            let program = PathBuf::from(command.get_program());
            format!("cannot start {}: {error}", program.display())
        })?;
        let mut server = Self {
            process,
            address,
            start_up: Duration::ZERO,
        };
        // Without a pause between attempts, which would be longer than the measured time.
        while !answers_ping(address) {
            if let Ok(Some(status)) = server.process.try_wait() {
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(format!(
                    "the server exited during its start ({status}):\n{log}"
                ));
            }
            if started.elapsed() > START_TIMEOUT {
                let seconds = START_TIMEOUT.as_secs();
                return Err(format!(
                    "no answer to GET /ping within {seconds} s; see {}",
                    log.display()
                ));
            }
        }
        server.start_up = started.elapsed();
        Ok(server)
    }

    /// Returns the current resident memory, in bytes.
    pub(crate) fn resident_memory(&self) -> Result<u64, Error> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read the memory (Linux only): {path}: {error}"))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|kibibytes| kibibytes.parse::<u64>().ok())
            .map(|kibibytes| kibibytes * 1024)
            .ok_or_else(|| format!("{path} has no VmRSS line"))
    }

    /// Returns the processor time of the server's running threads.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Error> {
        let threads = format!("/proc/{}/task", self.process.id());
        let read = || -> std::io::Result<u64> {
            let mut nanoseconds = 0;
            for thread in fs::read_dir(&threads)? {
                let text = fs::read_to_string(thread?.path().join("schedstat"))?;
                let on_core = text
                    .split(' ')
                    .next()
                    .and_then(|field| field.parse::<u64>().ok());
                nanoseconds += on_core.ok_or(std::io::ErrorKind::InvalidData)?;
            }
            Ok(nanoseconds)
        };
        read().map(Duration::from_nanos).map_err(|error| {
            format!("cannot read the processor time (Linux only): {threads}: {error}")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `drop` cannot return an error.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answers_ping(address: SocketAddr) -> bool {
    let ping = || -> std::io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(
            socket,
            "GET /ping HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ping().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

/// Returns a loopback address with a port that is free at this moment.
fn free_address() -> Result<SocketAddr, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port on loopback: {error}"))
}
