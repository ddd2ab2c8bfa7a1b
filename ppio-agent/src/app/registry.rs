//! What the attribute macros registered, found at link time.

use std::fmt;

use crate::app::start_error::StartError;
use crate::config::RuntimeConfig;
use crate::endpoints::ping::PingHandler;
use crate::exchange::error::Error;
use crate::invocation::handler::{Call, Job};
use crate::server::middleware::Middleware;

/// Where an annotated function stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The source file.
    pub file: &'static str,
    /// The line of the attribute, from 1.
    pub line: u32,
    /// The column of the attribute, from 1.
    pub column: u32,
    /// The module path.
    pub module: &'static str,
    /// The function's name.
    pub function: &'static str,
}

impl Place {
    /// Whether the function stands in the module or in a module inside of it.
    pub(crate) fn is_in(&self, module: &str) -> bool {
        self.module
            .strip_prefix(module)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {}:{}", self.function, self.file, self.line)
    }
}

/// What `#[ppio::entrypoint]` registers.
pub struct EntrypointPart {
    /// Starts one call.
    pub start: fn(Call) -> Result<Job, Error>,
    /// The `config = …` argument.
    pub config: Option<fn() -> RuntimeConfig>,
    /// Where the function stands.
    pub place: Place,
}

/// What `#[ppio::ping]` registers.
pub struct PingPart {
    /// Makes the handler.
    pub ping: fn() -> PingHandler,
    /// Where the function stands.
    pub place: Place,
}

/// What `#[ppio::middleware]` registers.
pub struct MiddlewarePart {
    /// Makes the middleware.
    pub middleware: fn() -> Middleware,
    /// Where the function stands.
    pub place: Place,
}

inventory::collect!(EntrypointPart);
inventory::collect!(PingPart);
inventory::collect!(MiddlewarePart);

/// The parts that make one app.
pub(crate) struct Parts {
    pub(crate) entrypoint: &'static EntrypointPart,
    pub(crate) ping: Option<&'static PingPart>,
    /// In source order.
    pub(crate) middleware: Vec<&'static MiddlewarePart>,
}

impl Parts {
    /// Collects what stands in modules that `belongs` accepts.
    pub(crate) fn collect(belongs: impl Fn(&Place) -> bool) -> Result<Self, StartError> {
        let entrypoint = one(
            inventory::iter::<EntrypointPart>().filter(|part| belongs(&part.place)),
            |part| part.place,
        )
        .map_err(|(first, second)| StartError::TwoEntrypoints { first, second })?
        .ok_or(StartError::NoEntrypoint)?;
        let ping = one(
            inventory::iter::<PingPart>().filter(|part| belongs(&part.place)),
            |part| part.place,
        )
        .map_err(|(first, second)| StartError::TwoPings { first, second })?;
        let mut middleware: Vec<_> = inventory::iter::<MiddlewarePart>()
            .filter(|part| belongs(&part.place))
            .collect();
        // The linker's order means nothing.
        middleware.sort_by_key(|part| part.place);
        Ok(Self {
            entrypoint,
            ping,
            middleware,
        })
    }
}

/// At most one part, or the places of the first two.
fn one<P>(
    parts: impl Iterator<Item = &'static P>,
    place: impl Fn(&P) -> Place,
) -> Result<Option<&'static P>, (Place, Place)> {
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by_key(|part| place(part));
    match parts[..] {
        [] => Ok(None),
        [part] => Ok(Some(part)),
        [first, second, ..] => Err((place(first), place(second))),
    }
}
