//! The kernel's list of listening sockets, over its `sock_diag` socket (`sock_diag(7)`).
//!
//! `/proc/net/tcp` lists the same sockets, but to read past the last listener, the kernel walks the
//! table of connections, which takes milliseconds on a machine with much memory.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// A socket that listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListeningSocket {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// The user who opened the socket, as this machine's user namespace numbers users.
    pub(crate) user: u32,
    pub(crate) inode: u64,
}

/// Type of the request and of each answer.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_DONE: u16 = 3;
/// The flags of a request: `NLM_F_REQUEST` and `NLM_F_DUMP`.
const REQUEST_ALL: u16 = 0x301;
const IPPROTO_TCP: u8 = 6;
/// The bit of state "listen".
const LISTENING: u32 = 1 << 10;
/// The length of a message's header, in bytes.
const HEADER: usize = 16;
/// The length of a request with its header, in bytes.
const REQUEST: usize = 72;
/// The length of an answer with its header, in bytes.
const ANSWER: usize = HEADER + 72;
const BUFFER: usize = 32 * 1024;

/// Returns the sockets that listen on `port`, or on any port.
pub(crate) fn listeners(port: Option<u16>) -> io::Result<Vec<ListeningSocket>> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let mut listeners = Vec::new();
    let mut buffer = vec![0; BUFFER];
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let request = request(family, port)?;
        rustix::net::send(&socket, &request, SendFlags::empty())?;
        loop {
            // The kernel answers before `send` returns, and continues when an answer is read.
            let (_, count) = rustix::net::recv(&socket, &mut *buffer, RecvFlags::DONTWAIT)?;
            let messages = buffer.get(..count).ok_or(io::ErrorKind::InvalidData)?;
            if read(messages, &mut listeners)? {
                break;
            }
        }
    }
    Ok(listeners)
}

fn request(family: AddressFamily, port: Option<u16>) -> io::Result<[u8; REQUEST]> {
    let family = u8::try_from(family.as_raw()).map_err(io::Error::other)?;
    let mut request = [0; REQUEST];
    request[..4].copy_from_slice(&72_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST_ALL.to_ne_bytes());
    request[HEADER] = family;
    request[HEADER + 1] = IPPROTO_TCP;
    request[HEADER + 4..HEADER + 8].copy_from_slice(&LISTENING.to_ne_bytes());
    request[HEADER + 8..HEADER + 10].copy_from_slice(&port.unwrap_or_default().to_be_bytes());
    Ok(request)
}

/// Reads the messages of one datagram. Returns whether they are the last ones.
fn read(mut messages: &[u8], listeners: &mut Vec<ListeningSocket>) -> io::Result<bool> {
    while messages.len() >= HEADER {
        let length = u32::from_ne_bytes([messages[0], messages[1], messages[2], messages[3]]);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let kind = u16::from_ne_bytes([messages[4], messages[5]]);
        let message = messages
            .get(..length)
            .filter(|message| message.len() >= HEADER)
            .ok_or(io::ErrorKind::InvalidData)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            SOCK_DIAG_BY_FAMILY if length >= ANSWER => listeners.push(listener(message)),
            // An error: this kernel does not answer such requests.
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }
        messages = messages
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(false)
}

/// Reads an answer of full length.
fn listener(message: &[u8]) -> ListeningSocket {
    let body = &message[HEADER..];
    let mut address = [0; 16];
    address.copy_from_slice(&body[8..24]);
    let is_v4 = u16::from(body[0]) == AddressFamily::INET.as_raw();
    ListeningSocket {
        address: if is_v4 {
            IpAddr::V4(Ipv4Addr::new(
                address[0], address[1], address[2], address[3],
            ))
        } else {
            Ipv6Addr::from(address).to_canonical()
        },
        port: u16::from_be_bytes([body[4], body[5]]),
        user: u32::from_ne_bytes([body[64], body[65], body[66], body[67]]),
        inode: u32::from_ne_bytes([body[68], body[69], body[70], body[71]]).into(),
    }
}
