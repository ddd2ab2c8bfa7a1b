//! `agent deploy`.

use crate::arguments::DeployArguments;
use crate::failure::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) async fn run(_arguments: DeployArguments, _terminal: &Terminal) -> Result<(), Failure> {
    Err(Failure::new(Fault::System, "being written"))
}
