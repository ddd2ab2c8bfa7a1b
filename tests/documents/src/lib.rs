//! What the documents in `docs/` name, for the tests that compare it with the code.

// Names in the documents are links of this crate's documentation, so that one that does not exist
// fails `cargo doc`, which `cargo xtask test` runs.
#![deny(rustdoc::broken_intra_doc_links)]

pub mod span;
pub mod table;

pub mod names {
    //! The names in the second columns of `docs/python.md` and `docs/configuration.md`.
    #![doc = include_str!(concat!(env!("OUT_DIR"), "/names.md"))]
    #![allow(
        unused_imports,
        clippy::wildcard_imports,
        reason = "the links use them"
    )]

    use ppio::testing::TestAgent;
    use ppio::*;
    use ppio_agent_client::*;
}
