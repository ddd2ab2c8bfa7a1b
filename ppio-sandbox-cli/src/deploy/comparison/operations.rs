//! Compares the operations of two services: parameters, request bodies and responses.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::change::Place;
use super::document::ComparedDocument;
use super::schemas::{Comparison, Direction};

/// The methods of a path.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// An operation with its path and its document.
#[derive(Clone, Copy)]
struct ApiOperation<'a> {
    document: ComparedDocument<'a>,
    path: &'a Value,
    value: &'a Value,
}

impl<'a> ApiOperation<'a> {
    fn new(document: ComparedDocument<'a>, path: &'a Value, value: &'a Value) -> Self {
        Self {
            document,
            path,
            value,
        }
    }

    /// Returns the members of the operation's member `name`.
    fn map(&self, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.value[name].as_object().into_iter().flatten()
    }

    /// Returns the parameters by location (`in`) and name. Those of the operation replace those of
    /// its path.
    fn parameters(&self) -> Vec<((String, String), &'a Value)> {
        let (mut parameters, mut keys) = (Vec::new(), HashSet::new());
        let of_path = self.path["parameters"].as_array();
        let of_operation = self.value["parameters"].as_array();
        let all = of_path.into_iter().chain(of_operation).flatten();
        for parameter in all.collect::<Vec<_>>().into_iter().rev() {
            let parameter = self.document.resolve(parameter);
            let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
            let (place, mut name) = (text("in"), text("name"));
            if place == "header" {
                name.make_ascii_lowercase();
            }
            let key = (place, name);
            if keys.insert(key.clone()) {
                parameters.push((key, parameter));
            }
        }
        parameters.reverse();
        parameters
    }

    fn body(&self) -> Option<&'a Value> {
        let body = self.value.get("requestBody")?;
        Some(self.document.resolve(body))
    }

    fn response(&self, status: &str) -> Option<&'a Value> {
        let response = self.value["responses"].get(status)?;
        Some(self.document.resolve(response))
    }

    /// Returns the response that describes a status: its own, that of its class (`2XX`), or the
    /// default. If another response is a success, the default describes only errors.
    fn response_to(&self, status: &str) -> Option<&'a Value> {
        let class = status.get(..1).map(|digit| format!("{digit}XX"));
        let by_default =
            !is_success(status) || !self.map("responses").any(|(it, _)| is_success(it));
        self.response(status)
            .or_else(|| self.response(&class?))
            .or_else(|| self.response("default").filter(|_| by_default))
    }

    /// Returns the security requirements of the operation, otherwise those of the document.
    fn security(&self) -> Option<&'a Value> {
        let root = self.document.root().get("security");
        self.value.get("security").or(root)
    }
}

