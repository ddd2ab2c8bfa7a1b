//! A sandbox with internet access has its own network if the platform is started with
//! `PPIO_LOCAL_ISOLATE_NETWORK`.
//!
//! Each test runs again in namespaces with a known network: one interface, through which nothing
//! can be reached, a name server on a loopback address, and an address that stands for another
//! machine. The addresses are those for documentation (RFC 5737).

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::process::Command;
use std::thread;

use ppio_test_support::{Requirement, eventually_some, raw_request};
use serde_json::json;

use crate::network::{namespace_is_left, reached, serve};
use crate::setting::{Inside, Platform, Setting, Start};

/// The variable that is set in the namespaces.
const IS_INSIDE: &str = "PPIO_ESCAPE_IN_NAMESPACES";
const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHER_MACHINE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// The shell script that sets up the namespaces. It lets ordinary users open `/dev/net/tun`, as on
/// most machines, even if this machine does not.
const SET_UP: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs /dev/net
mknod /dev/net/tun c 10 200
chmod 666 /dev/net/tun
ip link set lo up
ip address add 198.51.100.1/32 dev lo
ip tuntap add outer0 mode tap
ip address add 192.0.2.2/24 dev outer0
ip link set outer0 up
ip route add default via 192.0.2.1
mount -t tmpfs -o mode=755 tmpfs /mnt
echo 'nameserver 127.0.0.53' > /mnt/resolv.conf
mount --bind /mnt/resolv.conf /etc/resolv.conf
exec "$@"
"#;

/// Whether the test runs in the namespaces. Outside of the namespaces, if the user is root, this
/// function first runs the test again in the namespaces, and panics if that run fails.
fn runs_inside() -> bool {
    if std::env::var_os(IS_INSIDE).is_some() {
        return true;
    }
    // Only root can set up a network.
    if !Requirement::root() {
        return false;
    }
    let test = thread::current();
    let passed = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", SET_UP, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test.name().unwrap(), "--nocapture"])
        .env(IS_INSIDE, "1")
        .status()
        .expect("these tests need unshare");
    assert!(passed.success(), "in the namespaces: {passed}");
    false
}

