//! Schemas read from `Deserialize`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroI8, NonZeroU32};

use ppio_agent_schema::Schema;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

fn traced<T: DeserializeOwned>() -> Value {
    Schema::traced::<T>().into_value()
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
    size: Size,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Size(NonZeroU32);

impl Default for Size {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

#[test]
fn a_struct_is_described_field_by_field() {
    assert_eq!(
        traced::<Question>(),
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
                        "size": {"type": "integer", "minimum": 1, "maximum": u32::MAX},
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
fn types_of_the_standard_library() {
    #[derive(Deserialize)]
    struct Unit;
    #[derive(Deserialize)]
    struct Wrapper(u8);
    #[derive(Deserialize)]
    struct Pair(bool, f32);

    let pair = json!({
        "type": "array",
        "prefixItems": [{"type": "boolean"}, {"type": "number"}],
        "minItems": 2,
        "maxItems": 2,
    });
    for (schema, expected) in [
        (traced::<Value>(), json!({})),
        (traced::<String>(), json!({"type": "string"})),
        (traced::<Option<bool>>(), json!({"type": "boolean"})),
        (traced::<Option<Option<bool>>>(), json!({"type": "boolean"})),
        (traced::<Box<bool>>(), json!({"type": "boolean"})),
        (traced::<()>(), json!({"type": "null"})),
        (traced::<Unit>(), json!({"type": "null"})),
        (traced::<f32>(), json!({"type": "number"})),
        (
            traced::<char>(),
            json!({"type": "string", "minLength": 1, "maxLength": 1}),
        ),
        (
            traced::<Wrapper>(),
            json!({"type": "integer", "minimum": 0, "maximum": 255}),
        ),
        (traced::<(bool, f32)>(), pair.clone()),
        (traced::<Pair>(), pair),
        (
            traced::<Vec<Vec<bool>>>(),
            json!({"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}),
        ),
        (
            traced::<HashMap<u32, Vec<()>>>(),
            // The sample keys are not numbers.
            json!({"type": "object", "additionalProperties": {}}),
        ),
    ] {
        assert_eq!(schema, expected);
    }
}

#[test]
fn integers_have_their_bounds() {
    let bounds = |schema: Value| (schema["minimum"].clone(), schema["maximum"].clone());
    assert_eq!(bounds(traced::<i8>()), (json!(i8::MIN), json!(i8::MAX)));
    assert_eq!(bounds(traced::<i16>()), (json!(i16::MIN), json!(i16::MAX)));
    assert_eq!(bounds(traced::<i32>()), (json!(i32::MIN), json!(i32::MAX)));
    assert_eq!(bounds(traced::<i64>()), (json!(i64::MIN), json!(i64::MAX)));
    assert_eq!(bounds(traced::<u8>()), (json!(0), json!(u8::MAX)));
    assert_eq!(bounds(traced::<u32>()), (json!(0), json!(u32::MAX)));
    assert_eq!(bounds(traced::<u64>()), (json!(0), json!(u64::MAX)));
    assert_eq!(bounds(traced::<NonZeroU32>()), (json!(1), json!(u32::MAX)));
    assert_eq!(
        bounds(traced::<NonZeroI8>()),
        (json!(i8::MIN), json!(i8::MAX))
    );
    assert_eq!(traced::<u128>(), json!({"type": "integer"}));
    assert_eq!(traced::<i128>(), json!({"type": "integer"}));
}

/// Accepts what `Uuid`, `Url` and their like accept: texts of one form.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Url;

impl TryFrom<String> for Url {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.starts_with("http").then_some(Self).ok_or("not a URL")
    }
}

/// Refuses all made-up texts.
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
fn a_text_format_is_found_and_a_refused_field_hides_no_other() {
    #[derive(Deserialize)]
    struct Login {
        secret: Secret,
        spare: Option<Secret>,
        site: Url,
        address: IpAddr,
        retries: u8,
    }
    let login = traced::<Login>();
    let properties = &login["properties"];
    assert_eq!(properties["secret"], json!({"type": "string"}));
    assert_eq!(properties["spare"], json!({"type": "string"}));
    assert_eq!(properties["site"]["format"], "uri");
    assert_eq!(properties["address"]["format"], "ipv4");
    assert_eq!(properties["retries"]["maximum"], 255);
    assert_eq!(login["required"][0], "secret");
}

#[test]
fn an_externally_tagged_enum_lists_its_variants() {
    #[derive(Deserialize)]
    enum Shape {
        Dot,
        Circle(f64),
        Line(u8, bool),
        Text { text: String, size: Option<u8> },
        Empty {},
    }
    let body = |name: &str, body: &Value| {
        json!({
            "type": "object",
            "properties": {name: body},
            "required": [name],
            "additionalProperties": false,
        })
    };
    let byte = json!({"type": "integer", "minimum": 0, "maximum": 255});
    assert_eq!(
        traced::<Shape>(),
        json!({"title": "Shape", "oneOf": [
            {"enum": ["Dot"]},
            body("Circle", &json!({"type": "number"})),
            body("Line", &json!({
                "type": "array",
                "prefixItems": [byte, {"type": "boolean"}],
                "minItems": 2,
                "maxItems": 2,
            })),
            body("Text", &json!({
                "type": "object",
                "properties": {"text": {"type": "string"}, "size": byte},
                "required": ["text"],
            })),
            body("Empty", &json!({"type": "object"})),
        ]})
    );
}

#[test]
fn an_internally_tagged_enum_lists_its_variants() {
    #[derive(Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Command {
        Reset,
        Say {
            text: String,
            times: u8,
            tone: Option<String>,
        },
        Show(Picture),
    }
    #[derive(Deserialize)]
    struct Picture {
        url: Url,
    }
    let variant = |name: &str, fields: &[&str]| {
        let mut schema = json!({
            "type": "object",
            "properties": {"kind": {"const": name}},
            "required": ["kind"],
        });
        for field in fields {
            schema["properties"][field] = json!({});
            schema["required"]
                .as_array_mut()
                .unwrap()
                .push(json!(field));
        }
        schema
    };
    // The fields' types are not visible: serde keeps their values until it has read the tag.
    let expected = json!({"oneOf": [
        variant("reset", &[]),
        variant("say", &["text", "times"]),
        variant("show", &["url"]),
    ]});
    assert_eq!(traced::<Command>(), expected);

    #[derive(Deserialize)]
    struct Batch {
        commands: Vec<Command>,
        after: bool,
    }
    let batch = traced::<Batch>();
    assert_eq!(batch["properties"]["commands"]["items"], expected);
    assert_eq!(batch["properties"]["after"], json!({"type": "boolean"}));
    assert_eq!(batch["required"], json!(["commands", "after"]));
}

#[test]
fn fields_of_a_nested_struct_are_not_fields_of_a_tagged_variant() {
    #[derive(Deserialize)]
    struct Place {
        city: String,
    }
    #[derive(Deserialize)]
    #[serde(tag = "kind")]
    enum Command {
        Go { to: Place, fast: bool },
        Stop,
    }
    let command = traced::<Command>();
    let go = &command["oneOf"][0];
    assert_eq!(go["properties"]["to"], json!({}));
    assert_eq!(go["properties"].get("city"), None);
    assert_eq!(command["oneOf"][1]["required"], json!(["kind"]));
}

#[test]
fn every_variant_shows_its_required_fields_beside_other_fields() {
    #[derive(Deserialize)]
    enum Command {
        Say { text: String, tone: Option<u8> },
        Count { to: u8, by: Option<u8> },
    }
    #[derive(Deserialize)]
    struct Request {
        id: u8,
        note: Option<String>,
        command: Command,
        after: bool,
    }
    let request = traced::<Request>();
    assert_eq!(request["required"], json!(["id", "command", "after"]));
    let variants = &request["properties"]["command"]["oneOf"];
    assert_eq!(
        variants[0]["properties"]["Say"]["required"],
        json!(["text"])
    );
    assert_eq!(
        variants[1]["properties"]["Count"]["required"],
        json!(["to"])
    );
}

#[test]
fn a_variant_that_is_never_read_may_be_anything() {
    struct Closed;
    struct ClosedVisitor;
    impl<'de> Deserialize<'de> for Closed {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_enum("Closed", &["A", "B"], ClosedVisitor)
        }
    }
    impl Visitor<'_> for ClosedVisitor {
        type Value = Closed;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("nothing")
        }
    }
    assert_eq!(traced::<Closed>(), json!({"title": "Closed"}));
}

#[test]
fn an_adjacently_tagged_enum_lists_its_variants() {
    #[derive(Deserialize)]
    #[serde(tag = "kind", content = "value", rename = "Renamed")]
    enum Command {
        Say(String),
        Count { to: u8 },
        Reset,
    }
    let variant = |name: &str, value: &Value, required: &Value| {
        json!({
            "type": "object",
            "properties": {"kind": {"const": name}, "value": value},
            "required": required,
        })
    };
    let count = json!({
        "type": "object",
        "properties": {"to": {"type": "integer", "minimum": 0, "maximum": 255}},
        "required": ["to"],
    });
    let both = json!(["kind", "value"]);
    let mut schema = traced::<Command>();
    let variants = schema["oneOf"].as_array_mut().unwrap();
    assert_eq!(
        variants[0],
        variant("Say", &json!({"type": "string"}), &both)
    );
    assert_eq!(
        variants[1]["properties"]["value"]["properties"],
        count["properties"]
    );
    assert_eq!(variants[1]["required"], both);
    assert_eq!(variants[2]["required"], json!(["kind"]));
    assert_eq!(schema["title"], "Renamed");
}

#[test]
fn an_untagged_enum_is_any_json_and_hides_no_other_field() {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u8),
        Text(String),
        Object { required: u8 },
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Objects {
        A { a: u8 },
        B { b: u8 },
    }
    #[derive(Deserialize)]
    struct Request {
        either: Either,
        objects: Option<Objects>,
        after: bool,
    }
    assert_eq!(traced::<Either>(), json!({}));
    let request = traced::<Request>();
    assert_eq!(
        request["properties"],
        json!({"either": {}, "objects": {}, "after": {"type": "boolean"}})
    );
    assert_eq!(request["required"], json!(["either", "after"]));
}

