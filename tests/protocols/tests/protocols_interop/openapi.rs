//! Checks the `OpenAPI` document with programs that read it.

use crate::support::{agent, described_agent, run};

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_document_is_valid_and_the_service_conforms_to_it() {
    run("openapi.py", &agent());
    // This agent's request, answer and items have schemas, and it has custom errors.
    run("openapi.py", &described_agent());
}
