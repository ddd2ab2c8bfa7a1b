//! A platform connects callers to the ports of the sandbox that they name, and to no other program.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use ppio_test_support::raw_request;

use crate::setting::{Platform, Setting, Start};

/// The number of `CAP_SYS_PTRACE`, with which root can inspect processes of other users.
const SYS_PTRACE: u32 = 19;

/// Returns the effective capabilities of a process.
fn capabilities(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap()
}

/// Root in a container often cannot inspect the processes of its sandboxes.
#[tokio::test(flavor = "multi_thread")]
async fn root_without_ptrace_reaches_only_ports_of_its_sandboxes() {
    let settings = Setting::all().into_iter();
    for setting in settings.filter(|setting| setting.as_root && !setting.bubblewrap) {
        let platform = Platform::start(setting, Start::WithoutPtrace).await;
        assert_eq!(
            capabilities(platform.running.pid()) & (1 << SYS_PTRACE),
            0,
            "the platform has CAP_SYS_PTRACE"
        );
        let inside = platform.sandbox("base").await;
        let server = fs::read(env!("CARGO_BIN_EXE_echoing-server")).unwrap();
        inside.envd.write_file("server", server).await.unwrap();
        let port = inside.shell("chmod +x server; echo $PPIO_AGENT_PORT").await;
        let port: u16 = port.trim().parse().unwrap();
        let address = platform.running.url().trim_start_matches("http://");
        let address: SocketAddr = address.parse().unwrap();
        let host = format!("8080-{}.localhost", inside.sandbox.sandbox_id);
        let ask = async || raw_request(address, "GET", "/", &[("host", &host)], b"").await;

        let foreign = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let refused = ask().await;
        assert_eq!(refused.status, 502, "{refused:?}");
        drop(foreign);

        inside.shell("./server >/dev/null 2>&1 &").await;
        assert_eq!(ask().await.status, 200);
        // Another program holds the same port of the other address family.
        let _foreign = TcpListener::bind(("::1", port)).unwrap();
        for _ in 0..3 {
            assert_eq!(ask().await.status, 200);
        }
        inside.kill().await;
    }
}
