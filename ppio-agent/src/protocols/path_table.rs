//! The table of a protocol's paths, for routing and for the `OpenAPI` document.

use http::Method;

#[cfg(feature = "schema")]
use crate::endpoints::openapi::ProtocolOperation;
#[cfg(feature = "schema")]
use crate::exchange::protocol::Protocol;

/// All paths of a protocol. The first row that matches a path determines its route.
pub(super) struct PathTable<R: 'static>(pub(super) &'static [ProtocolPath<R>]);

/// A row of a [`PathTable`].
pub(super) struct ProtocolPath<R> {
    /// The path, with parameter names in braces. A parameter matches a whole segment or its
    /// beginning, and is never empty.
    template: &'static str,
    methods: Methods,
    route: R,
    /// Whether the path also matches with a trailing slash.
    allows_trailing_slash: bool,
}

/// The methods of a path, and what each of them does.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "schema"),
    allow(dead_code, reason = "only the OpenAPI document uses the summaries")
)]
pub(crate) enum Methods {
    Get(&'static str),
    GetOrHead(&'static str),
    GetOrPost {
        get: &'static str,
        post: &'static str,
    },
    GetOrDelete {
        get: &'static str,
        delete: &'static str,
    },
    Post(&'static str),
}

/// The parameters of a path, percent-encoded; the unused ones are empty.
pub(super) type Parameters<'a> = [&'a str; 2];

impl<R: Copy> PathTable<R> {
    /// Returns the route of a path and its parameters.
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<(R, Parameters<'p>)> {
        let (row, parameters) = self.row(path)?;
        Some((row.route, parameters))
    }

    /// Returns the methods of a path.
    pub(super) fn methods(&self, path: &str) -> Option<&'static Methods> {
        let (row, _) = self.row(path)?;
        Some(&row.methods)
    }

    /// Returns the operations for the `OpenAPI` document.
    #[cfg(feature = "schema")]
    pub(super) fn operations(&self, protocol: Protocol) -> Vec<ProtocolOperation> {
        let rows = self.0.iter();
        rows.flat_map(|row| row.methods.operations(protocol, row.template))
            .collect()
    }

    fn row<'p>(&self, path: &'p str) -> Option<(&'static ProtocolPath<R>, Parameters<'p>)> {
        self.0
            .iter()
            .find_map(|row| Some((row, row.parameters(path)?)))
    }
}

impl<R: Copy> ProtocolPath<R> {
    pub(super) const fn new(template: &'static str, methods: Methods, route: R) -> Self {
        Self {
            template,
            methods,
            route,
            allows_trailing_slash: false,
        }
    }

    /// Makes the row also match the path with a trailing slash.
    pub(super) const fn allow_trailing_slash(mut self) -> Self {
        self.allows_trailing_slash = true;
        self
    }

    /// Returns the parameters, if the path matches.
    fn parameters<'p>(&self, path: &'p str) -> Option<Parameters<'p>> {
        let path = match path.strip_suffix('/') {
            Some(path) if self.allows_trailing_slash => path,
            _ => path,
        };
        let mut parameters = ["", ""];
        let mut free = parameters.iter_mut();
        let mut segments = path.split('/');
        for expected in self.template.split('/') {
            let segment = segments.next()?;
            match expected.strip_prefix('{') {
                None if segment == expected => {}
                None => return None,
                Some(parameter) => {
                    let (_, end) = parameter.split_once('}')?;
                    let value = segment.strip_suffix(end);
                    *free.next()? = value.filter(|value| !value.is_empty())?;
                }
            }
        }
        segments.next().is_none().then_some(parameters)
    }
}

impl Methods {
    /// Returns the methods as the value of an `Allow` header.
    pub(crate) fn allow(&self) -> &'static str {
        match self {
            Self::Get(_) => "GET, OPTIONS",
            Self::GetOrHead(_) => "GET, HEAD, OPTIONS",
            Self::GetOrPost { .. } => "GET, POST, OPTIONS",
            Self::GetOrDelete { .. } => "GET, DELETE, OPTIONS",
            Self::Post(_) => "POST, OPTIONS",
        }
    }

    /// Whether a method is supported. `OPTIONS` is answered earlier.
    pub(super) fn has(&self, method: &Method) -> bool {
        match self {
            Self::Get(_) => method == Method::GET,
            Self::GetOrHead(_) => method == Method::GET || method == Method::HEAD,
            Self::GetOrPost { .. } => method == Method::GET || method == Method::POST,
            Self::GetOrDelete { .. } => method == Method::GET || method == Method::DELETE,
            Self::Post(_) => method == Method::POST,
        }
    }

    /// Returns the operations of a path. `HEAD` is not listed.
    #[cfg(feature = "schema")]
    pub(super) fn operations(
        &self,
        protocol: Protocol,
        path: &'static str,
    ) -> impl Iterator<Item = ProtocolOperation> + use<> {
        let (first, second) = match *self {
            Self::Get(summary) | Self::GetOrHead(summary) => (("get", summary), None),
            Self::GetOrPost { get, post } => (("get", get), Some(("post", post))),
            Self::GetOrDelete { get, delete } => (("get", get), Some(("delete", delete))),
            Self::Post(summary) => (("post", summary), None),
        };
        let all = std::iter::once(first).chain(second);
        all.map(move |(method, summary)| ProtocolOperation {
            tag: protocol.as_str(),
            method,
            path,
            summary,
        })
    }
}

#[cfg(test)]
impl<R: Copy> PathTable<R> {
    /// Checks that each row is the first one that matches its own paths.
    pub(super) fn check(&self) {
        for row in self.0 {
            let mut path = row.template.to_owned();
            while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
                path.replace_range(start..=end, "a-1");
            }
            let (found, _) = self.row(&path).expect(&path);
            assert_eq!(found.template, row.template, "{path}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_a_template() {
        let fits = |template, path| {
            let row = ProtocolPath::new(template, Methods::Post(""), ());
            row.parameters(path)
        };
        for (template, path, expected) in [
            ("/mcp", "/mcp", Some(["", ""])),
            ("/mcp", "/mcp/", None),
            ("/mcp", "/mcpx", None),
            ("/mcp", "/", None),
            ("/mcp", "", None),
            ("/v1/{id}", "/v1/a%2Fb", Some(["a%2Fb", ""])),
            ("/v1/{id}", "/v1/a:b", Some(["a:b", ""])),
            ("/v1/{id}", "/v1/", None),
            ("/v1/{id}", "/v1", None),
            ("/v1/{id}", "/v1/a/b", None),
            ("/v1/{id}:stop", "/v1/a:b:stop", Some(["a:b", ""])),
            ("/v1/{id}:stop", "/v1/:stop", None),
            ("/v1/{id}:stop", "/v1/a", None),
            ("/v1/{id}/stop", "/v1/a/stop", Some(["a", ""])),
            ("/v1/{id}/stop", "/v1//stop", None),
            ("/v1/{id}/items/{item}", "/v1/a/items/b", Some(["a", "b"])),
            ("/v1/{id}/items/{item}", "/v1/a/items/", None),
            ("/v1/{id}/items/{item}", "/v1/a/items", None),
        ] {
            assert_eq!(fits(template, path), expected, "{template} {path}");
        }
    }

    #[test]
    fn a_row_may_allow_a_trailing_slash() {
        let row = ProtocolPath::new("/a2a", Methods::Post(""), ()).allow_trailing_slash();
        for (path, fits) in [("/a2a", true), ("/a2a/", true), ("/a2a//", false)] {
            assert_eq!(row.parameters(path).is_some(), fits, "{path}");
        }
    }
}
