//! The sockets that listen on this machine's ports, and which of them a connection reaches.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::sock_diag::{self, ListeningSocket};

/// State "listen" in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The listeners on some ports at one moment.
#[derive(Debug, Default)]
pub(crate) struct ListenerTable {
    listeners: Vec<ListeningSocket>,
}

impl ListenerTable {
    /// Reads the listeners on `ports`. Blocks for some microseconds, or for milliseconds if the
    /// kernel does not answer over `sock_diag`.
    pub(crate) fn read(ports: &[u16]) -> Self {
        let only = match ports {
            [port] => Some(*port),
            _ => None,
        };
        match sock_diag::listeners(only) {
            Ok(mut listeners) => {
                listeners.retain(|listener| ports.contains(&listener.port));
                Self { listeners }
            }
            Err(_) => Self::read_proc(|port| ports.contains(&port)),
        }
    }

    /// Reads all listeners. Blocks for some milliseconds at most.
    pub(super) fn read_all() -> Self {
        sock_diag::listeners(None).map_or_else(
            |_| Self::read_proc(|_| true),
            |listeners| Self { listeners },
        )
    }

    /// Returns the ports that sockets with these inodes listen on.
    pub(super) fn ports_of(&self, inodes: &HashSet<u64>) -> BTreeSet<u16> {
        self.listeners
            .iter()
            .filter(|listener| inodes.contains(&listener.inode))
            .map(|listener| listener.port)
            .collect()
    }

    /// Reads the kernel's text tables, which list listeners before connections.
    fn read_proc(is_wanted: impl Fn(u16) -> bool) -> Self {
        let mut table = Self::default();
        for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
            // Without IPv6, the second file does not exist.
            if let Ok(file) = File::open(path) {
                table.add(BufReader::new(file), &is_wanted);
            }
        }
        table
    }

    fn add(&mut self, table: impl BufRead, is_wanted: impl Fn(u16) -> bool) {
        for line in table.lines().skip(1).map_while(Result::ok) {
            let Some((listener, state)) = parse(&line) else {
                continue;
            };
            if state != LISTEN {
                break;
            }
            if is_wanted(listener.port) {
                self.listeners.push(listener);
            }
        }
    }

    /// Returns the inodes of the sockets that accept connections to `port` at `address`, a loopback
    /// address: those bound to that address, otherwise those bound to every address.
    pub(crate) fn receivers(&self, address: IpAddr, port: u16) -> BTreeSet<u64> {
        let bound_to = |wanted: IpAddr| -> BTreeSet<u64> {
            self.listeners
                .iter()
                .filter(|listener| listener.port == port && listener.address == wanted)
                .map(|listener| listener.inode)
                .collect()
        };
        let candidates = match address {
            IpAddr::V4(_) => vec![
                address,
                Ipv4Addr::UNSPECIFIED.into(),
                Ipv6Addr::UNSPECIFIED.into(),
            ],
            IpAddr::V6(_) => vec![address, Ipv6Addr::UNSPECIFIED.into()],
        };
        candidates
            .into_iter()
            .map(bound_to)
            .find(|inodes| !inodes.is_empty())
            .unwrap_or_default()
    }

    /// Whether `user` opened all of the sockets with these inodes.
    pub(crate) fn are_of_user(&self, inodes: &BTreeSet<u64>, user: u32) -> bool {
        self.listeners
            .iter()
            .filter(|listener| inodes.contains(&listener.inode))
            .all(|listener| listener.user == user)
    }

    /// Returns the inodes of every listener on `port`.
    pub(crate) fn all(&self, port: u16) -> BTreeSet<u64> {
        self.listeners
            .iter()
            .filter(|listener| listener.port == port)
            .map(|listener| listener.inode)
            .collect()
    }
}

fn parse(line: &str) -> Option<(ListeningSocket, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let listener = ListeningSocket {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        user: fields.nth(3)?.parse().ok()?,
        inode: fields.nth(1)?.parse().ok()?,
    };
    Some((listener, state))
}