/// Returns a listener, whose connections the caller accepts, and its address.
fn listener(address: Ipv4Addr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn has_caller(listener: &TcpListener) -> bool {
    match listener.accept() {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// Servers that record whether a sandbox reaches them: one on this machine, which no sandbox may
/// reach, and one on the other machine.
struct Servers {
    hidden: TcpListener,
    on_loopback: Vec<SocketAddr>,
    other: TcpListener,
    other_address: SocketAddr,
}

impl Servers {
    fn start() -> Self {
        let (hidden, address) = listener(Ipv4Addr::UNSPECIFIED);
        let (other, other_address) = listener(OTHER_MACHINE);
        let port = address.port();
        let hosts = [
            Ipv4Addr::LOCALHOST,
            Ipv4Addr::UNSPECIFIED,
            GATEWAY,
            OWN_ADDRESS,
        ];
        Self {
            hidden,
            on_loopback: hosts.map(|host| (host, port).into()).into(),
            other,
            other_address,
        }
    }

    /// Checks that a sandbox reaches the other machine, but not the hidden server on this one.
    async fn check(&self, inside: &Inside, what: &str) {
        assert_eq!(reached(inside, &self.on_loopback).await, "", "{what}");
        assert!(!has_caller(&self.hidden), "{what}");
        let expected = format!("{}\n", self.other_address);
        let other = reached(inside, &[self.other_address]).await;
        assert_eq!(other, expected, "{what}");
        assert!(has_caller(&self.other), "{what}");
        while has_caller(&self.other) {}
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, pasta and /dev/net/tun; run by `cargo xtask test` if present"]
async fn a_sandbox_with_an_isolated_network_reaches_only_other_machines() {
    if !runs_inside() {
        return;
    }
    for setting in Setting::with_bubblewrap() {
        let servers = Servers::start();
        let name = format!("ppio-escape-{:016x}", fastrand::u64(..));
        let address = UnixAddress::from_abstract_name(&name).unwrap();
        let _socket = UnixListener::bind_addr(&address).unwrap();
        let platform = Platform::start(setting, Start::IsolatedNetwork).await;
        assert!(platform.running.isolates_network());
        let own = platform.running.url().trim_start_matches("http://");
        let own: SocketAddr = own.parse().unwrap();

        let (first, second) = (
            platform.sandbox("base").await,
            platform.sandbox("base").await,
        );
        for inside in [&first, &second] {
            servers.check(inside, &format!("{setting:?}")).await;
            assert_eq!(reached(inside, &[own]).await, "", "{setting:?}");
            let sockets = inside.shell("cat /proc/net/unix").await;
            assert!(!sockets.contains(&name), "{setting:?}: {sockets}");
            serve(inside).await;
        }

        // Both servers listen on the same port. Callers reach the server of the sandbox that they
        // name, and only through the platform.
        let status = async |inside: &Inside| {
            let host = format!("8080-{}.localhost", inside.sandbox.sandbox_id);
            raw_request(own, "GET", "/", &[("host", &host)], b"")
                .await
                .status
        };
        assert_eq!(first.shell("echo $PPIO_AGENT_PORT").await, "8080\n");
        for inside in [&first, &second] {
            assert_eq!(status(inside).await, 200, "{setting:?}");
        }
        for address in [Ipv4Addr::LOCALHOST, OWN_ADDRESS, OTHER_MACHINE] {
            let direct = TcpStream::connect((address, 8080));
            let error = direct.expect_err("a port of a sandbox is open on this machine");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{setting:?}");
        }
        first.shell("kill $(cat pid)").await;
        assert_eq!(status(&first).await, 502, "{setting:?}");
        assert_eq!(reached(&first, &[([127, 0, 0, 1], 8080).into()]).await, "");
        assert_eq!(status(&second).await, 200, "{setting:?}");

        let changed = second
            .shell(
                "for command in 'ip link set lo down' 'ip route del default' 'unshare --net \
             true' 'nsenter -t 1 -n true'; do $command 2>/dev/null && echo $command; done",
            )
            .await;
        assert_eq!(changed, "", "{setting:?}");
        let seen = second
            .shell("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
            .await;
        assert!(!seen.contains("pasta"), "{setting:?}: {seen}");
        for inside in [first, second] {
            inside.kill().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, pasta and /dev/net/tun; run by `cargo xtask test` if present"]
async fn builds_and_resumed_sandboxes_have_an_isolated_network() {
    if !runs_inside() {
        return;
    }
    for setting in Setting::with_bubblewrap() {
        let servers = Servers::start();
        let platform = Platform::start(setting, Start::IsolatedNetwork).await;
        // The template records what its build can reach.
        let attempts = servers.on_loopback.iter().chain([&servers.other_address]);
        let attempts: Vec<_> = attempts
            .map(|address| {
                let (ip, port) = (address.ip(), address.port());
                format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{ip}/{port}' && echo {address}")
            })
            .collect();
        let run = format!("({}) >/app/reached 2>/dev/null; true", attempts.join("; "));
        let steps = json!([{ "type": "RUN", "args": [run] }]);
        let template = platform.template("reaching", json!({}), steps).await;
        let inside = platform.sandbox(&template).await;
        let expected = format!("{}\n", servers.other_address);
        assert_eq!(
            inside.shell("cat /app/reached").await,
            expected,
            "{setting:?}"
        );
        assert!(!has_caller(&servers.hidden), "{setting:?}");

        let id = &inside.sandbox.sandbox_id;
        for memory in [true, false] {
            for (action, body, status) in [
                ("pause", json!({ "memory": memory }), 204),
                ("resume", json!({ "timeout": 300 }), 201),
            ] {
                let path = format!("/sandboxes/{id}/{action}");
                let answer = platform.request("POST", &path, body).await;
                assert_eq!(answer.status, status, "{setting:?}: {answer:?}");
            }
            let what = format!("{setting:?}, memory {memory}");
            servers.check(&inside, &what).await;
        }
        inside.kill().await;
    }
}

/// Answers queries for IPv4 addresses with the address of the other machine, and other queries
/// without an address.
fn answer_queries() {
    let socket = UdpSocket::bind((NAME_SERVER, 53)).unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, caller)) = socket.recv_from(&mut query) {
            // The header of an answer with one record, then the name and type of the question.
            let question = &query[12..length];
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_ipv4 = question[end - 3] == 1;
            let mut answer = query[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
            answer.extend(&question[..end]);
            if is_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                answer.extend(OTHER_MACHINE.octets());
            }
            socket.send_to(&answer, caller).unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, pasta and /dev/net/tun; run by `cargo xtask test` if present"]
async fn a_name_server_on_loopback_resolves_names() {
    if !runs_inside() {
        return;
    }
    answer_queries();
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::IsolatedNetwork).await;
        let inside = platform.sandbox("base").await;
        let found = inside.shell("getent ahostsv4 agent.example").await;
        let address = OTHER_MACHINE.to_string();
        assert!(found.starts_with(&address), "{setting:?}: {found}");
        inside.kill().await;
    }
}

/// Waits until `count` `pasta` processes run in the namespaces of this test.
async fn wait_for_pasta_processes(count: usize) {
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    eventually_some("the expected number of pasta processes", async || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let is_pasta = |process: &fs::DirEntry| {
            let path = process.path();
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            let status = fs::read_to_string(path.join("status")).unwrap_or_default();
            // `pasta` executes the variant of itself that is compiled for this processor.
            (name.starts_with("pasta") || name.starts_with("passt"))
                && !status.contains("State:\tZ")
                && fs::read_link(path.join("ns/net")).is_ok_and(|network| network == own)
        };
        (processes.filter(is_pasta).count() == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, pasta and /dev/net/tun; run by `cargo xtask test` if present"]
async fn an_isolated_network_ends_with_its_sandbox() {
    if !runs_inside() {
        return;
    }
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::IsolatedNetwork).await;
        let namespace = async || {
            let inside = platform.sandbox("base").await;
            let namespace = inside.shell("readlink /proc/self/ns/net").await;
            (inside, namespace.trim().to_owned())
        };
        let (inside, killed) = namespace().await;
        wait_for_pasta_processes(1).await;
        inside.kill().await;
        namespace_is_left(&killed).await;
        wait_for_pasta_processes(0).await;

        let (_inside, left) = namespace().await;
        wait_for_pasta_processes(1).await;
        platform.end();
        namespace_is_left(&left).await;
        wait_for_pasta_processes(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, pasta and /dev/net/tun; run by `cargo xtask test` if present"]
async fn a_platform_that_cannot_isolate_networks_does_not_start() {
    if !runs_inside() {
        return;
    }
    let check = |settings: Vec<Setting>, reason: &str| {
        for setting in settings {
            let error = Platform::start_error(setting, Start::IsolatedNetwork);
            let expected = format!("Network {{ reason: {reason:?}");
            let expected = expected.trim_end_matches('"');
            assert!(error.contains(expected), "{setting:?}: {error}");
        }
    };
    let groups = Setting::all().into_iter();
    let groups = groups.filter(|setting| !setting.bubblewrap).collect();
    check(groups, "the sandboxes are process groups");

    let own_rights = Permissions::from_mode(0o600);
    fs::set_permissions("/dev/net/tun", own_rights).unwrap();
    let users = Setting::with_bubblewrap().into_iter();
    let users = users.filter(|setting| !setting.as_root).collect();
    check(users, "failed to open /dev/net/tun: Permission denied");
    fs::remove_file("/dev/net/tun").unwrap();
    check(
        Setting::with_bubblewrap(),
        "failed to open /dev/net/tun: No such file",
    );
    let hidden = Command::new("mount")
        .args(["--bind", "/dev/null", "/usr/bin/pasta"])
        .status();
    assert!(hidden.unwrap().success());
    check(Setting::with_bubblewrap(), "pasta is not installed");
}