#[derive(Deserialize)]
struct Chat {
    prompt: String,
    count: u8,
    user: Option<String>,
    #[serde(flatten)]
    extra: HashMap<String, Value>,
}

#[test]
fn a_flattened_struct_shows_its_required_fields() {
    let chat = traced::<Chat>();
    assert_eq!(chat["properties"]["prompt"], json!({"type": "string"}));
    assert_eq!(chat["properties"]["count"]["maximum"], 255);
    assert_eq!(chat["required"], json!(["prompt", "count"]));
    assert_eq!(chat["additionalProperties"], json!({}));
}

#[test]
fn a_flattened_struct_or_enum_adds_its_fields() {
    #[derive(Deserialize)]
    struct Inner {
        size: u8,
        color: Option<String>,
    }
    #[derive(Deserialize)]
    struct Outer {
        name: String,
        #[serde(flatten)]
        inner: Inner,
    }
    let outer = traced::<Outer>();
    assert_eq!(
        outer["properties"],
        json!({"name": {"type": "string"}, "size": {}})
    );
    assert_eq!(outer["required"], json!(["name", "size"]));

    #[derive(Deserialize)]
    #[serde(tag = "kind")]
    enum Kind {
        Round { radius: u8 },
        Flat,
    }
    #[derive(Deserialize)]
    struct Tagged {
        name: String,
        #[serde(flatten)]
        kind: Kind,
    }
    let tagged = traced::<Tagged>();
    let round = &tagged["oneOf"][0];
    assert_eq!(round["required"], json!(["kind", "name", "radius"]));
    assert_eq!(round["properties"]["kind"], json!({"const": "Round"}));
    assert_eq!(round["properties"]["name"], json!({"type": "string"}));
    assert_eq!(tagged["oneOf"][1]["required"], json!(["kind", "name"]));
}

