//! The names in the documents in `docs/`, for the tests that compare the documents with the code.

// The names in the documents are links in the documentation of this crate, so that `cargo doc`,
// which `cargo xtask test` runs, fails if a name does not exist.
#![deny(rustdoc::broken_intra_doc_links)]

pub mod span;
pub mod table;

pub mod names {
    //! The names in the second columns of `docs/python.md` and `docs/configuration.md`.
    #![doc = include_str!(concat!(env!("OUT_DIR"), "/names.md"))]
    #![allow(
        unused_imports,
        clippy::wildcard_imports,
        reason = "the links use these imports"
    )]

    use ppio::testing::TestAgent;
    use ppio::*;
    use ppio_agent_client::*;
}
