//! The description of an agent.

/// The description of an agent, from its source and its package.
#[derive(Debug, Clone, Copy)]
pub struct AgentInfo {
    /// The name of the agent's package, otherwise that of its function.
    pub name: &'static str,
    /// The documentation of the agent's function; empty if it has none.
    pub description: &'static str,
    /// The version of the agent's package; empty if it has none.
    pub version: &'static str,
}

impl AgentInfo {
    /// Returns a description; the macro's expansion and the builder call this function.
    #[doc(hidden)]
    pub const fn new(
        package: Option<&'static str>,
        function: &'static str,
        description: &'static str,
        version: Option<&'static str>,
    ) -> Self {
        Self {
            name: match package {
                Some(package) => package,
                None => function,
            },
            description,
            version: match version {
                Some(version) => version,
                None => "",
            },
        }
    }
}
