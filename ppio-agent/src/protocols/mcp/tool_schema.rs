//! The schemas of the tool's arguments and of its structured content, both of them objects.

use ppio_agent_schema::ReplySchema;
use serde_json::{Map, Value, json};

/// The maximum depth of references, `anyOf`, `oneOf` and `allOf` to which a schema is examined.
const MAX_DEPTH: usize = 16;

/// The schema of the arguments.
pub(super) struct InputSchema {
    pub(super) schema: Value,
    /// The member of the arguments that holds the request, if no request can be an object.
    pub(super) member: Option<&'static str>,
}

impl InputSchema {
    /// Returns the schema of the arguments for a request with this schema.
    pub(super) fn of(request: &Value) -> Self {
        let mut input = request.clone();
        remove_header_names(&mut input);
        if accepts(request, request, "object", 0) {
            input["type"] = "object".into();
            return Self {
                schema: input,
                member: None,
            };
        }
        let definitions = input
            .as_object_mut()
            .and_then(|input| input.remove("$defs"));
        move_root(&mut input);
        let mut schema = json!({
            "type": "object",
            "properties": {"input": input},
            "required": ["input"],
        });
        if let Some(mut definitions) = definitions {
            move_root(&mut definitions);
            schema["$defs"] = definitions;
        }
        Self {
            schema,
            member: Some("input"),
        }
    }
}

/// Returns the schema of the structured content, if the schema of the reply has the type `object`.
pub(super) fn output_schema(reply: &ReplySchema) -> Option<Value> {
    let ReplySchema::Value(schema) = reply else {
        return None;
    };
    let schema = schema.as_value();
    (schema.get("type")? == "object").then(|| schema.clone())
}

/// Whether a schema may accept a value of the type `wanted`, which is `object`. `root` contains the
/// definitions.
fn accepts(schema: &Value, root: &Value, wanted: &str, depth: usize) -> bool {
    let Value::Object(keywords) = schema else {
        return schema != &Value::Bool(false);
    };
    if depth > MAX_DEPTH {
        return true;
    }
    let accepts = |schema: &Value| accepts(schema, root, wanted, depth + 1);
    let any = |keyword: &str| match keywords.get(keyword) {
        Some(Value::Array(branches)) => branches.iter().any(&accepts),
        _ => true,
    };
    let all = match keywords.get("allOf") {
        Some(Value::Array(branches)) => branches.iter().all(&accepts),
        _ => true,
    };
    let reference = keywords.get("$ref").and_then(Value::as_str);
    let referenced = reference.and_then(|reference| root.pointer(reference.strip_prefix('#')?));
    has_type(keywords, wanted)
        && any("anyOf")
        && any("oneOf")
        && all
        && referenced.is_none_or(accepts)
}

fn has_type(keywords: &Map<String, Value>, wanted: &str) -> bool {
    let of_values = |values: &[Value]| values.iter().any(Value::is_object);
    let by_value = match (keywords.get("const"), keywords.get("enum")) {
        (Some(value), _) => of_values(std::slice::from_ref(value)),
        (None, Some(Value::Array(values))) => of_values(values),
        _ => true,
    };
    by_value
        && match keywords.get("type") {
            Some(Value::String(found)) => found == wanted,
            Some(Value::Array(found)) => found.iter().any(|found| found == wanted),
            _ => true,
        }
}

/// Removes the names of headers in which clients would repeat arguments, since such headers are not
/// checked.
fn remove_header_names(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, value| name != "x-mcp-header" || !value.is_string());
            members.values_mut().for_each(remove_header_names);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_header_names),
        _ => {}
    }
}

/// Changes each reference `#` into a reference to the member that the root becomes.
fn move_root(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                if name == "$ref" && value == "#" {
                    *value = "#/properties/input".into();
                } else {
                    move_root(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(move_root),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_the_request_if_it_can_be_an_object() {
        for request in [
            json!({}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            json!({"type": ["object", "null"]}),
            json!({"oneOf": [{"type": "string"}, {"type": "object"}]}),
            json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}),
            json!({"allOf": [{"type": "object"}, {"properties": {}}]}),
        ] {
            let input = InputSchema::of(&request);
            assert_eq!(input.member, None, "{request}");
            assert_eq!(input.schema["type"], "object", "{request}");
        }
    }

    #[test]
    fn keywords_of_the_request_stay() {
        let schema = json!({
            "type": "object",
            "properties": {"region": {"type": "string"}, "x-mcp-header": {"type": "string"}},
            "$defs": {"A": {"$anchor": "a"}},
            "allOf": [{"anyOf": [{"required": ["region"]}]}],
            "if": {"required": ["region"]},
            "then": {},
            "else": {},
            "additionalProperties": false,
        });
        let mut annotated = schema.clone();
        annotated["properties"]["region"]["x-mcp-header"] = "Region".into();
        assert_eq!(InputSchema::of(&annotated).schema, schema);
    }

    #[test]
    fn another_request_is_a_member_of_the_arguments() {
        for request in [
            json!({"type": "string"}),
            json!({"type": "array", "items": {}}),
            json!({"enum": ["a", "b"]}),
            json!({"oneOf": [{"const": "a"}, {"type": "integer"}]}),
            json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}),
        ] {
            let input = InputSchema::of(&request);
            assert_eq!(input.member, Some("input"), "{request}");
            assert_eq!(input.schema["type"], "object", "{request}");
        }
        let tree = json!({
            "type": "array",
            "items": {"$ref": "#/$defs/Node"},
            "$defs": {"Node": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}},
        });
        let moved = InputSchema::of(&tree).schema;
        let input = &moved["properties"]["input"];
        assert_eq!(input["items"]["$ref"], "#/$defs/Node");
        let root = &moved["$defs"]["Node"]["anyOf"][0]["$ref"];
        assert_eq!(root, "#/properties/input");
    }
}
