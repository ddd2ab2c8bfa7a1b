//! What an entrypoint takes, as a JSON Schema: what the playground makes its form from.
//!
//! Nothing is derived and nothing registered for it. The request type is asked to deserialize itself
//! from a deserializer that only takes notes (see `trace`), and only when somebody wants to know.

mod trace;

use std::any::TypeId;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ppio_agent_protocol::InvocationRequest;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// What is known of one value of a request. Serializes as a JSON Schema, and as `{}` (anything) where
/// nothing is known.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    kind: Kind,
    /// How many of the values that we could make up it has refused.
    attempt: u8,
    /// It refused them all, so it is left out from now on.
    refused: bool,
}

#[derive(Debug, Default)]
enum Kind {
    /// Any JSON, or a shape that only the author's code knows.
    #[default]
    Any,
    Null,
    Boolean,
    /// A whole number, with its bounds where a JSON reader can count that far.
    Integer(Option<(i64, u64)>),
    Number,
    Text,
    Char,
    Array(Box<Schema>),
    Tuple(Vec<Schema>),
    Object(Object),
    Enum {
        name: &'static str,
        variants: Vec<Variant>,
    },
}

#[derive(Debug)]
struct Object {
    name: Option<&'static str>,
    fields: Vec<Field>,
    /// What other keys lead to: in a map, and in a struct with a flattened field.
    others: Option<Box<Schema>>,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    schema: Schema,
    required: bool,
    /// Whether it was left out once to see what happens.
    probed: bool,
}

#[derive(Debug)]
struct Variant {
    name: &'static str,
    /// Whether it is a name and nothing else; `None` until it was tried.
    is_unit: Option<bool>,
}

impl Schema {
    /// The schema of a request type. A type whose `Deserialize` panics over made-up values is
    /// anything.
    pub(crate) fn of<T: DeserializeOwned + 'static>() -> Self {
        // All its fields are optional and one is flattened: deserializing it tells nothing.
        if TypeId::of::<T>() == TypeId::of::<InvocationRequest>() {
            return Self::invocation_request();
        }
        // The half-made schema is dropped after a panic.
        catch_unwind(AssertUnwindSafe(trace::run::<T>)).unwrap_or_default()
    }

    fn invocation_request() -> Self {
        let any = || Box::new(Self::default());
        let map = || Kind::Object(Object::map(any()));
        let fields = [
            ("prompt", Kind::Text),
            ("data", map()),
            ("sandbox_id", Kind::Text),
            ("timeout", Kind::Integer(Some((0, u64::MAX)))),
            ("stream", Kind::Boolean),
            ("max_tokens", Kind::Integer(Some((0, u64::MAX)))),
            ("temperature", Kind::Number),
            ("metadata", map()),
            ("user_id", Kind::Text),
            ("request_id", Kind::Text),
            ("stream_options", map()),
        ];
        Self::from(Kind::Object(Object {
            name: Some("InvocationRequest"),
            fields: fields
                .into_iter()
                .map(|(name, kind)| Field {
                    schema: kind.into(),
                    ..Field::new(name)
                })
                .collect(),
            others: Some(any()),
        }))
    }
}

impl From<Kind> for Schema {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }
}

impl Object {
    fn map(values: Box<Schema>) -> Self {
        Self {
            name: None,
            fields: Vec::new(),
            others: Some(values),
        }
    }
}

impl Field {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            schema: Schema::default(),
            required: false,
            probed: false,
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.kind {
            Kind::Any => {}
            Kind::Null => map.serialize_entry("type", "null")?,
            Kind::Boolean => map.serialize_entry("type", "boolean")?,
            Kind::Number => map.serialize_entry("type", "number")?,
            Kind::Integer(bounds) => {
                map.serialize_entry("type", "integer")?;
                if let Some((minimum, maximum)) = bounds {
                    map.serialize_entry("minimum", minimum)?;
                    map.serialize_entry("maximum", maximum)?;
                }
            }
            Kind::Text => {
                map.serialize_entry("type", "string")?;
                if let Some(format) = trace::format(self.attempt) {
                    map.serialize_entry("format", format)?;
                }
            }
            Kind::Char => {
                map.serialize_entry("type", "string")?;
                map.serialize_entry("minLength", &1)?;
                map.serialize_entry("maxLength", &1)?;
            }
            Kind::Array(items) => {
                map.serialize_entry("type", "array")?;
                map.serialize_entry("items", items)?;
            }
            Kind::Tuple(items) => {
                map.serialize_entry("type", "array")?;
                map.serialize_entry("prefixItems", items)?;
                map.serialize_entry("minItems", &items.len())?;
                map.serialize_entry("maxItems", &items.len())?;
            }
            Kind::Object(object) => object.entries(&mut map)?,
            Kind::Enum { name, variants } => {
                map.serialize_entry("title", name)?;
                // One that carries data is not said in a list of names.
                if variants.iter().all(|variant| variant.is_unit == Some(true)) {
                    let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
                    map.serialize_entry("enum", &names)?;
                }
            }
        }
        map.end()
    }
}