#[test]
fn a_nested_field_of_the_same_name_is_distinguished() {
    #[derive(Deserialize)]
    struct Inner {
        name: String,
    }
    #[derive(Deserialize)]
    struct Outer {
        name: Option<String>,
        inner: Inner,
    }
    let outer = traced::<Outer>();
    assert_eq!(outer["required"], json!(["inner"]));
    assert_eq!(outer["properties"]["inner"]["required"], json!(["name"]));
}

#[test]
fn types_with_the_same_name_are_distinguished() {
    mod inner {
        #[derive(serde::Deserialize)]
        pub(super) struct Item {
            pub(super) size: u8,
        }
        #[derive(serde::Deserialize)]
        pub(super) enum Pair {
            Of(u8),
        }
    }
    #[derive(Deserialize)]
    struct Item {
        inner: inner::Item,
    }
    #[derive(Deserialize)]
    struct Pair {
        kind: inner::Pair,
        value: u8,
    }
    let item = traced::<Item>();
    assert_eq!(item["properties"]["inner"]["required"], json!(["size"]));
    let pair = traced::<Pair>();
    assert_eq!(pair["required"], json!(["kind", "value"]));
    assert_eq!(
        pair["properties"]["kind"]["oneOf"][0]["required"],
        json!(["Of"])
    );
}

