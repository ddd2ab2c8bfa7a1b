//! The AI SDK's client.

use crate::support::{agent, run};

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_client_chats_with_the_agent() {
    run("ui_stream.mjs", &agent());
}
