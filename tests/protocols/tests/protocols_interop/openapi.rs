//! The `OpenAPI` document, checked by programs that read it.

use crate::support::{agent, run};

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_document_is_valid_and_the_service_keeps_to_it() {
    run("openapi.py", &agent());
}
