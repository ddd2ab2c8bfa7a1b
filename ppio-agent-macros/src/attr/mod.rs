//! The attributes, and their arguments as written.

mod arguments;
mod attribute;

pub(crate) use arguments::AttributeArguments;
pub(crate) use attribute::Attribute;
