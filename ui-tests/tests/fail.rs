//! What the macros reject. Each `.stderr` is the specification of one message.

#[test]
fn mistakes_are_explained_where_they_are_made() {
    trybuild::TestCases::new().compile_fail("tests/fail/*/*.rs");
}
