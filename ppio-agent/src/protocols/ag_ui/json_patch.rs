//! Checks JSON Patch operations, since AG-UI clients end a run whose operations are not valid.

use serde_json::Value;

/// Returns the first operation that does not have the members that RFC 6902 requires.
pub(super) fn invalid_operation(patch: &[Value]) -> Option<&Value> {
    patch.iter().find(|operation| !is_operation(operation))
}

fn is_operation(operation: &Value) -> bool {
    let is_pointer = |name: &str| operation[name].as_str().is_some_and(is_json_pointer);
    let has_members = match operation["op"].as_str() {
        Some("add" | "replace" | "test") => operation.get("value").is_some(),
        Some("move" | "copy") => is_pointer("from"),
        Some("remove") => true,
        _ => false,
    };
    has_members && is_pointer("path")
}

/// Whether a text is a JSON Pointer (RFC 6901).
fn is_json_pointer(text: &str) -> bool {
    let mut escapes = text.split('~').skip(1);
    (text.is_empty() || text.starts_with('/')) && escapes.all(|after| after.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_are_those_of_the_rfc() {
        for valid in [
            json!({"op": "add", "path": "", "value": null}),
            json!({"op": "replace", "path": "/a~1b/0", "value": 1, "more": 2}),
            json!({"op": "remove", "path": "/a"}),
            json!({"op": "move", "from": "/a", "path": "/b~0"}),
            json!({"op": "test", "path": "/", "value": []}),
        ] {
            assert!(is_operation(&valid), "{valid}");
        }
        for invalid in [
            json!("add"),
            json!({"op": "add", "path": "/a"}),
            json!({"op": "add", "path": "a", "value": 1}),
            json!({"op": "add", "value": 1}),
            json!({"op": "remove", "path": "/a~"}),
            json!({"op": "remove", "path": "/a~2"}),
            json!({"op": "copy", "path": "/a"}),
            json!({"op": "set", "path": "/a", "value": 1}),
        ] {
            assert!(!is_operation(&invalid), "{invalid}");
        }
    }
}
