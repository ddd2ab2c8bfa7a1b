//! `agent logs`.

use crate::arguments::LogsArguments;
use crate::failure::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) async fn run(_arguments: LogsArguments, _terminal: &Terminal) -> Result<(), Failure> {
    Err(Failure::new(Fault::System, "being written"))
}
