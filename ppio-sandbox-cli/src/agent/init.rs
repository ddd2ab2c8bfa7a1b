//! `agent init`.

use crate::arguments::InitArguments;
use crate::failure::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) async fn run(_arguments: InitArguments, _terminal: &Terminal) -> Result<(), Failure> {
    Err(Failure::new(Fault::System, "being written"))
}
