//! `local status`.

use crate::arguments::LocalStatusArguments;
use crate::failure::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) async fn run(
    _arguments: LocalStatusArguments,
    _terminal: &Terminal,
) -> Result<(), Failure> {
    Err(Failure::new(Fault::System, "being written"))
}
