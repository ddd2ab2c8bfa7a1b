//! Runs a local platform in the home that its first argument names, until it is killed. The second
//! argument selects the isolation of its sandboxes: `bubblewrap`, or `process-groups` without
//! cgroups. With a second argument no sandbox is prepared ahead, so that whatever a sandbox leaves
//! behind can be seen. The variables of the platform apply.

use ppio_sandbox_local::{IsolationKind, LocalPlatform};

#[tokio::main]
async fn main() {
    let home = std::env::args().nth(1).expect("the home directory");
    let builder = LocalPlatform::builder().home(home);
    let builder = match std::env::args().nth(2).as_deref() {
        None => builder,
        Some("bubblewrap") => builder
            .isolation(IsolationKind::Bubblewrap)
            .prepare_ahead(false),
        Some("process-groups") => builder
            .isolation(IsolationKind::ProcessGroup)
            .cgroups(false)
            .prepare_ahead(false),
        Some(other) => panic!("unknown isolation {other}"),
    };
    let platform = builder.start().await.expect("the platform starts");
    println!("{}", platform.address());
    std::future::pending::<()>().await;
}
