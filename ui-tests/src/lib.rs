//! What the attribute macros accept, and what they say when they do not; the tests are all there is.
