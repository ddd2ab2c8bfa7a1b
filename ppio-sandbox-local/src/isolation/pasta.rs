//! Connects the network namespace of a sandbox to other machines, through `pasta`.
//!
//! `pasta` opens a tap device in the namespace and connections in the network of this machine.
//! `pasta` forwards no port in either direction, and reaches loopback addresses of this machine
//! only to pass DNS queries on to the machine's name server. Once `pasta` has opened the device, it
//! confines itself: no file is visible to it, and a filter allows few system calls.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr};

use super::launcher::ProcessLauncher;
use super::namespaces::{Namespace, Namespaces};
use crate::processes;

const TUN_DEVICE: &str = "/dev/net/tun";
/// The address, in the namespace, of the machine's own name server, which may listen on a loopback
/// address. Link-local addresses are not routed.
const NAME_SERVER: &str = "169.254.1.1";
/// The pause between two checks for a route in the namespace.
const READY_INTERVAL: Duration = Duration::from_millis(2);
/// The maximum length of an error text that is kept, in bytes.
const MAX_ERROR_OUTPUT: u64 = 4096;
const OPTIONS: &[&str] = &[
    "--foreground",
    "--quiet",
    "--config-net",
    "--no-map-gw",
    "--tcp-ports",
    "none",
    "--udp-ports",
    "none",
    "--tcp-ns",
    "none",
    "--udp-ns",
    "none",
    "--no-dhcp",
    "--no-dhcpv6",
    "--no-ra",
    // The namespace is a descriptor, not a file that could be deleted.
    "--no-netns-quit",
    "--dns-forward",
    NAME_SERVER,
    "--netns",
    "/proc/self/fd/0",
];

/// A running `pasta`. Killed when dropped.
#[derive(Debug)]
pub(crate) struct PastaProcess {
    process: OwnedFd,
    _child: Child,
}

impl PastaProcess {
    /// Starts `pasta` for the network namespace of a sandbox, and waits until the namespace has a
    /// route to other machines.
    ///
    /// # Errors
    ///
    /// If [`TUN_DEVICE`] cannot be opened, or `pasta` cannot be started or ends; in the last case,
    /// the error contains what `pasta` printed. There is no time limit for the route.
    pub(super) async fn start(
        program: &Path,
        launcher: &ProcessLauncher,
        namespaces: &Namespaces,
        network: &Namespace,
    ) -> io::Result<Self> {
        let tun = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(TUN_DEVICE);
        tun.map_err(|error| named(&error, &format!("failed to open {TUN_DEVICE}")))?;
        let mut arguments = Vec::new();
        processes::push_program(&mut arguments, program, OPTIONS);
        // The namespaces are passed as standard streams, because only some processes can open
        // their paths.
        let stdout = if launcher.user().is_some() {
            // Another user could not enter a namespace of root.
            arguments.extend(["--runas", "0:0"].map(Into::into));
            Stdio::null()
        } else {
            // This user namespace owns the network namespace.
            arguments.extend(["--userns", "/proc/self/fd/1"].map(Into::into));
            namespaces.user.file()?.into()
        };
        let mut command = launcher.helper_command(arguments);
        command
            .stdin(network.file()?)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = processes::spawn(&mut command)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("pasta has ended"))?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        // The pipe is dropped once `pasta` is ready; `pasta` ignores SIGPIPE.
        let stderr = child.stderr.take();
        while !has_route(namespaces.first) {
            if let Some(status) = child.try_wait()? {
                let complaint = error_output(stderr).await;
                return Err(io::Error::other(format!(
                    "pasta failed ({status}): {complaint}"
                )));
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        Ok(Self {
            process,
            _child: child,
        })
    }

    /// Kills `pasta`. Without effect if it has ended.
    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }
}

fn named(error: &io::Error, doing: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}

/// Returns what `pasta` printed, without its messages about a system log that does not run.
async fn error_output(stderr: Option<ChildStderr>) -> String {
    let mut text = String::new();
    if let Some(stderr) = stderr {
        let mut stderr = stderr.take(MAX_ERROR_OUTPUT);
        let _ = stderr.read_to_string(&mut text).await;
    }
    let lines = text.lines().map(str::trim);
    let lines: Vec<_> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("Failed to send"))
        .collect();
    lines.join("; ")
}

/// Whether the network of a process has a route to other machines.
fn has_route(pid: i32) -> bool {
    let table = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
    table("route").is_ok_and(|table| has_default_route(&table, 1))
        || table("ipv6_route").is_ok_and(|table| has_default_route(&table, 0))
}

/// Whether a table of `/proc/net` has a destination of zeros, in this column, on an interface other
/// than loopback.
fn has_default_route(table: &str, destination: usize) -> bool {
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        !fields.clone().any(|field| field == "lo")
            && fields
                .nth(destination)
                .is_some_and(|field| field.bytes().all(|byte| byte == b'0'))
    })
}

/// Writes the `resolv.conf` of a sandbox: a copy of this machine's, with another name server.
pub(super) fn write_resolv_conf(path: &Path) -> io::Result<()> {
    let machine = match fs::read_to_string("/etc/resolv.conf") {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        machine => machine.unwrap_or_default(),
    };
    fs::write(path, resolv_conf(&machine))
}

fn resolv_conf(machine: &str) -> String {
    let is_kept = |line: &&str| line.split_ascii_whitespace().next() != Some("nameserver");
    let kept = machine.lines().filter(is_kept);
    let mut text = format!("nameserver {NAME_SERVER}\n");
    for line in kept {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_are_found() {
        let header = "Iface\tDestination\tGateway \tFlags\n";
        for (table, destination, expected) in [
            (format!("{header}eth0\t00000000\t010200C0\t0003\n"), 1, true),
            (
                format!("{header}eth0\t000200C0\t00000000\t0001\n"),
                1,
                false,
            ),
            (header.to_owned(), 1, false),
            (String::new(), 1, false),
            (
                format!("{:032} 00 {:032} 00 fe80 1 1 1 3 eth0\n", 0, 0),
                0,
                true,
            ),
            (
                format!("{:032} 00 {:032} 00 {:032} 1 1 1 3 lo\n", 0, 0, 0),
                0,
                false,
            ),
        ] {
            assert_eq!(has_default_route(&table, destination), expected, "{table}");
        }
    }

    #[test]
    fn the_name_server_is_replaced() {
        for (machine, expected) in [
            ("", "nameserver 169.254.1.1\n"),
            (
                "# a\nnameserver 127.0.0.53\nnameserver\t::1\nsearch example.com\noptions ndots:2",
                "nameserver 169.254.1.1\n# a\nsearch example.com\noptions ndots:2\n",
            ),
        ] {
            assert_eq!(resolv_conf(machine), expected);
        }
    }
}
