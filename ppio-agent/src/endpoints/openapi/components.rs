//! The schemas of an `OpenAPI` document.
//!
//! References in a [`Schema`] resolve against the root of that schema, references in a document
//! against the root of the document. Therefore the definitions of each schema become components,
//! and its references are changed to point to these components.

use std::collections::HashMap;

use ppio_agent_schema::Schema;
use serde_json::{Map, Value};

const SCHEMAS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";
/// Keywords whose values map names to schemas.
const NAMED_SCHEMAS: [&str; 5] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
];
/// Keywords whose values are data, in which `$ref` is an ordinary name.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// The schemas under `components`, by name.
#[derive(Default)]
pub(super) struct Components(Map<String, Value>);

impl Components {
    /// Adds a schema of the document itself.
    pub(super) fn insert(&mut self, name: &str, schema: Value) {
        self.0.insert(name.to_owned(), schema);
    }

    /// Adds a schema with its definitions.
    pub(super) fn add(&mut self, name: &str, schema: &Schema) {
        let mut schema = schema.as_value().clone();
        let definitions = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("$defs"));
        let Some(Value::Object(definitions)) = definitions else {
            References::new(name).follow(&mut schema);
            self.insert(name, schema);
            return;
        };
        // Reserves the name before the names of the definitions are chosen.
        self.insert(name, Value::Null);
        let mut references = References::new(name);
        for key in definitions.keys() {
            let component = self.unused(name, key);
            self.insert(&component, Value::Null);
            references.components.insert(key.clone(), component);
        }
        for (key, mut definition) in definitions {
            references.follow(&mut definition);
            if let Some(component) = references.components.get(&key) {
                self.insert(component, definition);
            }
        }
        references.follow(&mut schema);
        self.insert(name, schema);
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Returns an unused name for a definition of the schema `owner`. `OpenAPI` allows few
    /// characters in names.
    fn unused(&self, owner: &str, definition: &str) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let plain = definition.replace(|c| !allowed(c), "_");
        let mut name = plain.clone();
        let mut number = 1;
        while name.is_empty() || self.0.contains_key(&name) {
            name = match number {
                1 => format!("{owner}.{plain}"),
                number => format!("{owner}.{plain}{number}"),
            };
            number += 1;
        }
        name
    }
}

/// The targets of one schema's references in the document.
struct References<'a> {
    /// The component that the schema becomes.
    root: &'a str,
    /// The components that the schema's definitions become, by the keys of the definitions.
    components: HashMap<String, String>,
}

impl<'a> References<'a> {
    fn new(root: &'a str) -> Self {
        Self {
            root,
            components: HashMap::new(),
        }
    }

    /// Changes all references in a schema to point to the components.
    fn follow(&self, schema: &mut Value) {
        match schema {
            Value::Array(schemas) => schemas.iter_mut().for_each(|schema| self.follow(schema)),
            Value::Object(keywords) => {
                for (keyword, value) in keywords {
                    match value {
                        Value::String(target) if keyword == "$ref" => *target = self.target(target),
                        Value::Object(named) if NAMED_SCHEMAS.contains(&keyword.as_str()) => {
                            named.values_mut().for_each(|schema| self.follow(schema));
                        }
                        _ if DATA.contains(&keyword.as_str()) => {}
                        value => self.follow(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn target(&self, target: &str) -> String {
        let Some(pointer) = target.strip_prefix('#') else {
            return target.to_owned();
        };
        let Some(rest) = target.strip_prefix(DEFINITIONS) else {
            return format!("{SCHEMAS}{}{pointer}", self.root);
        };
        let (key, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        // RFC 6901 requires that `~1` is decoded before `~0`.
        let key = key.replace("~1", "/").replace("~0", "~");
        match self.components.get(&key) {
            Some(component) => format!("{SCHEMAS}{component}{below}"),
            None => target.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    /// A type whose schema refers to its own root, so that the schema of a type that contains
    /// `Node` has `Node` as a definition.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Node {
        children: Vec<Node>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Tree {
        root: Node,
        #[schemars(rename = "$ref")]
        reference: String,
    }

    fn schema<T: JsonSchema>() -> Schema {
        use ppio_agent_schema::__private::{FindReplySchema as _, SchemaOf};
        (&&SchemaOf::<T>::new()).reply_schema()
    }

    #[test]
    fn definitions_become_components() {
        let mut components = Components::default();
        components.add("Request", &schema::<Tree>());
        components.add("Reply", &schema::<Node>());
        let schemas = components.into_value();
        let node = json!({"$ref": "#/components/schemas/Node"});
        let root = &schemas["Request"]["properties"]["root"];
        assert_eq!(root["properties"]["children"]["items"], node);
        assert_eq!(schemas["Node"]["properties"]["children"]["items"], node);
        assert_eq!(schemas["Request"]["properties"]["$ref"]["type"], "string");
        assert_eq!(schemas["Request"].get("$defs"), None);
        assert_eq!(
            schemas["Reply"]["properties"]["children"]["items"]["$ref"],
            "#/components/schemas/Reply"
        );
    }

    #[test]
    fn definitions_with_a_name_in_use_get_another() {
        let mut components = Components::default();
        components.insert("Node", json!({"type": "null"}));
        components.add("Request", &schema::<Tree>());
        components.add("Reply", &schema::<Tree>());
        let schemas = components.into_value();
        assert_eq!(schemas["Node"], json!({"type": "null"}));
        for owner in ["Request", "Reply"] {
            let node = format!("#/components/schemas/{owner}.Node");
            let root = &schemas[owner]["properties"]["root"];
            assert_eq!(root["properties"]["children"]["items"]["$ref"], node);
            let own = &schemas[format!("{owner}.Node")];
            assert_eq!(own["properties"]["children"]["items"]["$ref"], node);
        }
    }
}
