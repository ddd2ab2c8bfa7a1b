//! Compares what is sent: content types, their schemas, and headers.

use serde_json::{Map, Value};

use super::change::Place;
use super::schemas::{Comparison, Direction};

/// The content type that the text of a place leaves out.
const JSON: &str = "application/json";

impl Comparison<'_> {
    /// Compares the bodies and headers of responses.
    pub(super) fn responses(&mut self, old: &Value, new: &Value, place: &Place) {
        self.contents(old, new, Direction::Response, place);
        let headers = |response: &Value| match &response["headers"] {
            Value::Object(headers) => headers.clone(),
            _ => Map::new(),
        };
        let (olds, news) = (headers(old), headers(new));
        for (name, old) in &olds {
            let place = place.part(&format!("header {name}"));
            let new = news.iter().find(|(new, _)| new.eq_ignore_ascii_case(name));
            let (old, new) = (
                self.old.resolve(old).clone(),
                new.map(|(_, new)| self.new.resolve(new).clone()),
            );
            match new {
                None if old["required"] == true => self.breaking(&place, "header is gone"),
                None => self.note(&place, "optional header is gone"),
                Some(new) => {
                    if old["required"] == true && new["required"] != true {
                        self.breaking(&place, "required → optional");
                    }
                    if let (Some(old), Some(new)) = (old.get("schema"), new.get("schema")) {
                        self.schemas(old, new, Direction::Response, &place);
                    } else {
                        self.same_members(&["schema", "content"], &old, &new, &place);
                    }
                }
            }
        }
    }

    /// Compares the content types of a body, and the schemas and encodings of the content types
    /// that both bodies have. A range in a new request body stands for each content type of the
    /// range.
    pub(super) fn contents(
        &mut self,
        old: &Value,
        new: &Value,
        direction: Direction,
        place: &Place,
    ) {
        let contents = |body: &Value| match &body["content"] {
            Value::Object(contents) => contents.clone(),
            _ => Map::new(),
        };
        let (olds, news) = (contents(old), contents(new));
        for (content_type, old) in &olds {
            let place = if content_type == JSON {
                place.clone()
            } else {
                place.part(content_type)
            };
            let exact = news.get(content_type);
            let new = exact.or_else(|| {
                let mut news = news.iter();
                let new = news.find(|(range, _)| includes(range, content_type))?;
                (direction == Direction::Request).then_some(new.1)
            });
            let Some(new) = new else {
                self.breaking(&place, format!("content type {content_type} is gone"));
                continue;
            };
            let any = Value::Bool(true);
            let schemas = [old, new].map(|content| content.get("schema").unwrap_or(&any));
            self.schemas(schemas[0], schemas[1], direction, &place);
            self.same_members(&["encoding"], old, new, &place);
        }
        if direction == Direction::Response && !olds.is_empty() {
            for content_type in news.keys().filter(|name| !olds.contains_key(*name)) {
                self.note(place, format!("new content type {content_type}"));
            }
        }
    }
}

/// Whether a content type is one of a range such as `application/*`.
fn includes(range: &str, content_type: &str) -> bool {
    let Some(prefix) = range.strip_suffix('*') else {
        return false;
    };
    range == "*/*" || content_type.starts_with(prefix)
}
