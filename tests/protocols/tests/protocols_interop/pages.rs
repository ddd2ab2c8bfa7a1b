//! Pages with published clients in a real browser that are reloaded in mid-answer and continue.

use ppio_test_support::{browser, node_modules};

use crate::support::{agent, run_with};

fn try_page(page: &str) {
    // These calls check the variables that the script reads.
    let _ = (browser(), node_modules());
    run_with("pages.mjs", &agent(), &[page]);
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_reloaded_page_with_use_chat_continues() {
    try_page("use_chat");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_reloaded_page_with_the_ag_ui_client_continues() {
    try_page("ag_ui");
}
