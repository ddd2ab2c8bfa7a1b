//! What the attribute macros accept, and what they say when they do not. There are only tests here:
//! `tests/shapes` serves every shape that is accepted and checks its answer, `tests/fail` holds one
//! file for each mistake, with the message that it gets.
