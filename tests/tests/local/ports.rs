//! Servers in a sandbox, by the address on which they listen.

use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually_some, free_port};
use serde_json::json;

use crate::isolation_mode::IsolationMode;
use crate::raw_calls::{create, id, kill, shell};
use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_address_family_are_reached() {
    for mode in IsolationMode::all()
        .into_iter()
        .filter(|mode| !mode.cgroups)
    {
        let platform = TestPlatform::start(mode).await;
        let spec = TemplateSpec::new("echoing")
            .binary(env!("CARGO_BIN_EXE_echoing-server"))
            .start_command("true");
        let template = platform.platform.build_template(spec).await.unwrap();
        let sandbox = create(&platform, &template.id, json!({})).await;
        for address in ["::1", "127.0.0.1", "::", "0.0.0.0"] {
            let port = free_port();
            let line = format!(
                "cd /app; PPIO_AGENT_HOST={address} PPIO_AGENT_PORT={port} ./echoing-server \
                 >/dev/null 2>&1 & echo"
            );
            shell(&platform, &sandbox, &line).await;
            let dialled = match address {
                "::" => "::1",
                "0.0.0.0" => "127.0.0.1",
                loopback => loopback,
            };
            eventually_some("the server to listen", async || {
                std::net::TcpStream::connect((dialled, port)).ok()
            })
            .await;
            let host = format!("{port}-{}.localhost", id(&sandbox));
            let answer = platform.request("GET", "/", &[("host", &host)], b"").await;
            assert_eq!(answer.status, 200, "{mode:?} {address}: {answer:?}");
        }
        kill(&platform, &sandbox).await;
        platform.stop().await;
    }
}
