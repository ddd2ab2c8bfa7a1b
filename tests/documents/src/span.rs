//! Classifies the code spans in the second column of `docs/python.md`.

/// A span of code.
#[derive(Debug, PartialEq, Eq)]
pub enum Span {
    /// A Rust path, such as `SandboxSession::pause`.
    Name(String),
    /// An environment variable.
    Variable,
    /// A command line.
    Command,
}

/// Returns the kind of a span; `None` if a test cannot check it.
pub fn classify(span: &str) -> Option<Span> {
    if span.starts_with("ppio-sandbox-cli ") {
        return Some(Span::Command);
    }
    if span.starts_with("PPIO_") && !span.contains("::") {
        return Some(Span::Variable);
    }
    // `#[ppio::entrypoint(config = …)]` names the macro.
    let path = span.strip_prefix("#[").map_or(span, |attribute| {
        let end = attribute.find(['(', ']']).unwrap_or(attribute.len());
        &attribute[..end]
    });
    let is_identifier = |part: &str| {
        let starts_well = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts_well && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    // rustdoc distinguishes functions and macros from fields and modules by these suffixes.
    let parts = path.strip_suffix("()").or(path.strip_suffix('!'));
    let parts = parts.unwrap_or(path);
    let is_path = parts.split("::").all(is_identifier);
    is_path.then(|| Span::Name(path.to_owned()))
}
