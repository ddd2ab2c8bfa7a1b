//! `local down`.

use crate::arguments::DownArguments;
use crate::failure::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) async fn run(_arguments: DownArguments, _terminal: &Terminal) -> Result<(), Failure> {
    Err(Failure::new(Fault::System, "being written"))
}
