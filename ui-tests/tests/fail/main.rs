//! The rejected mistakes. Each `.stderr` file is the expected message of the file beside it.

#[test]
fn mistakes_are_reported_at_their_tokens() {
    trybuild::TestCases::new().compile_fail("tests/fail/*/*.rs");
}