#[derive(Deserialize)]
struct Tree {
    value: u8,
    left: Option<Box<Tree>>,
    children: Vec<Tree>,
}

#[derive(Deserialize)]
enum Expression {
    Number(i64),
    Sum(Box<Expression>, Box<Expression>),
}

#[test]
fn a_type_within_itself_is_any_json() {
    let tree = traced::<Tree>();
    assert_eq!(tree["properties"]["left"], json!({}));
    assert_eq!(
        tree["properties"]["children"],
        json!({"type": "array", "items": {}})
    );
    assert_eq!(tree["required"], json!(["value", "children"]));

    let expression = traced::<Expression>();
    let sum = &expression["oneOf"][1]["properties"]["Sum"];
    assert_eq!(sum["prefixItems"], json!([{}, {}]));
}

/// Each type holds the one before it twice.
macro_rules! doubled {
    ($inner:ident) => {};
    ($inner:ident $outer:ident $($others:ident)*) => {
        #[derive(Deserialize)]
        struct $outer(Box<$inner>, Box<$inner>);
        doubled!($outer $($others)*);
    };
}

#[derive(Deserialize)]
struct L0(bool);
doubled!(L0 L1 L2 L3 L4 L5 L6 L7 L8 L9 L10 L11 L12 L13 L14 L15 L16 L17 L18);

#[test]
fn a_type_of_very_many_parts_is_described_in_part() {
    let schema = Schema::traced::<L18>();
    assert_eq!(schema.as_value()["prefixItems"][0]["minItems"], 2);
    let length = schema.into_value().to_string().len();
    assert!(length < 5_000_000, "{length} bytes");
}

#[derive(Deserialize)]
#[serde(try_from = "u8")]
struct Panicking;

impl TryFrom<u8> for Panicking {
    type Error = String;

    fn try_from(_: u8) -> Result<Self, String> {
        panic!("a made-up value")
    }
}

#[test]
fn a_type_that_panics_is_any_json() {
    assert!(Schema::traced::<Panicking>().is_any());
    #[derive(Deserialize)]
    struct Outer {
        inner: Panicking,
    }
    assert!(Schema::traced::<Outer>().is_any());
}
