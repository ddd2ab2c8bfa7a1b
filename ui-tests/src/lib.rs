//! Tests of the attribute macros: `tests/pass` serves every accepted signature and checks its
//! response; `tests/fail` has one file for each mistake, with the expected message.
