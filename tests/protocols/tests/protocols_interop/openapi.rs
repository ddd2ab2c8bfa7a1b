//! The `OpenAPI` document, checked by programs that read it.

use crate::support::{agent, described_agent, run};

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_document_is_valid_and_the_service_keeps_to_it() {
    run("openapi.py", &agent());
    // The types of its request, answer and items have schemas, and it has errors of its own.
    run("openapi.py", &described_agent());
}
