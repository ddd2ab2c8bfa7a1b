//! `agent configure`.

use crate::arguments::ConfigureArguments;
use crate::failure::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) async fn run(
    _arguments: ConfigureArguments,
    _terminal: &Terminal,
) -> Result<(), Failure> {
    Err(Failure::new(Fault::System, "being written"))
}