/// Parses an address: words of 32 bits in network order, each printed as a number of this machine.
/// IPv4 addresses of IPv6 sockets are returned as IPv4.
fn parse_address(text: &str) -> Option<IpAddr> {
    let mut bytes = [0; 16];
    let words = text.len() / 8;
    if !text.is_ascii() || !text.len().is_multiple_of(8) || ![1, 4].contains(&words) {
        return None;
    }
    for word in 0..words {
        let number = u32::from_str_radix(&text[word * 8..(word + 1) * 8], 16).ok()?;
        bytes[word * 4..(word + 1) * 4].copy_from_slice(&number.to_ne_bytes());
    }
    Some(match words {
        1 => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
        _ => Ipv6Addr::from(bytes).to_canonical(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    use super::*;

    const LOOPBACK_4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const LOOPBACK_6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    /// Reads a table of local addresses, ports and states, whose inodes count from 1.
    fn table(lines: &[(&str, u16, &str)]) -> ListenerTable {
        let lines = lines
            .iter()
            .zip(1..)
            .map(|((address, port, state), inode)| {
                let octets = match address.parse().unwrap() {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                let words = octets
                    .chunks(4)
                    .map(|word| format!("{:08X}", u32::from_ne_bytes(word.try_into().unwrap())));
                let address: String = words.collect();
                format!(
                    "\n   0: {address}:{port:04X} 0:0 {state} 0:0 00:0 0 1000 0 {inode} 1 0 100"
                )
            });
        let text = format!("  sl  local_address{}", lines.collect::<String>());
        let mut table = ListenerTable::default();
        table.add(text.as_bytes(), |port| port == 80);
        table
    }

    #[test]
    fn the_most_specific_address_receives() {
        let all = [
            ("127.0.0.1", 80, "0A"),
            ("::ffff:127.0.0.1", 80, "0A"),
            ("0.0.0.0", 80, "0A"),
            ("::", 80, "0A"),
            ("::1", 80, "0A"),
            ("127.0.0.2", 80, "0A"),
            ("127.0.0.1", 81, "0A"),
            ("127.0.0.1", 80, "01"),
            // The kernel lists no listeners after the first connection.
            ("127.0.0.1", 80, "0A"),
        ];
        for (from, by_4, by_6) in [
            (0, &[1, 2][..], &[5][..]),
            (1, &[1], &[4]),
            (2, &[1], &[3]),
            (3, &[1], &[2]),
            (4, &[], &[1]),
            (5, &[], &[]),
        ] {
            let table = table(&all[from..]);
            let received = |address| table.receivers(address, 80).into_iter().collect::<Vec<_>>();
            assert_eq!(received(LOOPBACK_4), by_4, "{from}");
            assert_eq!(received(LOOPBACK_6), by_6, "{from}");
        }
    }

    #[test]
    fn the_listeners_of_this_machine_are_read() {
        for (bound, address) in [
            ("127.0.0.1:0", LOOPBACK_4),
            ("0.0.0.0:0", LOOPBACK_4),
            ("[::1]:0", LOOPBACK_6),
            ("[::]:0", LOOPBACK_6),
        ] {
            let listener = TcpListener::bind(bound).unwrap();
            let port = listener.local_addr().unwrap().port();
            let link = format!("/proc/self/fd/{}", listener.as_raw_fd());
            let link = std::fs::read_link(link).unwrap();
            for table in [
                sock_diag::listeners(Some(port)).map(|listeners| ListenerTable { listeners }),
                Ok(ListenerTable::read(&[port, 9])),
                Ok(ListenerTable::read_proc(|listened| listened == port)),
            ] {
                let inodes = table.unwrap().receivers(address, port);
                let links = inodes.iter().map(|inode| format!("socket:[{inode}]"));
                assert_eq!(
                    links.collect::<Vec<_>>(),
                    [link.to_str().unwrap()],
                    "{bound}"
                );
            }
        }
    }
}