impl Object {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(name) = self.name {
            map.serialize_entry("title", name)?;
        }
        map.serialize_entry("type", "object")?;
        if self.name.is_some() || !self.fields.is_empty() {
            map.serialize_entry("properties", &Properties(&self.fields))?;
            let required: Vec<_> = self
                .fields
                .iter()
                .filter(|field| field.required)
                .map(|field| field.name)
                .collect();
            map.serialize_entry("required", &required)?;
        }
        if let Some(others) = &self.others {
            map.serialize_entry("additionalProperties", others)?;
        }
        Ok(())
    }
}

/// The fields in the order of their declaration, which a `serde_json::Map` would not keep.
struct Properties<'a>(&'a [Field]);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|field| (field.name, &field.schema)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(dead_code, reason = "only the types of the fields matter")]

    use std::collections::{BTreeMap, HashMap};
    use std::net::IpAddr;
    use std::num::NonZeroU32;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    fn schema<T: DeserializeOwned + 'static>() -> Value {
        serde_json::to_value(Schema::of::<T>()).unwrap()
    }

    #[derive(Deserialize)]
    struct Question {
        prompt: String,
        language: Option<String>,
        #[serde(default)]
        style: Style,
        max_tokens: u16,
        temperature: f64,
        #[serde(rename = "loud", alias = "shouting")]
        is_loud: bool,
        tags: Vec<String>,
        page: Page,
        scores: BTreeMap<String, u8>,
        extra: Value,
    }

    #[derive(Deserialize, Default)]
    #[serde(rename_all = "lowercase")]
    enum Style {
        #[default]
        Plain,
        Fancy,
    }

    #[derive(Deserialize)]
    struct Page {
        number: i64,
        #[serde(default)]
        size: NonZeroOr,
    }

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct NonZeroOr(NonZeroU32);

    impl Default for NonZeroOr {
        fn default() -> Self {
            Self(NonZeroU32::MIN)
        }
    }

    #[test]
    fn a_struct_is_described_field_by_field() {
        assert_eq!(
            schema::<Question>(),
            json!({
                "title": "Question",
                "type": "object",
                "properties": {
                    "prompt": {"type": "string"},
                    "language": {"type": "string"},
                    "style": {"title": "Style", "enum": ["plain", "fancy"]},
                    "max_tokens": {"type": "integer", "minimum": 0, "maximum": 65535},
                    "temperature": {"type": "number"},
                    "loud": {"type": "boolean"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "page": {
                        "title": "Page",
                        "type": "object",
                        "properties": {
                            "number": {"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX},
                            "size": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
                        },
                        "required": ["number"],
                    },
                    "scores": {
                        "type": "object",
                        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 255},
                    },
                    "extra": {},
                },
                "required": [
                    "prompt", "max_tokens", "temperature", "loud", "tags", "page", "scores", "extra"
                ],
            })
        );
    }

    #[test]
    fn fields_keep_their_order() {
        let text = serde_json::to_string(&Schema::of::<Question>()).unwrap();
        let at = |name: &str| text.find(&format!("\"{name}\":")).unwrap();
        assert!(at("prompt") < at("language") && at("temperature") < at("loud"));
        assert!(at("tags") < at("scores"));
    }

    #[test]
    fn what_is_no_struct_is_described_as_well() {
        assert_eq!(schema::<Value>(), json!({}));
        assert_eq!(schema::<String>(), json!({"type": "string"}));
        assert_eq!(schema::<Option<bool>>(), json!({"type": "boolean"}));
        assert_eq!(schema::<()>(), json!({"type": "null"}));
        assert_eq!(schema::<u128>(), json!({"type": "integer"}));
        assert_eq!(
            schema::<char>(),
            json!({"type": "string", "minLength": 1, "maxLength": 1})
        );
        assert_eq!(
            schema::<(bool, f32)>(),
            json!({
                "type": "array",
                "prefixItems": [{"type": "boolean"}, {"type": "number"}],
                "minItems": 2,
                "maxItems": 2,
            })
        );
        assert_eq!(
            schema::<HashMap<u32, Vec<()>>>(),
            json!({"type": "object", "additionalProperties": {}}),
            "a key that is a number is not one that we make up"
        );
    }

    /// Accepts what `Uuid`, `Url` and their kin accept: texts of one form.
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Url;

    impl TryFrom<String> for Url {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, Self::Error> {
            text.starts_with("http").then_some(Self).ok_or("no URL")
        }
    }

    /// Refuses everything that we could make up.
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Secret;

    impl TryFrom<String> for Secret {
        type Error = &'static str;

        fn try_from(_: String) -> Result<Self, Self::Error> {
            Err("wrong")
        }
    }

    #[test]
    fn a_text_of_a_form_is_found_and_a_refusal_hides_nothing_else() {
        #[derive(Deserialize)]
        struct Login {
            secret: Secret,
            spare: Option<Secret>,
            site: Url,
            address: IpAddr,
            retries: u8,
        }
        let login = schema::<Login>();
        let properties = &login["properties"];
        assert_eq!(properties["secret"], json!({"type": "string"}));
        assert_eq!(properties["spare"], json!({"type": "string"}));
        assert_eq!(properties["site"]["format"], "uri");
        assert_eq!(properties["address"]["format"], "ipv4");
        assert_eq!(properties["retries"]["maximum"], 255);
        assert_eq!(login["required"][0], "secret");
    }

    #[test]
    fn enums_with_data_and_untagged_ones_are_anything() {
        #[derive(Deserialize)]
        enum Shape {
            Dot,
            Circle(f64),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u8),
            Text(String),
        }
        #[derive(Deserialize)]
        #[serde(tag = "kind")]
        enum Tagged {
            A { x: u8 },
        }
        #[derive(Deserialize)]
        struct Drawing {
            shape: Shape,
            either: Either,
            tagged: Tagged,
            after: bool,
        }
        let properties = &schema::<Drawing>()["properties"];
        assert_eq!(properties["shape"], json!({"title": "Shape"}));
        assert_eq!(properties["either"], json!({}));
        assert_eq!(properties["tagged"], json!({}));
        assert_eq!(properties["after"], json!({"type": "boolean"}));
    }

    #[test]
    fn a_flattened_struct_shows_what_it_cannot_do_without() {
        #[derive(Deserialize)]
        struct Chat {
            prompt: String,
            count: u8,
            user: Option<String>,
            #[serde(flatten)]
            extra: HashMap<String, Value>,
        }
        let chat = schema::<Chat>();
        assert_eq!(chat["properties"]["prompt"], json!({"type": "string"}));
        assert_eq!(chat["properties"]["count"]["maximum"], 255);
        assert_eq!(chat["required"], json!(["prompt", "count"]));
        assert_eq!(chat["additionalProperties"], json!({}));
    }

    #[derive(Deserialize)]
    struct Tree {
        value: u8,
        left: Option<Box<Tree>>,
        children: Vec<Tree>,
    }

    #[derive(Deserialize)]
    #[serde(try_from = "u8")]
    struct Grenade;

    impl TryFrom<u8> for Grenade {
        type Error = String;

        fn try_from(_: u8) -> Result<Self, String> {
            panic!("the author's fault")
        }
    }

    #[test]
    fn recursion_and_panics_end() {
        let tree = schema::<Tree>();
        assert_eq!(tree["properties"]["left"], json!({}));
        assert_eq!(
            tree["properties"]["children"],
            json!({"type": "array", "items": {}})
        );
        assert_eq!(schema::<Grenade>(), json!({}));
    }

    #[test]
    fn the_invocation_request_is_described_as_it_is() {
        let described = schema::<InvocationRequest>();
        let properties = described["properties"].as_object().unwrap();
        let filled: Value = properties
            .iter()
            .map(|(name, schema)| {
                let value = match schema["type"].as_str().unwrap() {
                    "string" => json!("x"),
                    "integer" => json!(1),
                    "number" => json!(0.5),
                    "boolean" => json!(true),
                    _ => json!({"a": 1}),
                };
                (name.clone(), value)
            })
            .collect();
        let request: InvocationRequest = serde_json::from_value(filled.clone()).unwrap();
        assert!(
            request.extra.is_empty(),
            "{:?} have no field",
            request.extra
        );
        assert_eq!(serde_json::to_value(&request).unwrap(), filled);
        assert_eq!(described["required"], json!([]));
    }
}
