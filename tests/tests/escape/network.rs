//! A sandbox without internet access has its own network.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};

use ppio_test_support::{eventually_some, raw_request};

use crate::setting::{Inside, Platform, Setting, Start};

/// Connects from a sandbox to each address, and returns the addresses that were reached.
pub(crate) async fn reached(inside: &Inside, addresses: &[SocketAddr]) -> String {
    let attempts = addresses.iter().map(|address| {
        let (ip, port) = (address.ip(), address.port());
        // Some addresses do not answer at all.
        format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{ip}/{port}' 2>/dev/null && echo {address}; ")
    });
    let script: String = attempts.collect();
    inside.shell(&format!("{script} true")).await
}

pub(crate) async fn serve(inside: &Inside) {
    let server = fs::read(env!("CARGO_BIN_EXE_echoing-server")).unwrap();
    inside.envd.write_file("server", server).await.unwrap();
    inside
        .shell("chmod +x server; ./server >/dev/null 2>&1 & echo $! >pid")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_without_internet_access_reaches_only_itself() {
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::Plain).await;
        let own = platform.running.url().trim_start_matches("http://");
        let own: SocketAddr = own.parse().unwrap();
        let victim = TcpListener::bind("0.0.0.0:0").unwrap();
        victim.set_nonblocking(true).unwrap();
        let port = victim.local_addr().unwrap().port();
        let name = format!("ppio-escape-{:016x}", fastrand::u64(..));
        let address = UnixAddress::from_abstract_name(&name).unwrap();
        let _socket = UnixListener::bind_addr(&address).unwrap();
        let addresses = [
            own,
            ([127, 0, 0, 1], port).into(),
            ([0, 0, 0, 0], port).into(),
        ];
        let sockets = "cat /proc/net/unix";

        // A sandbox with internet access can reach the servers, which a sandbox without internet
        // access must not reach.
        let open = platform.sandbox("base").await;
        let shared = reached(&open, &addresses).await;
        assert_eq!(shared.lines().count(), 3, "{setting:?}: {shared}");
        assert!(open.shell(sockets).await.contains(&name), "{setting:?}");
        while victim.accept().is_ok() {}

        let offline = platform.offline_sandbox("base").await;
        assert_eq!(reached(&offline, &addresses).await, "", "{setting:?}");
        let accepted = victim.accept();
        assert!(
            accepted.is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            "{setting:?}"
        );
        let seen = offline.shell(sockets).await;
        assert!(!seen.contains(&name), "{setting:?}: {seen}");
        let interfaces = offline.shell("ls /proc/sys/net/ipv4/conf").await;
        assert_eq!(interfaces, "all\ndefault\nlo\n", "{setting:?}");

        // Another sandbox without internet access cannot be reached either.
        let other = platform.offline_sandbox("base").await;
        serve(&other).await;
        let agent: SocketAddr = ([127, 0, 0, 1], 8080).into();
        eventually_some("a server that listens", async || {
            let reached = reached(&other, &[agent]).await;
            (!reached.is_empty()).then_some(())
        })
        .await;
        assert_eq!(reached(&offline, &[agent]).await, "", "{setting:?}");

        // The sandbox cannot change or leave its network either.
        let changed = offline
            .shell(
                "for command in 'ip link set lo down' 'unshare --net true' 'nsenter -t 1 -n \
             true'; do $command 2>/dev/null && echo $command; done",
            )
            .await;
        assert_eq!(changed, "", "{setting:?}");
        for inside in [open, offline, other] {
            inside.kill().await;
        }
    }
}

/// Waits until no process of this machine is left in this network namespace.
pub(crate) async fn namespace_is_left(namespace: &str) {
    eventually_some(
        "the end of every process of a network namespace",
        async || {
            let mut processes = fs::read_dir("/proc").unwrap().flatten();
            let is_inside = |process: fs::DirEntry| {
                fs::read_link(process.path().join("ns/net"))
                    .is_ok_and(|found| found.to_str() == Some(namespace))
            };
            (!processes.any(is_inside)).then_some(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_namespace_ends_with_its_sandbox() {
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::Plain).await;
        let namespace = async || {
            let inside = platform.offline_sandbox("base").await;
            let namespace = inside.shell("readlink /proc/self/ns/net").await;
            (inside, namespace.trim().to_owned())
        };
        let (inside, killed) = namespace().await;
        inside.kill().await;
        namespace_is_left(&killed).await;

        let (_inside, left) = namespace().await;
        platform.end();
        namespace_is_left(&left).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_reach_the_port_of_the_sandbox_that_they_name() {
    for setting in Setting::with_bubblewrap() {
        let start = if setting.as_root {
            Start::WithoutPtrace
        } else {
            Start::Plain
        };
        let platform = Platform::start(setting, start).await;
        let address = platform.running.url().trim_start_matches("http://");
        let address: SocketAddr = address.parse().unwrap();
        let status = async |inside: &Inside| {
            let host = format!("8080-{}.localhost", inside.sandbox.sandbox_id);
            let answer = raw_request(address, "GET", "/", &[("host", &host)], b"").await;
            answer.status
        };
        let (first, second) = (
            platform.offline_sandbox("base").await,
            platform.offline_sandbox("base").await,
        );
        for inside in [&first, &second] {
            assert_eq!(inside.shell("echo $PPIO_AGENT_PORT").await, "8080\n");
            serve(inside).await;
        }
        // Both servers listen on the same port.
        for inside in [&first, &second, &first] {
            assert_eq!(status(inside).await, 200, "{setting:?}");
        }
        first.shell("kill $(cat pid)").await;
        assert_eq!(status(&first).await, 502, "{setting:?}");
        assert_eq!(status(&second).await, 200, "{setting:?}");

        // The process that opens the connections does not belong to the sandbox.
        let seen = second
            .shell("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
            .await;
        assert!(seen.contains("./server"), "{setting:?}: {seen}");
        assert!(!seen.contains("/dev/tcp"), "{setting:?}: {seen}");
        for inside in [first, second] {
            inside.kill().await;
        }
    }
}
