//! The annotated item as it was parsed, before anything is checked.

mod function;
mod item_kind;

pub(crate) use function::Function;
pub(crate) use item_kind::MisplacedItem;
