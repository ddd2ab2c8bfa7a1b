//! `agent invoke`: what is asked, how the answer is printed, and how it ends.

mod support;

use serde_json::json;
use support::{Sandbox, agent};

#[test]
fn a_value_is_printed_and_its_session_is_closed() {
    let sandbox = Sandbox::with([agent("hello", &integration_tests::example_binary("hello"))]);
    let template = sandbox.template("hello");

    let done = sandbox
        .run([
            "agent",
            "invoke",
            "--template-id",
            &template,
            "--input",
            "Ada",
        ])
        .code(0);
    let answer: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(answer, json!({ "message": "Hello, Ada!" }));
    assert!(
        done.stderr
            .contains("using the local platform at http://127.0.0.1:"),
        "{done:?}"
    );
    assert!(done.stderr.contains("answered in "), "{done:?}");
    assert!(sandbox.sandboxes().is_empty());
}