impl Comparison<'_> {
    /// Compares the documents.
    pub(super) fn documents(&mut self) {
        let (old, new) = (self.old, self.new);
        let mut new_paths = HashMap::new();
        for (path, new_path) in new.paths() {
            new_paths.entry(without_names(path)).or_insert(new_path);
        }
        for (path, old_path) in old.paths() {
            let Some(&new_path) = new_paths.get(&without_names(path)) else {
                self.breaking(&Place::new(path), "path is gone");
                continue;
            };
            let (old_path, new_path) = (old.resolve(old_path), new.resolve(new_path));
            for method in METHODS {
                let place = Place::new(format!("{} {path}", method.to_uppercase()));
                match (old_path.get(method), new_path.get(method)) {
                    (None, _) => {}
                    (Some(_), None) => self.breaking(&place, "method is gone"),
                    (Some(old_value), Some(new_value)) => {
                        let old = ApiOperation::new(old, old_path, old_value);
                        let new = ApiOperation::new(new, new_path, new_value);
                        self.operations(old, new, &place);
                    }
                }
            }
        }
        let webhooks = [old, new].map(|document| &document.root()["webhooks"]);
        if !self.same(webhooks[0], webhooks[1]) {
            self.not_compared(&Place::new("webhooks"), "a webhook");
        }
    }

    fn operations(&mut self, old: ApiOperation<'_>, new: ApiOperation<'_>, place: &Place) {
        self.parameters(old, new, place);
        self.bodies(old.body(), new.body(), &place.part("request"));
        for (status, _) in old.map("responses") {
            let place = place.part("response").part(status);
            let Some(old) = old.response(status) else {
                continue;
            };
            match new.response_to(status) {
                Some(new) => self.responses(old, new, &place),
                // An error that no longer happens breaks nothing.
                None if !is_success(status) => {}
                None => self.breaking(&place, "status is gone"),
            }
        }
        for (status, _) in new.map("responses") {
            if old.value["responses"].get(status).is_some() {
                continue;
            }
            let place = place.part("response").part(status);
            match (old.response_to(status), new.response(status)) {
                // The old document describes the status by its class or by the default.
                (Some(old), Some(new)) => self.responses(old, new, &place),
                _ => self.note(&place, "new status"),
            }
        }
        let security = [old.security(), new.security()];
        let security = security.map(|value| value.cloned().unwrap_or_default());
        if !self.same(&security[0], &security[1]) {
            self.not_compared(place, "`security`");
        }
        self.same_members(&["callbacks", "servers"], old.value, new.value, place);
    }

    fn parameters(&mut self, old: ApiOperation<'_>, new: ApiOperation<'_>, place: &Place) {
        let (olds, news) = (old.parameters(), new.parameters());
        let old_parameters: HashMap<_, _> = olds.iter().map(|(key, old)| (key, *old)).collect();
        let new_keys: HashSet<_> = news.iter().map(|(key, _)| key).collect();
        let is_required = |parameter: &Value| parameter["required"] == true;
        for (key, new) in &news {
            // Parameters of the path are compared below in their order in the lists, because
            // callers do not see their names.
            if key.0 == "path" {
                continue;
            }
            let place = place.part(&format!("{} {}", key.0, key.1));
            let Some(&old) = old_parameters.get(key) else {
                if is_required(new) {
                    self.breaking(&place, "new required parameter");
                }
                continue;
            };
            if is_required(new) && !is_required(old) {
                self.breaking(&place, "optional → required");
            }
            let others = ["schema", "content", "style", "explode", "allowReserved"];
            let others = match (old.get("schema"), new.get("schema")) {
                (Some(old), Some(new)) => {
                    self.schemas(old, new, Direction::Request, &place);
                    &others[1..]
                }
                _ => &others,
            };
            self.same_members(others, old, new, &place);
        }
        for (key, _) in &olds {
            if key.0 != "path" && !new_keys.contains(key) {
                let place = place.part(&format!("{} {}", key.0, key.1));
                self.note(&place, "parameter is no longer described");
            }
        }
        let path = |parameters: &[((String, String), &Value)]| {
            let parameters = parameters.iter().filter(|(key, _)| key.0 == "path");
            let schemas = parameters.map(|(_, parameter)| parameter["schema"].clone());
            Value::from(schemas.collect::<Vec<_>>())
        };
        if !self.same(&path(&olds), &path(&news)) {
            self.not_compared(place, "a parameter of the path");
        }
    }

    /// Reports members that are not the same.
    pub(super) fn same_members(&mut self, names: &[&str], old: &Value, new: &Value, place: &Place) {
        for name in names {
            if !self.same(&old[name], &new[name]) {
                self.not_compared(place, &format!("`{name}`"));
            }
        }
    }

    fn bodies(&mut self, old: Option<&Value>, new: Option<&Value>, place: &Place) {
        let is_required = |body: &Value| body["required"] == true;
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => {
                if is_required(new) {
                    self.breaking(place, "new required body");
                }
            }
            (Some(_), None) => self.breaking(place, "body is no longer accepted"),
            (Some(old), Some(new)) => {
                if is_required(new) && !is_required(old) {
                    self.breaking(place, "optional → required");
                }
                self.contents(old, new, Direction::Request, place);
            }
        }
    }
}

fn is_success(status: &str) -> bool {
    status.starts_with(['1', '2', '3'])
}

/// Returns a path without the names of its parameters, which callers do not see.
fn without_names(path: &str) -> String {
    let mut text = String::new();
    let mut is_name = false;
    for c in path.chars() {
        match c {
            '{' => is_name = true,
            '}' => is_name = false,
            _ if is_name => continue,
            _ => {}
        }
        text.push(c);
    }
    text
}
