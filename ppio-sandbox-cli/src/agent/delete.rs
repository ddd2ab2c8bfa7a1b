//! `agent delete`.

use crate::arguments::DeleteArguments;
use crate::failure::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) async fn run(_arguments: DeleteArguments, _terminal: &Terminal) -> Result<(), Failure> {
    Err(Failure::new(Fault::System, "being written"))
}
