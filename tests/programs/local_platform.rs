//! Runs a local platform in the home that its first argument names, until it is killed. With a
//! second argument sandboxes are process groups without cgroups.

use ppio_sandbox_local::{IsolationKind, LocalPlatform};

#[tokio::main]
async fn main() {
    let home = std::env::args().nth(1).expect("the home is the argument");
    let mut builder = LocalPlatform::builder().home(home);
    if std::env::args().nth(2).is_some() {
        builder = builder
            .isolation(IsolationKind::ProcessGroup)
            .cgroups(false);
    }
    let platform = builder.start().await.expect("the platform starts");
    println!("{}", platform.address());
    std::future::pending::<()>().await;
}
