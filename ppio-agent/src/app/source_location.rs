//! The location of an annotated function.

use std::fmt;

use crate::stalls::FunctionName;

/// The location of an annotated function in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct SourceLocation {
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

impl SourceLocation {
    /// Returns a location; the code that the macros generate calls this function.
    #[doc(hidden)]
    pub const fn new(
        file: &'static str,
        line: u32,
        column: u32,
        module: &'static str,
        function: &'static str,
    ) -> Self {
        Self {
            file,
            line,
            column,
            module,
            function,
        }
    }

    /// Returns the function's name for reports about slow polls.
    pub(crate) fn function_name(&self) -> FunctionName {
        FunctionName {
            path: format!("{}::{}", self.module, self.function),
            described: self.to_string(),
        }
    }

    /// Whether the function is in the module or in a module inside it.
    pub(crate) fn is_in(&self, module: &str) -> bool {
        self.module
            .strip_prefix(module)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {}:{}", self.function, self.file, self.line)
    }
}
